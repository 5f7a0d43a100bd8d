package idp_test

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/methods"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
)

// bearerForm posts a signed request as clients do, with more members, and gives what
// comes back.
func (w *world) bearerForm(t testing.TB, request string, more url.Values) (int, string) {
	t.Helper()
	form := url.Values{"windows_api_version": {"2.2"}, "grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "request": {request}, "client_info": {"1"}}
	maps.Copy(form, more)
	r := httptest.NewRequest(http.MethodPost, "https://login.microsoftonline.com/common/oauth2/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	status, _, body := w.overHTTPS(r)
	return status, body
}

// members are the names in a JSON object.
func members(t testing.TB, body string) []string {
	t.Helper()
	var m map[string]json.RawMessage
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		t.Fatalf("%v: %.200s", err, body)
	}
	return slices.Sorted(maps.Keys(m))
}

// TestISS25_A21_NoTicketsWithAPRT: whoever asks for Kerberos tickets with a PRT gets the PRT and no
// ticket, whatever the spelling, in every profile and for every credential; a partial
// ticket could be made the secret of an account. It is not that the answer is refused:
// clients always ask.
func TestISS25_A21_NoTicketsWithAPRT(t *testing.T) {
	for _, profile := range []string{"2020", "today", "strict"} {
		for _, tgt := range []string{"true", "True", "1", ""} {
			t.Run(profile+" tgt="+tgt, func(t *testing.T) {
				w := newWorld(t, idp.Config{Tenants: withProfile(profile)})
				d := w.join(t, alice, alicePassword, 1, 2)
				pass := w.brokerToken(t, alice, func(a *sealed.Artefact) {
					bound(d)(a)
					a.Credential, a.Used = sealed.Pass, methods.Add(nil, methods.AccessPassMany, time.Now())
					a.PassEnds = time.Now().Add(time.Hour).Unix()
				})
				var plain []string
				for name, request := range map[string]func() string{
					"password":              func() string { return d.sign(t, d.claims(t, alice, alicePassword)) },
					"Temporary Access Pass": func() string { return d.sign(t, w.roadtxUpgrade(t, pass)) },
				} {
					status, body := w.bearerForm(t, request(), url.Values{"tgt": {tgt}})
					got := members(t, body)
					if status != http.StatusOK || slices.ContainsFunc(got, func(m string) bool { return strings.HasPrefix(strings.ToLower(m), "tgt") }) {
						t.Errorf("%s: %d with %v", name, status, got)
					}
					if plain = got; !slices.Contains(plain, "refresh_token") {
						t.Errorf("%s: no PRT in %v", name, got)
					}
				}
				s := d.first(t, alice, alicePassword)
				status, body := w.bearerForm(t, s.sign(t, s.renewal(t)), url.Values{"tgt": {tgt}})
				answer, err := entrawire.OpenAnswer(body, s.key)
				if status != http.StatusOK || err != nil || slices.ContainsFunc(members(t, string(answer)), func(m string) bool { return strings.HasPrefix(m, "tgt") }) {
					t.Errorf("renewal: %d, %v", status, err)
				}
			})
		}
	}
}

// TestPRO08_KeysThatWereLostTakeTheirPRTsWithThem: after a device got other keys, what was issued to the old
// ones is refused to who still has the session key, and cannot be renewed into
// something better. The device goes on with its new keys.
func TestPRO08_KeysThatWereLostTakeTheirPRTsWithThem(t *testing.T) {
	for _, profile := range []string{"2020", "today", "strict"} {
		t.Run(profile, func(t *testing.T) {
			overBoth(t, idp.Config{Tenants: withProfile(profile)}, func(t *testing.T, w *world) {
				d := w.join(t, alice, alicePassword, 1, 2)
				s := d.first(t, alice, alicePassword)
				if err := s.use(t); err != nil {
					t.Fatal(err)
				}
				next := &device{w: w, dk: rsaKeys()[3], tk: rsaKeys()[4]}
				a, err := w.replace(t, d, next, nil)
				if err != nil {
					t.Fatal(err)
				}
				next.adopt(t, a.GetCertificate())
				if next.id != d.id {
					t.Fatalf("device %s became %s", d.id, next.id)
				}
				wantCode(t, s.use(t), aadsts.DeviceAuthenticationFailed)
				_, err = w.renewPRT(s.sign(t, s.renewal(t)))
				wantCode(t, err, aadsts.DeviceAuthenticationFailed)
				_, err = w.requestPRT(d.sign(t, d.claims(t, alice, alicePassword)))
				wantCode(t, err, aadsts.DeviceAuthenticationFailed)
				n := w.nonce(t)
				page, err := w.sessions.Authorize(context.Background(), &idpv1.AuthorizeRequest{
					ClientId: portal, RedirectUri: portalURI, SsoNonce: n, RefreshTokenCredential: s.sign(t, s.cookie(n)),
				})
				if got := outcome(page, err); got != "page" {
					t.Errorf("the browser: %s", got)
				}
				if err := next.first(t, alice, alicePassword).use(t); err != nil {
					t.Errorf("with the new keys: %v", err)
				}
			})
		})
	}
}

// TestINV10_INV09_APRTOfAHelloKeyOutlivesThePassword: a new password takes what the old one got, and leaves what the key
// got, through renewals and app tokens, until sessions are revoked.
func TestINV10_INV09_APRTOfAHelloKeyOutlivesThePassword(t *testing.T) {
	lab := clock.NewLab()
	overBoth(t, idp.Config{Clock: lab}, func(t *testing.T, w *world) {
		d := w.join(t, alice, alicePassword, 1, 2)
		byPassword := d.first(t, alice, alicePassword)
		h := d.provision(t, alice, 3, lab.Now())
		byKey := d.open(t, d.sign(t, h.request(t, w.nonce(t), h.assertion(t, lab.Now(), w.nonce(t), nil))))
		setPassword(t, w, alice, "a new and better one")
		wantCode(t, byPassword.use(t), aadsts.FreshTokenNeeded)
		_, err := w.renewPRT(byPassword.sign(t, byPassword.renewal(t)))
		wantCode(t, err, aadsts.FreshTokenNeeded)
		for range 3 {
			lab.Advance(4 * time.Hour)
			byKey, _ = byKey.renew(t, byKey.renewal(t))
		}
		tokens := byKey.tokens(t, byKey.redemption(t, office, graph))
		c := byKey.redemption(t, office, graph)
		c.RefreshToken = tokens.RefreshToken
		if _, err := w.redeemRT(byKey.sign(t, c)); err != nil {
			t.Errorf("the refresh token below it: %v", err)
		}
		if err := h.signInWith(t, d, lab.Now(), nil); err != nil {
			t.Errorf("another sign-in with the key: %v", err)
		}
	})
}
