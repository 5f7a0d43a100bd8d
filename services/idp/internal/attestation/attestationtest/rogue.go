package attestationtest

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"math/big"
	"testing"

	"github.com/google/go-tpm/tpm2"

	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// Rogue speaks like a TPM and holds its keys in memory. It says of any key what it
// is told to say.
type Rogue struct {
	ek, ak *ecdsa.PrivateKey
	// Certificate is that of the endorsement key, or nil.
	Certificate []byte
}

// NewRogue makes one by a maker; nil makes one without a certificate.
func NewRogue(t testing.TB, m *Maker) *Rogue {
	t.Helper()
	r := &Rogue{ek: NewP256(t), ak: NewP256(t)}
	if m != nil {
		r.Certificate = m.Certificate(t, &r.ek.PublicKey, nil)
	}
	return r
}

// NewP256 draws a key.
func NewP256(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// EK is the key that the certificate is about.
func (r *Rogue) EK() *ecdsa.PublicKey { return &r.ek.PublicKey }

// EndorsementKey is a TPMT_PUBLIC.
func (r *Rogue) EndorsementKey() tpm2.TPMTPublic {
	p := tpm2.ECCEKTemplate
	p.Unique = point(&r.ek.PublicKey)
	return p
}

// AttestationKey is a TPMT_PUBLIC.
func (r *Rogue) AttestationKey() tpm2.TPMTPublic {
	return ECC(&r.ak.PublicKey, Restricted(true, false))
}

// Request asks for a challenge.
func (r *Rogue) Request(tenant string) *idpv1.RequestAttestationChallengeRequest {
	return &idpv1.RequestAttestationChallengeRequest{
		EndorsementKey: tpm2.Marshal(r.EndorsementKey()), EndorsementCertificate: r.Certificate, AttestationKey: tpm2.Marshal(r.AttestationKey()), Tenant: tenant,
	}
}

// Answer opens a credential and speaks of the keys: dk and tk in memory, and a
// storage key of its own.
func (r *Rogue) Answer(t testing.TB, c *idpv1.RequestAttestationChallengeResponse, dk, tk *rsa.PublicKey) *idpv1.Attestation {
	t.Helper()
	extra := r.Extra(t, c)
	storage := ECC(&NewP256(t).PublicKey, Restricted(false, true))
	return &idpv1.Attestation{
		Challenge:    c.GetChallenge(),
		DeviceKey:    r.Certify(t, RSA(dk, Unrestricted(true, false)), extra),
		TransportKey: r.Certify(t, RSA(tk, Unrestricted(false, true)), extra),
		StorageKey:   r.Certify(t, storage, extra),
	}
}

// Extra is the extraData that answers a challenge.
func (r *Rogue) Extra(t testing.TB, c *idpv1.RequestAttestationChallengeResponse) []byte {
	t.Helper()
	credential := r.activate(t, c.GetCredentialBlob(), c.GetEncryptedSecret())
	sum := sha256.Sum256(append([]byte("Lockstep attestation\x00"), credential...))
	return sum[:]
}

// Certify says of a public area that a TPM has the key.
func (r *Rogue) Certify(t testing.TB, area tpm2.TPMTPublic, extra []byte) *idpv1.KeyStatement {
	t.Helper()
	att := r.Attest(t, area, extra)
	return &idpv1.KeyStatement{PublicArea: tpm2.Marshal(area), Attestation: tpm2.Marshal(att), Signature: r.Sign(t, tpm2.Marshal(att))}
}

// Attest is what is signed.
func (r *Rogue) Attest(t testing.TB, area tpm2.TPMTPublic, extra []byte) tpm2.TPMSAttest {
	t.Helper()
	name, err := tpm2.ObjectName(&area)
	if err != nil {
		t.Fatal(err)
	}
	return tpm2.TPMSAttest{
		Magic: tpm2.TPMGeneratedValue, Type: tpm2.TPMSTAttestCertify, ExtraData: tpm2.TPM2BData{Buffer: extra},
		Attested: tpm2.NewTPMUAttest(tpm2.TPMSTAttestCertify, &tpm2.TPMSCertifyInfo{Name: *name, QualifiedName: *name}),
	}
}

// Sign signs anything with the attestation key, which a TPM would not.
func (r *Rogue) Sign(t testing.TB, message []byte) []byte {
	t.Helper()
	digest := sha256.Sum256(message)
	R, S, err := ecdsa.Sign(rand.Reader, r.ak, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return tpm2.Marshal(tpm2.TPMTSignature{SigAlg: tpm2.TPMAlgECDSA, Signature: tpm2.NewTPMUSignature(tpm2.TPMAlgECDSA, &tpm2.TPMSSignatureECC{
		Hash: tpm2.TPMAlgSHA256, SignatureR: number(R), SignatureS: number(S),
	})})
}

// activate is TPM2_ActivateCredential for a P-256 endorsement key (TPM 2.0 Part 1,
// 24 and C.6.4).
func (r *Rogue) activate(t testing.TB, blob, encrypted []byte) []byte {
	t.Helper()
	their, err := tpm2.Unmarshal[tpm2.TPMSECCPoint](encrypted)
	if err != nil {
		t.Fatal(err)
	}
	public, err := ecdh.P256().NewPublicKey(append([]byte{4}, append(pad(their.X.Buffer), pad(their.Y.Buffer)...)...))
	if err != nil {
		t.Fatal(err)
	}
	own, err := r.ek.ECDH()
	if err != nil {
		t.Fatal(err)
	}
	z, err := own.ECDH(public)
	if err != nil {
		t.Fatal(err)
	}
	seed := tpm2.KDFe(crypto.SHA256, z, "IDENTITY", pad(their.X.Buffer), own.PublicKey().Bytes()[1:33], 256)
	ak := r.AttestationKey()
	name, err := tpm2.ObjectName(&ak)
	if err != nil {
		t.Fatal(err)
	}
	sealed := blob[2+sha256.Size:] // after the integrity, which a rogue need not check
	block, err := aes.NewCipher(tpm2.KDFa(crypto.SHA256, seed, "STORAGE", name.Buffer, nil, 128))
	if err != nil {
		t.Fatal(err)
	}
	plain := make([]byte, len(sealed))
	cipher.NewCFBDecrypter(block, make([]byte, aes.BlockSize)).XORKeyStream(plain, sealed) //nolint:staticcheck // the mode that a TPM uses
	credential, err := tpm2.Unmarshal[tpm2.TPM2BDigest](plain)
	if err != nil {
		t.Fatal(err)
	}
	return credential.Buffer
}

func number(n *big.Int) tpm2.TPM2BECCParameter { return tpm2.TPM2BECCParameter{Buffer: n.Bytes()} }

func pad(b []byte) []byte {
	out := make([]byte, 32)
	copy(out[32-len(b):], b)
	return out
}
