package idp_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/tpmagenttest"
)

const helloPIN = "135790"

// agentDevice is a device whose keys are in a real tpm-agent.
type agentDevice struct {
	agent *tpmagenttest.Agent
	user  *tpmv1.HelloUser
	id    string
}

func joinAgent(t *testing.T, w *world, clk clock.Clock) *agentDevice {
	t.Helper()
	a := tpmagenttest.Soft(t, clk)
	made, err := a.Devices().CreateDeviceKeys(t.Context(), &tpmv1.CreateDeviceKeysRequest{})
	if err != nil {
		t.Fatal(err)
	}
	csr, err := a.Devices().CreateCertificateRequest(t.Context(), &tpmv1.CreateCertificateRequestRequest{KeySetId: made.GetKeySetId()})
	if err != nil {
		t.Fatal(err)
	}
	r := (&device{w: w, dk: rsaKeys()[1], tk: rsaKeys()[1]}).enrolment(t, alice, alicePassword)
	r.CertificateRequest, r.TransportKey = csr.GetCertificateRequest(), made.GetTransportPublicKey()
	registered, err := w.devices.RegisterDevice(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	_, err = a.Devices().InstallDeviceCertificate(t.Context(), &tpmv1.InstallDeviceCertificateRequest{
		KeySetId: made.GetKeySetId(), Certificate: registered.GetCertificate(),
	})
	if err != nil {
		t.Fatal(err)
	}
	d := &device{w: w}
	d.adopt(t, registered.GetCertificate())
	return &agentDevice{agent: a, id: d.id, user: &tpmv1.HelloUser{TenantId: contoso, UserId: string(w.userOf(t, alice).ID)}}
}

func (d *agentDevice) request(t *testing.T, upn, nonce string) string {
	t.Helper()
	r, err := d.agent.Hello().SignHelloPRTRequest(t.Context(), &tpmv1.SignHelloPRTRequestRequest{
		User: d.user, UserPrincipalName: upn, Pin: helloPIN, RequestNonce: nonce,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r.GetRequest()
}

// TestHEL08_TheKeyInTheTPMSignsTheUserIn: the key is made in the TPM with a PIN and
// registered with fresh second factors; its assertion gets a PRT, once for its nonce,
// for its user, for its time, and not after a destructive reset.
func TestHEL08_HEL10_TheKeyInTheTPMSignsTheUserIn(t *testing.T) {
	lab := clock.NewLab()
	w := newWorld(t, idp.Config{Clock: lab})
	d := joinAgent(t, w, lab)
	made, err := d.agent.Hello().CreateHelloKey(t.Context(), &tpmv1.CreateHelloKeyRequest{User: d.user, Pin: helloPIN})
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.foreign(t).devices.RegisterHelloKey(t.Context(), &idpv1.RegisterHelloKeyRequest{
		AccessToken: w.registrationToken(t, alice, d.id, lab.Now(), nil), Key: made.GetPublicKey(), Caller: &idpv1.Caller{},
	})
	if err != nil {
		t.Fatal(err)
	}
	if a, err := w.requestPRT(d.request(t, alice, w.nonce(t))); err != nil || a.GetRefreshToken() == "" || a.GetSessionKeyJwe() == "" {
		t.Fatalf("%v, %v", a, err)
	}
	refused := func(what string, want aadsts.Code, request string) {
		t.Helper()
		if _, err := w.requestPRT(request); prterr.CodeOf(err) != want {
			t.Errorf("%s: %v, want %d", what, err, want)
		}
	}
	refused("a nonce of nobody", aadsts.InvalidNonce, d.request(t, alice, strings.Repeat("A", 43)))
	refused("another user", aadsts.KeyNotFound, d.request(t, bob, w.nonce(t)))
	stale := d.request(t, alice, w.nonce(t))
	lab.Advance(6 * time.Minute)
	refused("a stale assertion, whose nonce is stale too", aadsts.InvalidNonce, stale)

	// HEL10: a destructive reset. The identity provider still knows the old key, which
	// nobody has any more; the new one is unknown to it until it is registered.
	if _, err := d.agent.Hello().DeleteHelloKey(t.Context(), &tpmv1.DeleteHelloKeyRequest{User: d.user}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.agent.Hello().CreateHelloKey(t.Context(), &tpmv1.CreateHelloKeyRequest{User: d.user, Pin: helloPIN}); err != nil {
		t.Fatal(err)
	}
	refused("the new key before it is registered", aadsts.KeyNotFound, d.request(t, alice, w.nonce(t)))
}
