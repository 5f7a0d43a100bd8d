package keystore

import (
	"context"
	"crypto/sha256"

	"github.com/google/go-tpm/tpm2"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/tpmio"
)

// attestationLabel leads what a statement is bound to; the credential's secret
// follows, so that the secret itself need not leave the agent.
const attestationLabel = "Lockstep attestation\x00"

// maxCredential bounds each half of a credential in bytes.
const maxCredential = 512

// Attestor is what a registration authority makes a credential from.
type Attestor struct {
	// Endorsement is the endorsement key, a TPMT_PUBLIC, and Certificate its DER
	// certificate; empty without a TPM, Certificate also when the TPM has none.
	Endorsement, Certificate []byte
	// Attestation is the attestation key of the set, a TPMT_PUBLIC.
	Attestation []byte
}

// Statement is what the attestation key says of one key.
type Statement struct {
	// Public is a TPMT_PUBLIC, Attest a TPMS_ATTEST, Signature a TPMT_SIGNATURE.
	Public, Attest, Signature []byte
}

// Statements are those of the keys of a set; Storage is empty when the key is not
// offered.
type Statements struct{ Device, Transport, Storage Statement }

// DescribeAttestor gives the public keys. The store in software has no endorsement:
// nobody vouches for it, so what it says of its keys is worth nothing.
func (s *Store) DescribeAttestor(ctx context.Context, id string) (Attestor, error) {
	set, p, err := s.pending(id)
	if err != nil {
		return Attestor{}, err
	}
	a := Attestor{Attestation: set.Attestation.Public}
	if set.Attestation.empty() || p.provider == Software {
		return a, nil
	}
	err = p.run(ctx, use{what: "read the endorsement key"}, func(c *tpmio.Conn) error {
		if err := p.same(set); err != nil {
			return err
		}
		e, err := s.findEndorsement(c)
		if err != nil {
			return err
		}
		p.cool(c)
		ek, err := e.open(c)
		if err != nil {
			return err
		}
		defer ek.done()
		a.Endorsement, a.Certificate = ek.public, e.certificate
		return nil
	})
	return a, err
}

// CertifyKeys opens a credential that was made for this TPM and this attestation
// key, and has the attestation key state that dk, tk and tkS are in this TPM
// (tpm.md section 6). The statements are bound to the secret of the credential.
func (s *Store) CertifyKeys(ctx context.Context, id string, credential, encryptedSecret []byte) (Statements, error) {
	if len(credential) == 0 || len(credential) > maxCredential || len(encryptedSecret) == 0 || len(encryptedSecret) > maxCredential {
		return Statements{}, prterr.New(prterr.Invalid, "credential_blob, encrypted_secret: give 1 to %d bytes each", maxCredential)
	}
	set, p, err := s.pending(id)
	if err != nil {
		return Statements{}, err
	}
	if set.Attestation.empty() || p.provider == Software {
		return Statements{}, prterr.New(prterr.Conflict, "key_set_id: the keys of this set cannot be attested: register without attestation")
	}
	var out Statements
	u := use{what: "attest the device keys", purpose: purposeAttest, set: set.ID}
	err = p.run(ctx, u, func(c *tpmio.Conn) error {
		if err := p.same(set); err != nil {
			return err
		}
		secret, err := s.activate(c, p, set, credential, encryptedSecret)
		if err != nil {
			return err
		}
		bound := sha256.Sum256(append([]byte(attestationLabel), secret...))
		clear(secret)
		for _, k := range []struct {
			purpose string
			key     blob
			into    *Statement
		}{
			{purposeDK, set.Device, &out.Device}, {purposeTK, set.Transport, &out.Transport}, {purposeStore, set.Storage, &out.Storage},
		} {
			if k.purpose == purposeStore && !s.cfg.Native {
				continue
			}
			if *k.into, err = s.certify(c, p, set, k.purpose, k.key, bound[:]); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// activate opens the credential: the TPM does so only if it is for its endorsement
// key and names the attestation key. It takes all three slots.
func (s *Store) activate(c *tpmio.Conn, p *chip, set *keySet, credential, encryptedSecret []byte) ([]byte, error) {
	e, err := s.findEndorsement(c)
	if err != nil {
		return nil, err
	}
	ak, err := s.loadAttestation(c, p, set)
	if err != nil {
		return nil, err
	}
	ek, err := e.open(c)
	if err != nil {
		return nil, err
	}
	defer ek.done()
	r, err := tpm2.ActivateCredential{
		ActivateHandle: ak,
		KeyHandle:      tpm2.AuthHandle{Handle: ek.handle, Name: ek.name, Auth: policy(c, endorsementPolicy(c))},
		CredentialBlob: tpm2.TPM2BIDObject{Buffer: credential},
		Secret:         tpm2.TPM2BEncryptedSecret{Buffer: encryptedSecret},
	}.Execute(c)
	if badBlob(err) {
		return nil, prterr.New(prterr.Denied, "credential_blob: it is not for this TPM and this key set: ask for a new challenge")
	}
	if err != nil {
		return nil, err
	}
	return r.CertInfo.Buffer, nil
}

// endorsementPolicy is what the standard endorsement keys want: the endorsement
// hierarchy's authorisation, which is empty.
func endorsementPolicy(c *tpmio.Conn) policySteps {
	return func(session tpm2.TPMISHPolicy, nonce tpm2.TPM2BNonce) error {
		_, err := tpm2.PolicySecret{
			AuthHandle:    tpm2.AuthHandle{Handle: tpm2.TPMRHEndorsement, Auth: tpm2.PasswordAuth(nil)},
			PolicySession: session, NonceTPM: nonce,
		}.Execute(c)
		return err
	}
}

// loadAttestation puts ak into the slot of the hot key.
func (s *Store) loadAttestation(c *tpmio.Conn, p *chip, set *keySet) (tpm2.AuthHandle, error) {
	h, err := p.load(c, set.Attestation)
	if err != nil {
		return tpm2.AuthHandle{}, err
	}
	return s.authorised(c, set, purposeAttest, set.Attestation, h)
}

// authorised names a loaded key for a command of go-tpm, with its authorisation
// value in the encrypted session.
func (s *Store) authorised(c *tpmio.Conn, set *keySet, purpose string, b blob, h tpm2.TPMHandle) (tpm2.AuthHandle, error) {
	name, err := b.name()
	if err != nil {
		return tpm2.AuthHandle{}, err
	}
	auth := s.auth(set, purpose)
	return tpm2.AuthHandle{Handle: h, Name: tpm2.TPM2BName{Buffer: name}, Auth: c.Session(auth.Reveal(), tpmio.Neither)}, nil
}

// certify has ak state one key.
func (s *Store) certify(c *tpmio.Conn, p *chip, set *keySet, purpose string, key blob, bound []byte) (Statement, error) {
	ak, err := s.loadAttestation(c, p, set)
	if err != nil {
		return Statement{}, err
	}
	h, done, err := p.beside(c, key)
	if err != nil {
		return Statement{}, err
	}
	defer done()
	name, err := key.name()
	if err != nil {
		return Statement{}, err
	}
	auth := s.auth(set, purpose)
	defer auth.Wipe()
	r, err := tpm2.Certify{
		// One session cannot stand twice in a command, so the key itself has its value
		// as a password. It is good for this key under this parent only.
		ObjectHandle:   tpm2.AuthHandle{Handle: h, Name: tpm2.TPM2BName{Buffer: name}, Auth: tpm2.PasswordAuth(auth.Reveal())},
		SignHandle:     ak,
		QualifyingData: tpm2.TPM2BData{Buffer: bound},
		InScheme:       tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgNull},
	}.Execute(c)
	if err != nil {
		return Statement{}, err
	}
	return Statement{Public: key.Public, Attest: r.CertifyInfo.Bytes(), Signature: tpm2.Marshal(r.Signature)}, nil
}
