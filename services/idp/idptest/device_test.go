package idptest_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entracarrier"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp/idptest"
)

// TestREG26_AttestedOverHTTPS: a strict tenant takes the keys of a TPM in software
// over the wire that everybody speaks, and no keys that are not attested.
func TestREG26_AttestedOverHTTPS(t *testing.T) {
	tenant, ctx := idptest.New(t, idptest.WithProfile("strict")), context.Background()
	d := tenant.NewDevice(t)
	r, err := d.Enrolment(ctx, tenant.User, tenant.Password)
	if err != nil {
		t.Fatal(err)
	}
	attested := r.GetAttestation()
	r.Attestation = nil
	_, err = d.Register(ctx, r)
	if prterr.KindOf(err) != prterr.Denied {
		t.Errorf("without attestation: %v", err)
	}
	r.Attestation = attested
	a, err := d.Register(ctx, r)
	if err != nil || a.GetKeyProtection() != idpv1.KeyProtection_KEY_PROTECTION_EMULATED || !a.GetNativeSessionKeys() || a.GetTenantId() != tenant.ID {
		t.Fatalf("%v, %v", a, err)
	}
	if _, err := d.Register(ctx, r); prterr.KindOf(err) != prterr.Invalid {
		t.Errorf("the same attestation again: %v", err)
	}
	replaced(t, tenant, d, a.GetCertificate())
}

// TestT9_TheSameRegistrationOverHTTPS is asked again with a new attestation of the same
// keys, as after an answer that was lost.
func TestT9_TheSameRegistrationOverHTTPS(t *testing.T) {
	tenant := idptest.New(t)
	d := tenant.NewDevice(t)
	var first []byte
	for range 2 {
		r, err := d.Enrolment(t.Context(), tenant.User, tenant.Password)
		if err != nil {
			t.Fatal(err)
		}
		a, err := d.Register(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = a.GetCertificate()
		}
		if !bytes.Equal(a.GetCertificate(), first) {
			t.Error("another certificate")
		}
	}
	if devices, err := tenant.Admin.Devices(t.Context()); err != nil || len(devices) != 1 {
		t.Errorf("%d devices, %v", len(devices), err)
	}
}

// replaced puts the keys of another TPM in the place of a device's own.
func replaced(t *testing.T, tenant *idptest.Tenant, old *idptest.Device, certificate []byte) {
	t.Helper()
	ctx, next := context.Background(), tenant.NewDevice(t)
	r, err := next.Enrolment(ctx, tenant.User, tenant.Password)
	if err != nil {
		t.Fatal(err)
	}
	carrier, err := entracarrier.New(entracarrier.Config{Client: tenant.HTTPClient()})
	if err != nil {
		t.Fatal(err)
	}
	proof := func() string {
		n, err := idpv1.NewNonceServiceClient(carrier).IssueNonce(ctx, &idpv1.IssueNonceRequest{})
		if err != nil {
			t.Fatal(err)
		}
		claims, err := entrawire.KeyReplacement{
			GrantType: entrawire.GrantKeyReplacement, Iss: entrawire.BrokerIssuer, RequestNonce: n.GetNonce(),
			DK: entrawire.KeyThumbprint(spki(t, next.Signer().Public())), TK: entrawire.KeyThumbprint(r.GetTransportKey()),
		}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		signed, err := jose.SignRS256(jose.Header{Typ: "JWT", X5C: [][]byte{certificate}}, claims, old.Signer())
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	ask := &idpv1.ReplaceDeviceKeysRequest{Request: proof(), CertificateRequest: r.GetCertificateRequest(), TransportKey: r.GetTransportKey()}
	if _, err := next.Replace(ctx, ask); prterr.KindOf(err) != prterr.Denied {
		t.Errorf("keys that are not attested: %v", err)
	}
	ask.Request, ask.Attestation = proof(), r.GetAttestation()
	a, err := next.Replace(ctx, ask)
	if err != nil || a.GetKeyProtection() != idpv1.KeyProtection_KEY_PROTECTION_EMULATED || !a.GetNativeSessionKeys() || a.GetTenantId() != tenant.ID || a.GetThumbprint() == "" {
		t.Fatalf("%v, %v", a, err)
	}
	devices, err := tenant.Admin.Devices(ctx)
	if err != nil || len(devices) != 1 || devices[0].GetCertificateThumbprint() != a.GetThumbprint() || devices[0].GetKeyProtection() != "emulated" {
		t.Errorf("%v, %v", devices, err)
	}
	ask.Request = proof()
	if again, err := next.Replace(ctx, ask); err != nil || again.GetThumbprint() != a.GetThumbprint() {
		t.Errorf("asked once more, as after a lost answer: %v, %v", again, err)
	}
	other, err := tenant.NewDevice(t).Enrolment(ctx, tenant.User, tenant.Password)
	if err != nil {
		t.Fatal(err)
	}
	ask.Request, ask.CertificateRequest, ask.TransportKey = proof(), other.GetCertificateRequest(), other.GetTransportKey()
	if _, err := next.Replace(ctx, ask); err == nil {
		t.Error("the old key replaces keys")
	}
	claims := entrawire.DeviceProof{GrantType: entrawire.GrantDeviceCheck, Iss: entrawire.BrokerIssuer}
	n, err := idpv1.NewNonceServiceClient(carrier).IssueNonce(ctx, &idpv1.IssueNonceRequest{})
	if err != nil {
		t.Fatal(err)
	}
	claims.RequestNonce = n.GetNonce()
	payload, err := claims.Encode()
	if err != nil {
		t.Fatal(err)
	}
	signed, err := jose.SignRS256(jose.Header{Typ: "JWT", X5C: [][]byte{certificate}}, payload, old.Signer())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := idpv1.NewDeviceRegistrationServiceClient(carrier).CheckDevice(ctx, &idpv1.CheckDeviceRequest{Request: signed}); prterr.CodeOf(err) != aadsts.DeviceAuthenticationFailed {
		t.Errorf("a check with the old key: %v", err)
	}
}

func spki(t *testing.T, key crypto.PublicKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}
