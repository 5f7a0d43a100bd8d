package browsertest

import (
	"slices"
	"testing"

	"github.com/lockstep-sso/lockstep/tools/browsertest/internal/cloud"
	"github.com/lockstep-sso/lockstep/tools/browsertest/internal/device"
)

// account opens a window on a device that the person has signed in to: its pages
// of the sign-in host are asked for with a PRT cookie.
func account(t testing.TB, p *person) (*browser, *device.Device) {
	t.Helper()
	d, err := device.Join(t.Context(), device.Config{HTTP: the.cloud.HTTP, Login: cloud.Login, User: p.name, Password: p.password})
	if err != nil {
		t.Fatal(err)
	}
	b := private(t)
	ctx := t.Context()
	b.Account(cloud.Login, "x-ms-RefreshTokenCredential", func(address string) (string, error) { return d.Cookie(ctx, address) })
	return b, d
}

// With an account nothing is asked, and the token names the device; a private
// window of the same machine asks for everything.
func TestSingleSignOn(t *testing.T) {
	t.Parallel()
	p := newPerson(t, "Siri")
	b, d := account(t, p)
	s := the.app.Begin()
	b.Go(s.URL)
	tokens := b.done(s, p)
	if tokens.Access["deviceid"] != d.ID {
		t.Errorf("the token is of the device %v, not %s", tokens.Access["deviceid"], d.ID)
	}
	if !slices.Contains(tokens.AMR(), "pwd") {
		t.Errorf("methods of the token are %v", tokens.AMR())
	}
	alone := private(t)
	again := the.app.Begin()
	alone.Go(again.URL)
	alone.signIn(p)
	if tokens := alone.done(again, p); tokens.Access["deviceid"] != nil {
		t.Errorf("a private window has the device %v", tokens.Access["deviceid"])
	}
}

// The PRT of a password is one factor: what wants two asks for the second, and for
// nothing else.
func TestSingleSignOnWithASecondFactor(t *testing.T) {
	t.Parallel()
	p := newPerson(t, "Stan").authenticator(true, false)
	b, d := account(t, p)
	p.demandMFA()
	s := the.app.Begin()
	b.Go(s.URL)
	b.enter(p.code())
	tokens := b.done(s, p)
	for _, want := range []string{"pwd", "mfa", "otp"} {
		if !slices.Contains(tokens.AMR(), want) {
			t.Errorf("methods of the token are %v, without %s", tokens.AMR(), want)
		}
	}
	if tokens.Access["deviceid"] != d.ID {
		t.Errorf("the token is of the device %v, not %s", tokens.Access["deviceid"], d.ID)
	}
}
