package enrol

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	"github.com/lockstep-sso/lockstep/services/dsreg/internal/state"
)

// Bounds of what an attestation is made of, in bytes; the contracts have them.
const (
	maxPublicArea  = 1 << 10
	maxCertificate = 4 << 10
	maxCredential  = 512
	maxChallenge   = 16 << 10
)

// offer makes of a pending key set what a tenant is asked to take. tenant is its id
// or one of its domains.
func (e *Enroller) offer(ctx context.Context, keys state.Keys, tenant string) (offer, error) {
	csr, err := e.keys.request(ctx, keys)
	if err != nil {
		return offer{}, err
	}
	attestation, err := e.attest(ctx, keys, tenant)
	return offer{keys: keys, request: csr, attestation: attestation}, err
}

// attest has the TPM prove to the tenant that the keys of a pending set live in it
// (credential activation, TPM 2.0 Part 1, 24). It is nil without an error when there
// is nobody to vouch for the keys, which is so in software, or nobody who asks: an
// identity provider like Entra has no such call. Whether keys may do without is the
// tenant's to judge. Every other failure ends the registration: a proof that was
// begun and does not come to its end is not to be passed over in silence.
func (e *Enroller) attest(ctx context.Context, keys state.Keys, tenant string) (*idpv1.Attestation, error) {
	who, err := e.keys.attestationKeys(ctx, keys.ID)
	if err != nil || len(who.GetEndorsementKey()) == 0 {
		return nil, err
	}
	challenge, err := e.cloud.challenge(ctx, who, tenant)
	if prterr.KindOf(err) == prterr.NotFound && prterr.CodeOf(err) == 0 {
		e.log.InfoContext(ctx, "the identity provider asks for no attestation: the keys are registered without")
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	said, err := e.keys.certify(ctx, keys.ID, challenge)
	if err != nil {
		return nil, err
	}
	e.points.Reached("attested")
	return &idpv1.Attestation{
		Challenge: challenge.GetChallenge(), DeviceKey: statement(said.GetDeviceKey()),
		TransportKey: statement(said.GetTransportKey()), StorageKey: statement(said.GetStorageKey()),
	}, nil
}

func statement(s *tpmv1.KeyStatement) *idpv1.KeyStatement {
	if s == nil {
		return nil
	}
	return &idpv1.KeyStatement{PublicArea: s.GetPublicArea(), Attestation: s.GetAttestation(), Signature: s.GetSignature()}
}

// challenge asks for a credential that only this TPM opens.
func (c cloud) challenge(ctx context.Context, who *tpmv1.DescribeAttestationKeysResponse, tenant string) (*idpv1.RequestAttestationChallengeResponse, error) {
	resp, err := c.devices.RequestAttestationChallenge(ctx, &idpv1.RequestAttestationChallengeRequest{
		EndorsementKey: who.GetEndorsementKey(), EndorsementCertificate: who.GetEndorsementCertificate(),
		AttestationKey: who.GetAttestationKey(), Tenant: tenant,
	})
	if err != nil {
		return nil, err
	}
	switch {
	case !within(len(resp.GetChallenge()), maxChallenge):
		return nil, refuse("challenge is empty or too long")
	case !within(len(resp.GetCredentialBlob()), maxCredential), !within(len(resp.GetEncryptedSecret()), maxCredential):
		return nil, refuse("credential_blob or encrypted_secret is empty or too long")
	}
	return resp, nil
}

// attestationKeys are the public halves that a credential is made for.
func (k keyring) attestationKeys(ctx context.Context, set string) (*tpmv1.DescribeAttestationKeysResponse, error) {
	resp, err := k.keys.DescribeAttestationKeys(ctx, &tpmv1.DescribeAttestationKeysRequest{KeySetId: set})
	if err != nil || len(resp.GetEndorsementKey()) == 0 {
		return nil, err
	}
	if len(resp.GetEndorsementKey()) > maxPublicArea || len(resp.GetEndorsementCertificate()) > maxCertificate || !within(len(resp.GetAttestationKey()), maxPublicArea) {
		return nil, badKeys("a key for attestation is missing or too long")
	}
	return resp, nil
}

// certify has the statements made.
func (k keyring) certify(ctx context.Context, set string, c *idpv1.RequestAttestationChallengeResponse) (*tpmv1.CertifyDeviceKeysResponse, error) {
	resp, err := k.keys.CertifyDeviceKeys(ctx, &tpmv1.CertifyDeviceKeysRequest{
		KeySetId: set, CredentialBlob: c.GetCredentialBlob(), EncryptedSecret: c.GetEncryptedSecret(),
	})
	if err != nil {
		return nil, err
	}
	if !whole(resp.GetDeviceKey()) || !whole(resp.GetTransportKey()) || resp.GetStorageKey() != nil && !whole(resp.GetStorageKey()) {
		return nil, badKeys("a statement of the attestation is missing or too long")
	}
	return resp, nil
}

func whole(s *tpmv1.KeyStatement) bool {
	return within(len(s.GetPublicArea()), maxPublicArea) && within(len(s.GetAttestation()), maxPublicArea) && within(len(s.GetSignature()), maxPublicArea)
}

func within(n, most int) bool { return n > 0 && n <= most }
