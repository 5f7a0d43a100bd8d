package idp_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// TestAttack05_ACookieIsGoodOnce: a cookie that was copied is worth nothing once it
// was used, whoever comes second. What remains is said here too: another cookie
// with the same nonce is taken where the profile lets a nonce stand in two
// requests, and whoever is first with a cookie that was never used signs in.
func TestAttack05_ACookieIsGoodOnce(t *testing.T) {
	for profile, works := range map[string]struct{ again, sameNonce bool }{"2020": {true, true}, "today": {false, true}, "strict": {false, false}} {
		t.Run(profile, func(t *testing.T) {
			p := newPages(t, idp.Config{Tenants: withProfile(profile)})
			s := p.join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword)
			visit := func(cookie string) bool {
				thief := &idpv1.Caller{UserAgent: "another machine", IpAddress: "192.0.2.7"}
				return p.visit(t, &idpv1.AuthorizeRequest{Caller: thief, RefreshTokenCredential: cookie, SsoReload: true}).GetSignedIn() != nil
			}
			n := p.nonce(t)
			cookie := s.sign(t, s.cookie(n))
			p.silent(t, &idpv1.AuthorizeRequest{RefreshTokenCredential: cookie})
			if got := visit(cookie); got != works.again {
				t.Errorf("again: %v", got)
			}
			if got := visit(s.sign(t, s.cookie(n))); got != works.sameNonce {
				t.Errorf("another cookie with the same nonce: %v", got)
			}
			if !works.again {
				contested(t, visit, s.sign(t, s.cookie(p.nonce(t))))
			}
			// Whoever was too late has not locked the owner out.
			p.silent(t, &idpv1.AuthorizeRequest{RefreshTokenCredential: s.sign(t, s.cookie(p.nonce(t)))})
		})
	}
}

// contested has many hosts bring one cookie at once.
func contested(t *testing.T, visit func(string) bool, cookie string) {
	t.Helper()
	var taken atomic.Int32
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if visit(cookie) {
				taken.Add(1)
			}
		})
	}
	wg.Wait()
	if n := taken.Load(); n != 1 {
		t.Errorf("of 16 at once %d signed in", n)
	}
}

// overHTTPS sends a request to the front and gives what comes back.
func (w *world) overHTTPS(r *http.Request) (status int, header http.Header, body string) {
	out := httptest.NewRecorder()
	w.svc.Handler().ServeHTTP(out, r)
	return out.Code, out.Header(), out.Body.String()
}

// authorizeURL is an honest visit with a query added.
func authorizeURL(more string) string {
	return "https://login.microsoftonline.com/common/oauth2/authorize?response_type=code&client_id=" + office + "&redirect_uri=" + url.QueryEscape(redirectOf(office)) + more
}

// TestAttack20_APassIsTakenAtItsFormAlone: where a pass is not asked for, it is a
// wrong password, and no name of a credential makes a PRT of it.
func TestAttack20_APassIsTakenAtItsFormAlone(t *testing.T) {
	p := newPages(t, idp.Config{})
	pass, _ := p.pass(t, alice, 0, false)
	_, _, page := p.overHTTPS(httptest.NewRequest(http.MethodGet, authorizeURL("&sso_reload=True"), nil))
	flow, canary := inConfig(t, page, "sFT"), inConfig(t, page, "canary")
	for _, field := range []string{"otc", "passwd"} {
		form := url.Values{"login": {alice}, "type": {"21"}, field: {pass}, "flowToken": {flow}, "canary": {canary}, "ctx": {""}}
		r := httptest.NewRequest(http.MethodPost, "https://login.microsoftonline.com/common/login", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if status, header, body := p.overHTTPS(r); strings.Contains(header.Get("Location")+body, "code=") {
			t.Errorf("%s: %d, signed in", field, status)
		}
	}
	d := p.join(t, alice, alicePassword, 1, 2)
	honest := claims{"client_id": entrawire.SignInClientID, "scope": "openid aza ugs", "username": alice}
	for name, change := range map[string]claims{
		"as a password":             {"grant_type": "password", "password": pass},
		"beside a password's place": {"grant_type": "password", "accesspass": pass},
		"a grant of its own":        {"grant_type": "accesspass", "accesspass": pass, "password": pass},
		"a broker's token of one":   {"grant_type": "refresh_token", "refresh_token": p.brokerToken(t, alice, func(a *sealed.Artefact) { a.Credential = "accesspass" })},
	} {
		p.unchanged(t, func() {
			a, err := p.requestPRT(d.sign(t, honest.with(change).with(claims{"request_nonce": p.nonce(t)})))
			if a.GetRefreshToken() != "" || prterr.CodeOf(err) == 0 {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

// inConfig is a text member of the $Config block of a page.
func inConfig(t testing.TB, page, name string) string {
	t.Helper()
	m := regexp.MustCompile(`"` + name + `":("(?:[^"\\]|\\.)*")`).FindStringSubmatch(page)
	if m == nil {
		t.Fatalf("no %s in %.300s", name, page)
	}
	text, err := strconv.Unquote(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestAttack23_NothingThatSignsInIsInAnAddress: an address ends up in histories,
// logs and the Referer of other sites. Neither PRT nor cookie comes back at all.
func TestAttack23_NothingThatSignsInIsInAnAddress(t *testing.T) {
	p := newPages(t, idp.Config{})
	s := p.join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword)
	for name, c := range map[string]struct {
		query  string
		cookie string
		want   string
	}{
		"signed in":     {"", s.sign(t, s.cookie(p.nonce(t))), "code="},
		"for a nonce":   {"", s.sign(t, s.cookie("not.one.of.ours")), "sso_nonce="},
		"on the page":   {"&sso_reload=True&prompt=login", s.sign(t, s.cookie(p.nonce(t))), ""},
		"no page":       {"&sso_reload=True&prompt=none", s.sign(t, s.cookie("not.one.of.ours")), "error="},
		"posted answer": {"&response_mode=form_post", s.sign(t, s.cookie(p.nonce(t))), ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, authorizeURL(c.query), nil)
			r.Header.Set("X-Ms-Refreshtokencredential", c.cookie)
			_, header, body := p.overHTTPS(r)
			to := header.Get("Location")
			if !strings.Contains(to, c.want) || (to == "") != (c.want == "") {
				t.Errorf("sent to %q", to)
			}
			all := to + body + strings.Join(header.Values("Set-Cookie"), "\n")
			for _, part := range append(strings.Split(c.cookie, "."), s.prt) {
				if strings.Contains(all, part) {
					t.Errorf("%.40s comes back", part)
				}
			}
		})
	}
}

// TestAttack25_AUserOfAnotherDomain: a federation provider speaks for its own
// domain, whoever has the ImmutableID that it names.
func TestAttack25_AUserOfAnotherDomain(t *testing.T) {
	const stolen = "ZnJhbmtzIGltbXV0YWJsZQ=="
	for _, said := range []idp.Subject{{ImmutableID: stolen, UPN: frank}, {ImmutableID: stolen, UPN: carol}} {
		w := newWorld(t, idp.Config{Tenants: federated(t), Assertions: oneAssertion{said}})
		victim := w.userOf(t, frank)
		err := w.svc.Store().UpdateUser(context.Background(), victim.Tenant, victim.ID, func(u *store.User) error {
			u.ImmutableID = stolen
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		d := w.join(t, frank, frankPassword, 1, 2)
		for _, name := range []string{"", frank, carol} {
			c := d.claims(t, name, "")
			c.GrantType, c.Assertion, c.Password = entrawire.GrantSAML1, entrawire.EncodeSAML("<good/>"), secret.Text{}
			_, err := w.requestPRT(d.sign(t, c))
			wantCode(t, err, aadsts.InvalidAssertion)
		}
	}
}

// TestAttack36_NoncesCostNothing: however many are asked for, nothing is kept, and
// none says who asked.
func TestAttack36_NoncesCostNothing(t *testing.T) {
	w := newWorld(t, idp.Config{})
	if n := new(idpv1.IssueNonceRequest).ProtoReflect().Descriptor().Fields().Len(); n != 0 {
		t.Errorf("a nonce is asked for with %d members", n)
	}
	size, events, one := w.svc.Replays().Len(), len(w.svc.SignIns()), w.nonce(t)
	w.unchanged(t, func() {
		for i := range 10_000 {
			issue := w.svc.Nonces().Issue
			if i%20 == 0 {
				issue = func() string { return w.nonce(t) } // all the way
			}
			if n := issue(); len(n) != len(one) || n == one {
				t.Fatalf("%s after %s", n, one)
			}
		}
	})
	if now := w.svc.Replays().Len(); now != size || len(w.svc.SignIns()) != events {
		t.Errorf("%d things are remembered, not %d", now, size)
	}
	// What was refused is not remembered either, and one nonce serves any tenant.
	bad := w.join(t, alice, alicePassword, 1, 2)
	for range 20 {
		if _, err := w.requestPRT(flipSignature(t, bad.sign(t, bad.claims(t, alice, alicePassword)), 9)); err == nil {
			t.Fatal("taken")
		}
	}
	if now := w.svc.Replays().Len(); now != size {
		t.Errorf("refused requests left %d things", now-size)
	}
	franks := w.join(t, frank, frankPassword, 3, 4)
	c := franks.claims(t, frank, frankPassword)
	c.RequestNonce = one
	franks.open(t, franks.sign(t, c))
}
