package front

import (
	"net/http"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// The shapes of pkg/entrawire for what is ours, over the contract's messages.
type (
	attestation entrawire.Attestation
	keyState    entrawire.KeyState
)

// message is nil for a client that sent none.
func (a *attestation) message() *idpv1.Attestation {
	if a == nil {
		return nil
	}
	out := &idpv1.Attestation{Challenge: a.Challenge, DeviceKey: statement(a.DeviceKey), TransportKey: statement(a.TransportKey)}
	if a.StorageKey != nil {
		out.StorageKey = statement(*a.StorageKey)
	}
	return out
}

func statement(s entrawire.KeyStatement) *idpv1.KeyStatement {
	return &idpv1.KeyStatement{PublicArea: s.PublicArea, Attestation: s.Attestation, Signature: s.Signature}
}

// state is what the answer says of the keys, and nothing for a client that sent no
// attestation: to it the answer is Entra's.
func (a *attestation) state(p idpv1.KeyProtection, native bool) *keyState {
	if a == nil {
		return nil
	}
	return &keyState{Protection: protectionName(p), NativeSessionKeys: native}
}

func protectionName(p idpv1.KeyProtection) string {
	switch p {
	case idpv1.KeyProtection_KEY_PROTECTION_HARDWARE:
		return entrawire.ProtectionHardware
	case idpv1.KeyProtection_KEY_PROTECTION_EMULATED:
		return entrawire.ProtectionEmulated
	default:
		return entrawire.ProtectionSoftware
	}
}

// attestationChallenge makes a credential for a TPM.
func (x *exchange) attestationChallenge() error {
	var q entrawire.ChallengeRequest
	if err := x.object(&q); err != nil {
		return err
	}
	a, err := x.devices.RequestAttestationChallenge(x.ctx, &idpv1.RequestAttestationChallengeRequest{
		Caller: x.caller(), EndorsementKey: q.EndorsementKey, EndorsementCertificate: q.EndorsementCertificate, AttestationKey: q.AttestationKey, Tenant: q.Tenant,
	})
	if err != nil {
		return err
	}
	x.json(http.StatusOK, entrawire.ChallengeAnswer{Challenge: a.GetChallenge(), CredentialBlob: a.GetCredentialBlob(), EncryptedSecret: a.GetEncryptedSecret()})
	return nil
}

// replaceKeys puts new keys in the place of those of the device that signed.
func (x *exchange) replaceKeys() error {
	var e struct {
		enrolment
		Request string `json:"Request"`
	}
	if err := x.object(&e); err != nil {
		return err
	}
	csr, err := e.csr()
	if err != nil {
		return err
	}
	key, err := decodeField("TransportKey", e.TransportKey)
	if err != nil {
		return err
	}
	a, err := x.devices.ReplaceDeviceKeys(x.ctx, &idpv1.ReplaceDeviceKeysRequest{
		Caller: x.caller(), Request: e.Request, CertificateRequest: csr, TransportKey: key, Attestation: e.Attestation.message(),
	})
	if err != nil {
		return err
	}
	out := newEnrolled(a.GetCertificate(), a.GetThumbprint(), "")
	out.Keys = &keyState{Protection: protectionName(a.GetKeyProtection()), NativeSessionKeys: a.GetNativeSessionKeys()}
	x.json(http.StatusOK, out)
	return nil
}

// checkDevice answers whether the tenant takes the device that signed.
func (x *exchange) checkDevice() error {
	var q struct {
		Request string `json:"Request"`
	}
	if err := x.object(&q); err != nil {
		return err
	}
	if _, err := x.devices.CheckDevice(x.ctx, &idpv1.CheckDeviceRequest{Caller: x.caller(), Request: q.Request}); err != nil {
		return err
	}
	x.json(http.StatusOK, struct{}{})
	return nil
}
