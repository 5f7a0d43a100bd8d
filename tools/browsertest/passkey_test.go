package browsertest

import (
	"slices"
	"testing"

	"github.com/lockstep-sso/lockstep/tools/browsertest/internal/app"
	"github.com/lockstep-sso/lockstep/tools/browsertest/internal/chrome"
)

// newPasskey registers a passkey in a window with an authenticator of its own.
func newPasskey(t testing.TB, p *person) (*browser, *chrome.Authenticator) {
	t.Helper()
	b := private(t)
	a := b.Authenticator()
	b.security(p)
	b.add("Passkey or security key")
	b.See("#display")
	b.page("register a passkey: its name")
	b.Type("#display", "Key of "+p.name)
	b.Click("#idSIButton9")
	b.registered("fido2")
	if n := len(a.Keys()); n != 1 {
		t.Fatalf("the authenticator holds %d keys\n%s", n, b.State())
	}
	b.page("security information with a passkey")
	return b, a
}

// plugIn puts a copy of an authenticator's keys into one at this window's machine.
func plugIn(b *browser, from *chrome.Authenticator) *chrome.Authenticator {
	b.t.Helper()
	a := b.Authenticator()
	for _, k := range from.Keys() {
		a.Give(k)
	}
	return a
}

// The authenticator knows who it is: nobody types a name, and it counts as two
// factors. The browser offers it under the box for the name, and a person takes it.
func TestPasskeyFromTheList(t *testing.T) {
	t.Parallel()
	p := newPerson(t, "Lisa")
	_, key := newPasskey(t, p)
	p.demandMFA()
	b := private(t)
	plugIn(b, key)
	s := the.app.Begin()
	b.Go(s.URL)
	b.withPasskey(s, p)
}

func (b *browser) withPasskey(s *app.SignIn, p *person) {
	b.t.Helper()
	if got := b.done(s, p).AMR(); !slices.Contains(got, "fido") || !slices.Contains(got, "mfa") {
		b.t.Errorf("methods of the token are %v", got)
	}
}

// The same by the button, in a browser that does not offer it.
func TestPasskeyWithoutAName(t *testing.T) {
	t.Parallel()
	p := newPerson(t, "Fido")
	_, key := newPasskey(t, p)
	p.demandMFA()
	b := private(t)
	b.Older()
	plugIn(b, key)
	s := the.app.Begin()
	b.Go(s.URL)
	b.Press("#idPasskey")
	b.withPasskey(s, p)
}

// A passkey as the second factor after a password. The key is plugged in when it is
// asked for: the first page would take it at once.
func TestPasskeyAsTheSecondFactor(t *testing.T) {
	t.Parallel()
	p := newPerson(t, "Sefa")
	_, key := newPasskey(t, p)
	p.demandMFA()
	b := private(t)
	at := b.factor(p)
	plugIn(b, key)
	if b.Sees(`[data-value="FidoKey"]`) {
		b.Click(`[data-value="FidoKey"]`)
	} else {
		b.Click("#passkey #idSIButton9")
	}
	if got := at.done().AMR(); !slices.Contains(got, "pwd") || !slices.Contains(got, "mfa") {
		t.Errorf("methods of the token are %v", got)
	}
}

// An authenticator that does not recognise its user proves nothing.
func TestPasskeyOfSomebodyElse(t *testing.T) {
	t.Parallel()
	p := newPerson(t, "Uma")
	_, key := newPasskey(t, p)
	b := private(t)
	plugIn(b, key).Verifies(false)
	s := the.app.Begin("login_hint", p.name)
	b.Go(s.URL)
	if !b.Sees("#passkey") {
		b.otherWay("passkey")
	}
	b.Reads("#state", "did not work")
	b.page("passkey refused by the authenticator")
	// The password is still there.
	b.otherWay("password")
	b.Type("#i0118", p.password)
	b.Press("#idSIButton9")
	amr(t, b.done(s, p).AMR(), "pwd")
}
