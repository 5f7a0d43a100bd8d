package server

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/secret"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/attestation"
	"github.com/lockstep-sso/lockstep/services/idp/internal/registration"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// RequestAttestationChallenge makes a credential for a TPM.
func (s *Registration) RequestAttestationChallenge(_ context.Context, req *idpv1.RequestAttestationChallengeRequest) (*idpv1.RequestAttestationChallengeResponse, error) {
	c, err := s.Devices.Challenge(req.GetTenant(), attestation.Keys{
		EndorsementKey: req.GetEndorsementKey(), EndorsementCertificate: req.GetEndorsementCertificate(), AttestationKey: req.GetAttestationKey(),
	})
	if err != nil {
		return nil, err
	}
	return &idpv1.RequestAttestationChallengeResponse{Challenge: c.Text, CredentialBlob: c.CredentialBlob, EncryptedSecret: c.EncryptedSecret}, nil
}

// ReplaceDeviceKeys puts new keys in the place of a device's own.
func (s *Registration) ReplaceDeviceKeys(ctx context.Context, req *idpv1.ReplaceDeviceKeysRequest) (*idpv1.ReplaceDeviceKeysResponse, error) {
	d, err := s.Devices.Replace(ctx, registration.Replacement{
		Request: secret.NewText(req.GetRequest()), CertificateRequest: req.GetCertificateRequest(), TransportKey: req.GetTransportKey(),
		Attestation: attested(req.GetAttestation()), Correlation: correlationOf(ctx, req.GetCaller()),
	})
	if err != nil {
		return nil, err
	}
	return &idpv1.ReplaceDeviceKeysResponse{
		Certificate: d.Certificate, Thumbprint: d.Thumbprint, TenantId: string(d.Tenant),
		KeyProtection: keyProtection(d.Protection), NativeSessionKeys: d.NativeSessionKeys,
	}, nil
}

// attested is nil for a device that proves nothing.
func attested(a *idpv1.Attestation) *attestation.Attestation {
	if a == nil {
		return nil
	}
	out := &attestation.Attestation{Challenge: a.GetChallenge(), Device: statement(a.GetDeviceKey()), Transport: statement(a.GetTransportKey())}
	if a.GetStorageKey() != nil {
		s := statement(a.GetStorageKey())
		out.Storage = &s
	}
	return out
}

func statement(s *idpv1.KeyStatement) attestation.Statement {
	return attestation.Statement{PublicArea: s.GetPublicArea(), Attestation: s.GetAttestation(), Signature: s.GetSignature()}
}

func keyProtection(p store.Protection) idpv1.KeyProtection {
	switch p {
	case store.ProtectionHardware:
		return idpv1.KeyProtection_KEY_PROTECTION_HARDWARE
	case store.ProtectionEmulated:
		return idpv1.KeyProtection_KEY_PROTECTION_EMULATED
	default:
		return idpv1.KeyProtection_KEY_PROTECTION_SOFTWARE
	}
}
