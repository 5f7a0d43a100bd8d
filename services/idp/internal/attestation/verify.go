package attestation

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"math/big"
	"time"

	"github.com/google/go-tpm/tpm2"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// Statement is what an attestation key says of one key.
type Statement struct {
	// PublicArea is a TPMT_PUBLIC, Attestation a TPMS_ATTEST, Signature a
	// TPMT_SIGNATURE over it.
	PublicArea, Attestation, Signature []byte
}

// Attestation is what a TPM says of the keys of a registration.
type Attestation struct {
	// Challenge is Challenge.Text.
	Challenge         string
	Device, Transport Statement
	// Storage is nil for a device without a storage key.
	Storage *Statement
}

// Verdict is what an attestation proves.
type Verdict struct {
	// Protection is ProtectionSoftware when the keys are in one TPM of which nobody
	// knows who made it.
	Protection store.Protection
	// Maker is the name of the maker who is trusted, or empty.
	Maker string
	// StorageKey is the public area of the storage key, or empty.
	StorageKey []byte
	// Use names the challenge, for who takes each only once; it was made at Made
	// and nobody takes it after Ends.
	Use        [sha256.Size]byte
	Made, Ends time.Time
}

// Verify checks that one TPM holds the keys of a registration at a tenant: the
// device key, the transport key, and the storage key if there is one. Everything
// that is wrong is one error, which wraps a Reason for the log.
func (s *Service) Verify(t ids.TenantID, a Attestation, device, transport crypto.PublicKey) (Verdict, error) {
	v, err := s.verify(t, a, device, transport)
	if why, ok := err.(Reason); ok { //nolint:errorlint // what is below wraps nothing
		return Verdict{}, refused(why)
	}
	return v, err
}

func (s *Service) verify(t ids.TenantID, a Attestation, device, transport crypto.PublicKey) (Verdict, error) {
	c, err := s.open(a.Challenge, t)
	if err != nil {
		return Verdict{}, err
	}
	defer clear(c.Secret)
	_, ak, err := attestationKey(c.AK)
	if err != nil {
		return Verdict{}, err
	}
	w := witness{key: ak, extra: qualifying(c.Secret)}
	if err := w.isOf(a.Device, roleDevice(), device); err != nil {
		return Verdict{}, err
	}
	if err := w.isOf(a.Transport, roleTransport(), transport); err != nil {
		return Verdict{}, err
	}
	made := time.Unix(c.Made, 0)
	v := Verdict{Protection: c.Protection, Maker: c.Maker, Use: sha256.Sum256(append([]byte(mark), c.Secret...)), Made: made, Ends: made.Add(Lifetime)}
	if a.Storage != nil {
		if err := w.storage(*a.Storage); err != nil {
			return Verdict{}, err
		}
		v.StorageKey = bytes.Clone(a.Storage.PublicArea)
	}
	return v, nil
}

// witness is the attestation key that all statements must be by, and what they must
// all say beside the name of their key.
type witness struct {
	key   *ecdsa.PublicKey
	extra []byte
}

// isOf checks a statement about a key of a device, RSA-2048, which must be the very
// one that is to be registered.
func (w witness) isOf(s Statement, r role, want crypto.PublicKey) error {
	p, err := w.certified(s, r)
	if err != nil {
		return err
	}
	k, ok := p.key.(*rsa.PublicKey)
	if !ok || k.N.BitLen() != 2048 || !k.Equal(want) {
		return reason("%s: is not the one that is to be registered", r.name)
	}
	return nil
}

// storage checks the statement about the parent of session keys: one that the
// session key can be wrapped for (Part 1, 23.3.2), P-256 with AES-128.
func (w witness) storage(s Statement) error {
	p, err := w.certified(s, roleStorage())
	if err != nil {
		return err
	}
	k, ok := p.key.(*ecdsa.PublicKey)
	if !ok || k.Curve.Params().BitSize != 256 || !aesCFB(p.area, 128) {
		return reason("storage key: is not P-256 with AES-128 in the mode CFB")
	}
	return nil
}

// certified checks one statement: signed by the witness, by a TPM (magic), of the
// type of TPM2_Certify, in answer to this challenge, about this public area.
func (w witness) certified(s Statement, r role) (public, error) {
	p, err := readPublic(s.PublicArea, r)
	if err != nil {
		return p, err
	}
	if p.area.NameAlg != tpm2.TPMAlgSHA256 {
		return p, reason("%s: name algorithm is not SHA-256", r.name)
	}
	if why := w.signed(s); why != "" {
		return p, reason("%s: %s", r.name, why)
	}
	att, why := read[tpm2.TPMSAttest](s.Attestation)
	if why != nil {
		return p, reason("%s: attestation %v", r.name, why)
	}
	if att.Magic != tpm2.TPMGeneratedValue || att.Type != tpm2.TPMSTAttestCertify {
		return p, reason("%s: attestation is not one of TPM2_Certify", r.name)
	}
	if subtle.ConstantTimeCompare(att.ExtraData.Buffer, w.extra) != 1 {
		return p, reason("%s: attestation is not in answer to this challenge, or the credential was not opened", r.name)
	}
	info, err := att.Attested.Certify()
	if err != nil || !bytes.Equal(info.Name.Buffer, p.name) {
		return p, reason("%s: another key was certified", r.name)
	}
	return p, nil
}

// signed checks the signature of a statement; empty is right.
func (w witness) signed(s Statement) string {
	if len(s.Attestation) > maxStructure {
		return "attestation is too long"
	}
	sig, why := read[tpm2.TPMTSignature](s.Signature)
	if why != nil {
		return "signature " + why.Error()
	}
	if sig.SigAlg != tpm2.TPMAlgECDSA {
		return "signature is not ECDSA"
	}
	e, err := sig.Signature.ECDSA()
	if err != nil || e.Hash != tpm2.TPMAlgSHA256 {
		return "signature is not ECDSA with SHA-256"
	}
	digest := sha256.Sum256(s.Attestation)
	if !ecdsa.Verify(w.key, digest[:], new(big.Int).SetBytes(e.SignatureR.Buffer), new(big.Int).SetBytes(e.SignatureS.Buffer)) {
		return "is not signed by the attestation key of the challenge"
	}
	return ""
}
