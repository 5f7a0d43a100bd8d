package server

import (
	"context"

	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/keystore"
)

// DescribeAttestationKeys gives the public keys that a credential is made from.
func (s *DeviceKeys) DescribeAttestationKeys(ctx context.Context, r *tpmv1.DescribeAttestationKeysRequest) (*tpmv1.DescribeAttestationKeysResponse, error) {
	a, err := s.Store.DescribeAttestor(ctx, r.GetKeySetId())
	if err != nil {
		return nil, err
	}
	return &tpmv1.DescribeAttestationKeysResponse{
		EndorsementKey: a.Endorsement, EndorsementCertificate: a.Certificate, AttestationKey: a.Attestation,
	}, nil
}

// CertifyDeviceKeys has the attestation key state where the keys of a set live.
func (s *DeviceKeys) CertifyDeviceKeys(ctx context.Context, r *tpmv1.CertifyDeviceKeysRequest) (*tpmv1.CertifyDeviceKeysResponse, error) {
	out, err := s.Store.CertifyKeys(ctx, r.GetKeySetId(), r.GetCredentialBlob(), r.GetEncryptedSecret())
	if err != nil {
		return nil, err
	}
	return &tpmv1.CertifyDeviceKeysResponse{
		DeviceKey: statement(out.Device), TransportKey: statement(out.Transport), StorageKey: statement(out.Storage),
	}, nil
}

func statement(s keystore.Statement) *tpmv1.KeyStatement {
	if len(s.Public) == 0 {
		return nil
	}
	return &tpmv1.KeyStatement{PublicArea: s.Public, Attestation: s.Attest, Signature: s.Signature}
}

// SignKeyReplacement signs the proof that puts the keys of a pending set in the
// place of the installed ones.
func (s *DeviceKeys) SignKeyReplacement(ctx context.Context, r *tpmv1.SignKeyReplacementRequest) (*tpmv1.SignKeyReplacementResponse, error) {
	proof, err := s.Keys.SignKeyReplacement(ctx, r.GetKeySetId(), r.GetRequestNonce())
	if err != nil {
		return nil, err
	}
	return &tpmv1.SignKeyReplacementResponse{Request: proof}, nil
}

// CreateComputerCertificate self-signs the certificate of a computer of a domain.
func (s *DeviceKeys) CreateComputerCertificate(ctx context.Context, r *tpmv1.CreateComputerCertificateRequest) (*tpmv1.CreateComputerCertificateResponse, error) {
	der, err := s.Keys.ComputerCertificate(ctx, r.GetKeySetId(), r.GetComputerId())
	if err != nil {
		return nil, err
	}
	return &tpmv1.CreateComputerCertificateResponse{Certificate: der}, nil
}

// SignComputerIdentity signs the text that proves a synchronised computer.
func (s *DeviceKeys) SignComputerIdentity(ctx context.Context, r *tpmv1.SignComputerIdentityRequest) (*tpmv1.SignComputerIdentityResponse, error) {
	id, err := s.Keys.SignComputerIdentity(ctx, r.GetKeySetId(), r.GetComputerSid(), r.GetUnixTime())
	if err != nil {
		return nil, err
	}
	return &tpmv1.SignComputerIdentityResponse{ClientIdentity: id.Text, Signature: id.Signature}, nil
}

// TestDeviceKeys tests the installed keys.
func (s *DeviceKeys) TestDeviceKeys(ctx context.Context, _ *tpmv1.TestDeviceKeysRequest) (*tpmv1.TestDeviceKeysResponse, error) {
	results, err := s.Store.TestKeys(ctx)
	if err != nil {
		return nil, err
	}
	resp := &tpmv1.TestDeviceKeysResponse{}
	for _, r := range results {
		resp.Results = append(resp.Results, &tpmv1.KeyTestResult{Purpose: purpose(r.Purpose), Outcome: outcome(r.Outcome)})
	}
	return resp, nil
}

func outcome(o keystore.Outcome) tpmv1.KeyTestOutcome {
	switch o {
	case keystore.Passed:
		return tpmv1.KeyTestOutcome_KEY_TEST_OUTCOME_PASSED
	case keystore.Damaged:
		return tpmv1.KeyTestOutcome_KEY_TEST_OUTCOME_KEY_DAMAGED
	case keystore.Lost:
		return tpmv1.KeyTestOutcome_KEY_TEST_OUTCOME_KEYS_LOST
	default:
		return tpmv1.KeyTestOutcome_KEY_TEST_OUTCOME_TPM_FAILED
	}
}
