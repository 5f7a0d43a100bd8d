package attestation_test

import (
	"testing"

	"github.com/google/go-tpm/tpm2"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/attestation"
)

// FuzzStatement: no statement of a stranger's does more than be refused.
func FuzzStatement(f *testing.F) {
	s := newScene(f)
	for _, k := range []*idpv1.KeyStatement{s.honest.GetDeviceKey(), s.honest.GetTransportKey(), s.honest.GetStorageKey()} {
		f.Add(k.GetPublicArea(), k.GetAttestation(), k.GetSignature())
	}
	good := said(s.honest)
	f.Fuzz(func(t *testing.T, area, att, sig []byte) {
		a := good
		a.Storage = &attestation.Statement{PublicArea: area, Attestation: att, Signature: sig}
		v, err := s.Verify(contoso, a, s.dk, s.tk)
		if err == nil && string(v.StorageKey) == string(good.Storage.PublicArea) {
			return // what the attestation key did sign, or another writing of its numbers
		}
		wantRefused(t, err)
	})
}

// FuzzKeysOfATPM: whatever is sent as keys, a challenge or a refusal comes back.
func FuzzKeysOfATPM(f *testing.F) {
	s := newScene(f)
	q := s.rogue.Request("")
	f.Add(q.GetEndorsementKey(), q.GetEndorsementCertificate(), q.GetAttestationKey())
	rsa := tpm2.RSAEKTemplate
	rsa.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgRSA, &tpm2.TPM2BPublicKeyRSA{Buffer: rsaKeys()[0].N.Bytes()})
	f.Add(tpm2.Marshal(rsa), []byte{}, q.GetAttestationKey())
	for _, name := range []string{"swtpm-rsa.json", "swtpm-p384.json"} {
		x, _, _ := load(f, name)
		f.Add(x.EndorsementKey, x.EndorsementCertificate, x.AttestationKey)
	}
	f.Fuzz(func(t *testing.T, ek, cert, ak []byte) {
		c, err := s.Challenge(s.home, attestation.Keys{EndorsementKey: ek, EndorsementCertificate: cert, AttestationKey: ak})
		if err != nil && prterr.KindOf(err) != prterr.Invalid || err == nil && (c.Text == "" || len(c.CredentialBlob) > 512 || len(c.EncryptedSecret) > 512) {
			t.Fatalf("%d bytes, %v", len(c.CredentialBlob), err)
		}
	})
}
