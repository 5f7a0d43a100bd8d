package idp_test

import (
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/tpmagenttest"
)

// joinAgent registers a device whose keys are in a real tpm-agent.
func joinAgent(t *testing.T, w *world, clk clock.Clock) (agent *tpmagenttest.Agent, id string) {
	t.Helper()
	a := tpmagenttest.Soft(t, clk)
	keys := a.Create()
	r := (&device{w: w, dk: rsaKeys()[1], tk: rsaKeys()[1]}).enrolment(t, alice, alicePassword)
	var err error
	if r.CertificateRequest, r.TransportKey, err = a.Enrolment(keys); err != nil {
		t.Fatal(err)
	}
	registered, err := w.devices.RegisterDevice(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Install(keys, registered.GetCertificate()); err != nil {
		t.Fatal(err)
	}
	d := &device{w: w}
	d.adopt(t, registered.GetCertificate())
	return a, d.id
}

// TestHEL08_HEL10_TheKeyInTheTPMSignsTheUserIn: the key is made in the TPM with a PIN
// and registered with fresh second factors; its assertion gets a PRT, once for its
// nonce, for its user, for its time, and not after a destructive reset.
func TestHEL08_HEL10_TheKeyInTheTPMSignsTheUserIn(t *testing.T) {
	lab := clock.NewLab()
	w := newWorld(t, idp.Config{Clock: lab})
	agent, device := joinAgent(t, w, lab)
	p := agent.Person(contoso, string(w.userOf(t, alice).ID), "135790")
	key, err := p.SetUpHello()
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.foreign(t).devices.RegisterHelloKey(t.Context(), &idpv1.RegisterHelloKeyRequest{
		AccessToken: w.registrationToken(t, alice, device, lab.Now(), nil), Key: key, Caller: &idpv1.Caller{},
	})
	if err != nil {
		t.Fatal(err)
	}
	request := func(upn, nonce string) string {
		t.Helper()
		r, err := p.HelloRequest(upn, nonce)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if a, err := w.requestPRT(request(alice, w.nonce(t))); err != nil || a.GetRefreshToken() == "" || a.GetSessionKeyJwe() == "" {
		t.Fatalf("%v, %v", a, err)
	}
	refused := func(what string, want aadsts.Code, request string) {
		t.Helper()
		if _, err := w.requestPRT(request); prterr.CodeOf(err) != want {
			t.Errorf("%s: %v, want %d", what, err, want)
		}
	}
	refused("a nonce of nobody", aadsts.InvalidNonce, request(alice, strings.Repeat("A", 43)))
	refused("another user", aadsts.KeyNotFound, request(bob, w.nonce(t)))
	stale := request(alice, w.nonce(t))
	lab.Advance(6 * time.Minute)
	refused("a stale assertion, whose nonce is stale too", aadsts.InvalidNonce, stale)

	// A destructive reset. The identity provider still knows the old key, which nobody
	// has any more; the new one is unknown to it until it is registered.
	if err := p.ForgetHello(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.SetUpHello(); err != nil {
		t.Fatal(err)
	}
	refused("the new key before it is registered", aadsts.KeyNotFound, request(alice, w.nonce(t)))
}
