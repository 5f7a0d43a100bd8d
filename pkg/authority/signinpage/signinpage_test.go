package signinpage_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/authority/signinpage"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

const (
	tenant = "11111111-1111-4111-8111-111111111111"
	app    = "44444444-4444-4444-8444-444444444444"
)

func begin(t testing.TB, r signinpage.Request) (url.Values, signinpage.State) {
	t.Helper()
	r.Tenant = tenant
	address, state := r.Begin("https://login.test", "n.o.nce")
	u, err := url.Parse(address)
	if err != nil || u.Host != "login.test" || u.Path != "/"+tenant+"/oauth2/authorize" {
		t.Fatal(address, err)
	}
	return u.Query(), state
}

// TestAPageAsksForWhatItIsFor: a PRT, a fresh second factor, or the consent of an app;
// and each has a state and a verifier of its own, of which only the hash is on the way.
func TestAPageAsksForWhatItIsFor(t *testing.T) {
	q, s := begin(t, signinpage.Request{Hint: "alice@contoso.test", Claims: `{"a":1}`, SignIn: true})
	challenge := sha256.Sum256([]byte(s.Verifier))
	for name, want := range map[string]string{
		"resource": signinpage.UpdateResource, "redirect_uri": signinpage.BrokerRedirect, "login_hint": "alice@contoso.test", "claims": `{"a":1}`,
		"prompt": "login", "sso_nonce": "n.o.nce", "state": s.State, "code_challenge": base64.RawURLEncoding.EncodeToString(challenge[:]), "amr_values": "",
	} {
		if q.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, q.Get(name), want)
		}
	}
	if strings.Contains(q.Encode(), s.Verifier) || len(s.Verifier) != 43 || len(s.State) != 43 {
		t.Error("the verifier is in the address, or is short")
	}
	if _, other := begin(t, signinpage.Request{}); other.State == s.State || other.Verifier == s.Verifier {
		t.Error("two pages have the same state")
	}
	q, s = begin(t, signinpage.Request{Client: app, Resource: "https://graph.test", Consents: true})
	if q.Get("client_id") != app || q.Get("resource") != "https://graph.test" || q.Get("redirect_uri") != signinpage.AppRedirect+app || s.Redirect != q.Get("redirect_uri") || q.Has("prompt") {
		t.Errorf("consent: %v", q)
	}
	if q, _ = begin(t, signinpage.Request{FreshFactor: true}); q.Get("amr_values") != "ngcmfa" {
		t.Errorf("fresh factor: %v", q)
	}
}

// TestTheEndOfAnotherPageIsNone: whoever sends a browser to our address does not know
// the state.
func TestTheEndOfAnotherPageIsNone(t *testing.T) {
	_, s := begin(t, signinpage.Request{})
	end := func(of string) (secret.Text, error) { return s.Code(secret.NewText(of)) }
	for _, good := range []string{
		signinpage.BrokerRedirect + "?code=1.c.d&state=" + s.State, strings.ToLower(signinpage.BrokerRedirect) + "?state=" + s.State + "&code=1.c.d#x",
	} {
		if code, err := end(good); err != nil || code.Reveal() != "1.c.d" {
			t.Errorf("%q, %v", code.Reveal(), err)
		}
	}
	for name, bad := range map[string]string{
		"no query": signinpage.BrokerRedirect, "another address": "https://evil.test/?code=c&state=" + s.State,
		"no state": signinpage.BrokerRedirect + "?code=c", "another state": signinpage.BrokerRedirect + "?code=c&state=x",
		"two states": signinpage.BrokerRedirect + "?code=c&state=" + s.State + "&state=" + s.State, "no code": signinpage.BrokerRedirect + "?state=" + s.State,
		"two codes": signinpage.BrokerRedirect + "?code=a&code=b&state=" + s.State, "bad code": signinpage.BrokerRedirect + "?code=a%20b&state=" + s.State,
		"an app's": signinpage.AppRedirect + app + "?code=c&state=" + s.State, "a stranger's error": signinpage.BrokerRedirect + "?error=access_denied&state=x",
	} {
		if code, err := end(bad); prterr.KindOf(err) != prterr.Denied || !code.Empty() || !strings.Contains(err.Error(), "begin again") {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := end(signinpage.BrokerRedirect + "?error=x&error_description=AADSTS50058:+secret+words&state=" + s.State)
	if prterr.CodeOf(err) != aadsts.UserInformationMissing || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
}

func TestStatesAreRead(t *testing.T) {
	_, s := begin(t, signinpage.Request{})
	raw, err := s.Encode()
	if err != nil || len(raw) > 4<<10 {
		t.Fatal(len(raw), err)
	}
	if got, err := signinpage.ReadState(raw); err != nil || got != s {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "{}", "[]", strings.Replace(string(raw), tenant, "common", 1), strings.Replace(string(raw), "verifier", "other", 1), strings.Repeat(" ", 5000) + string(raw)} {
		if _, err := signinpage.ReadState([]byte(bad)); prterr.KindOf(err) != prterr.Invalid {
			t.Errorf("%.40q: %v", bad, err)
		}
	}
}
