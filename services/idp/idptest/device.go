package idptest

import (
	"context"
	"crypto"
	"testing"

	"github.com/google/go-tpm/tpm2"

	"github.com/lockstep-sso/lockstep/pkg/entracarrier"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/softtpm"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/attestation/attestationtest"
)

// Device is a device of a test whose keys are in a TPM in software, by a maker of
// emulators whom every tenant of idptest trusts. It can be attested.
type Device struct {
	chip    *attestationtest.Chip
	tenant  *Tenant
	carrier *entracarrier.Carrier
}

// NewDevice makes a device with new keys. It is not registered yet.
func (t *Tenant) NewDevice(tb testing.TB) *Device {
	tb.Helper()
	tpm, err := softtpm.New(softtpm.Config{Now: t.Clock.Now})
	if err != nil {
		tb.Fatalf("idptest: %v", err)
	}
	tb.Cleanup(func() { _ = tpm.Close() }) // it keeps nothing
	if _, err := (tpm2.Startup{StartupType: tpm2.TPMSUClear}).Execute(tpm); err != nil {
		tb.Fatalf("idptest: %v", err)
	}
	d := &Device{chip: attestationtest.NewChip(tb, tpm, tpm2.ECCEKTemplate), tenant: t}
	d.chip.Certificate = t.maker.Certificate(tb, d.chip.EK(), nil)
	if d.carrier, err = entracarrier.New(entracarrier.Config{Client: t.HTTPClient()}); err != nil {
		tb.Fatalf("idptest: %v", err)
	}
	return d
}

// Signer signs with the device key, RSA PKCS#1 with SHA-256, in the TPM.
func (d *Device) Signer() crypto.Signer { return d.chip.Signer() }

// Unwrap opens what was encrypted for the transport key, RSA-OAEP with SHA-1.
func (d *Device) Unwrap(ciphertext []byte) []byte { return d.chip.Unwrap(ciphertext) }

// TransportKey is the public half of the transport key, an RSA1 blob.
func (d *Device) TransportKey() ([]byte, error) { return entrawire.MarshalRSA1(d.chip.TransportKey()) }

// Attestation asks the tenant for a challenge, over HTTPS, and answers it.
func (d *Device) Attestation(ctx context.Context) (*idpv1.Attestation, error) {
	c, err := idpv1.NewDeviceRegistrationServiceClient(d.carrier).RequestAttestationChallenge(ctx, d.chip.Request(d.tenant.ID))
	if err != nil {
		return nil, err
	}
	return d.chip.Answer(c), nil
}

// Enrolment is an honest request to join the device for a user, attested.
func (d *Device) Enrolment(ctx context.Context, user, password string) (*idpv1.RegisterDeviceRequest, error) {
	token, err := idpv1.NewDeviceRegistrationServiceClient(d.carrier).RequestRegistrationToken(ctx, &idpv1.RequestRegistrationTokenRequest{
		UserPrincipalName: user, Password: password,
	})
	if err != nil {
		return nil, err
	}
	csr, err := entrawire.CreateCSR(d.Signer())
	if err != nil {
		return nil, err
	}
	key, err := d.TransportKey()
	if err != nil {
		return nil, err
	}
	attestation, err := d.Attestation(ctx)
	return &idpv1.RegisterDeviceRequest{
		AccessToken: token.GetAccessToken(), JoinType: idpv1.JoinType_JOIN_TYPE_JOIN, CertificateRequest: csr, TransportKey: key,
		DisplayName: "DEVICE-1", DeviceType: "Linux", OsVersion: "1", TargetDomain: d.tenant.Domain, Attestation: attestation,
	}, err
}

// Register sends an enrolment, over HTTPS.
func (d *Device) Register(ctx context.Context, r *idpv1.RegisterDeviceRequest) (*idpv1.RegisterDeviceResponse, error) {
	return idpv1.NewDeviceRegistrationServiceClient(d.carrier).RegisterDevice(ctx, r)
}

// Replace sends a request for new keys, over HTTPS.
func (d *Device) Replace(ctx context.Context, r *idpv1.ReplaceDeviceKeysRequest) (*idpv1.ReplaceDeviceKeysResponse, error) {
	return idpv1.NewDeviceRegistrationServiceClient(d.carrier).ReplaceDeviceKeys(ctx, r)
}
