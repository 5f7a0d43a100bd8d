package attestationtest

import (
	"crypto/sha256"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// Answer opens a credential and certifies the keys of the registration.
func (c *Chip) Answer(a *idpv1.RequestAttestationChallengeResponse) *idpv1.Attestation {
	c.t.Helper()
	sum := sha256.Sum256(append([]byte("Lockstep attestation\x00"), c.activate(a.GetCredentialBlob(), a.GetEncryptedSecret())...))
	return &idpv1.Attestation{
		Challenge: a.GetChallenge(), DeviceKey: c.certify(c.dk, sum[:]), TransportKey: c.certify(c.tk, sum[:]), StorageKey: c.certify(c.storage, sum[:]),
	}
}

func (c *Chip) activate(credential, encrypted []byte) (out []byte) {
	c.t.Helper()
	c.with(c.ak, func(ak handle) {
		ek := c.ek
		persistent := ek.handle>>24 == 0x81
		if !persistent {
			area := ek.area
			area.Unique = emptyUnique(area)
			ek = c.primary(tpm2.TPMRHEndorsement, area)
			defer c.flush(ek)
		}
		r, err := tpm2.ActivateCredential{
			ActivateHandle: ak.auth(tpm2.PasswordAuth(nil)), KeyHandle: ek.auth(c.endorsementAuth(ek)),
			CredentialBlob: tpm2.TPM2BIDObject{Buffer: credential}, Secret: tpm2.TPM2BEncryptedSecret{Buffer: encrypted},
		}.Execute(c.tpm)
		c.must(err)
		out = r.CertInfo.Buffer
	})
	return out
}

// emptyUnique is the field as the templates of the TCG have it.
func emptyUnique(area tpm2.TPMTPublic) tpm2.TPMUPublicID {
	if area.Type == tpm2.TPMAlgRSA {
		return tpm2.RSAEKTemplate.Unique
	}
	return tpm2.ECCEKTemplate.Unique
}

// endorsementAuth is what opens an endorsement key: its policy, or in the templates
// of the high range its own, empty, password (TCG EK profile, B.4).
func (c *Chip) endorsementAuth(ek handle) tpm2.Session {
	if ek.area.ObjectAttributes.UserWithAuth {
		return tpm2.PasswordAuth(nil)
	}
	return tpm2.Policy(tpm2.TPMAlgSHA256, 16, func(t transport.TPM, h tpm2.TPMISHPolicy, nonce tpm2.TPM2BNonce) error {
		_, err := tpm2.PolicySecret{
			AuthHandle:    tpm2.AuthHandle{Handle: tpm2.TPMRHEndorsement, Name: tpm2.HandleName(tpm2.TPMRHEndorsement), Auth: tpm2.PasswordAuth(nil)},
			PolicySession: h, NonceTPM: nonce,
		}.Execute(t)
		return err
	})
}

func (c *Chip) certify(b blob, extra []byte) (out *idpv1.KeyStatement) {
	c.t.Helper()
	c.with(c.ak, func(ak handle) {
		c.with(b, func(h handle) {
			r, err := tpm2.Certify{
				ObjectHandle: h.auth(tpm2.PasswordAuth(nil)), SignHandle: ak.auth(tpm2.PasswordAuth(nil)),
				QualifyingData: tpm2.TPM2BData{Buffer: extra}, InScheme: tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgNull},
			}.Execute(c.tpm)
			c.must(err)
			out = &idpv1.KeyStatement{PublicArea: tpm2.Marshal(b.area), Attestation: r.CertifyInfo.Bytes(), Signature: tpm2.Marshal(r.Signature)}
		})
	})
	return out
}
