package idp_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/services/idp"
)

// refusedBody is an error of the token endpoint as clients read it.
type refusedBody struct {
	Error, SubError, Claims string
	Description             string `json:"error_description"`
	Codes                   []int  `json:"error_codes"`
	URI                     string `json:"error_uri"`
}

// tokenOver posts a form to the token endpoint of a version over HTTPS.
func (w *world) tokenOver(t testing.TB, path string, form url.Values) (int, refusedBody) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "https://login.microsoftonline.com/organizations/oauth2"+path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	status, _, body := w.overHTTPS(r)
	var e refusedBody
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		t.Fatalf("%v: %.200s", err, body)
	}
	return status, e
}

// The errors of the policies in the words of both versions of the endpoint: number,
// error, suberror, and the claims challenge, which version 1 words in another way
// (protocol of the public service as its libraries report it).
func TestCA01_CA02_CA03_CA05_CA19_INV15_ErrorsOnTheWire(t *testing.T) {
	lab := clock.NewLab()
	p := newPages(t, idp.Config{Clock: lab})
	d := p.join(t, alice, alicePassword, 1, 2)
	s := d.first(t, alice, alicePassword)
	const capolids, polids = `{"access_token":{"capolids":{"essential":true,"values":["` + policyID + `"]}}}`, `{"access_token":{"polids":{"Values":["` + policyID + `"],"essential":true}}}`
	const deviceID = `{"access_token":{"deviceid":{"essential":true}}}`
	password := func(user, password string) func(string) url.Values {
		return func(string) url.Values {
			return url.Values{"grant_type": {"password"}, "client_id": {cli}, "username": {user}, "password": {password}}
		}
	}
	prt := func(string) url.Values {
		return url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "request": {s.sign(t, s.redemption(t, office, graph))}}
	}
	for _, c := range []struct {
		policy           string
		form             func(string) url.Values
		code             int
		v1, v2, sub      string
		claims1, claims2 string
	}{
		{"grant: mfa", password(mia, miaPassword), 50076, "interaction_required", "invalid_grant", "basic_action", polids, capolids},
		{"grants: {strength: Passwordless MFA}", password(mia, miaPassword), 50076, "interaction_required", "invalid_grant", "basic_action", polids, capolids},
		{"grant: mfa", password(alice, alicePassword), 50079, "interaction_required", "invalid_grant", "basic_action", polids, capolids},
		{"grant: device", password(alice, alicePassword), 50097, "interaction_required", "invalid_grant", "basic_action", deviceID, deviceID},
		{"grant: block", password(alice, alicePassword), 53003, "access_denied", "invalid_grant", "message_only", "", ""},
		{"grant: compliant_device", prt, 53000, "interaction_required", "invalid_grant", "additional_action", polids, capolids},
		{"grant: hybrid_joined_device", prt, 53001, "interaction_required", "invalid_grant", "message_only", polids, capolids},
		{"sign_in_frequency: 1m", prt, 70043, "invalid_grant", "invalid_grant", "token_expired", "", ""},
	} {
		t.Run(c.policy+" "+c.v1, func(t *testing.T) {
			p.rules(t, rule(c.policy))
			lab.Advance(2 * time.Minute)
			for path, want := range map[string]refusedBody{"/token": {Error: c.v1, Claims: c.claims1}, "/v2.0/token": {Error: c.v2, SubError: c.sub, Claims: c.claims2}} {
				form := c.form(path)
				if path == "/token" {
					form.Set("resource", graph)
				} else {
					form.Set("scope", graph+"/.default")
				}
				if path == "/token" && c.v1 == c.v2 {
					want.SubError = c.sub // the same words on both
				}
				status, got := p.tokenOver(t, path, form)
				if status != http.StatusBadRequest || len(got.Codes) != 1 || got.Codes[0] != c.code || got.Error != want.Error || got.SubError != want.SubError || got.Claims != want.Claims {
					t.Errorf("%s: %d %+v, want %d %+v", path, status, got, c.code, want)
				}
				if !strings.HasPrefix(got.Description, "AADSTS"+strconv.Itoa(c.code)+": ") || !strings.HasSuffix(got.URI, "/error?code="+strconv.Itoa(c.code)) {
					t.Errorf("%s: %q at %s", path, got.Description, got.URI)
				}
			}
		})
	}
}

// A challenge on its way: what the token endpoint asks for is what the authorization
// endpoint then demands, and with it the token endpoint is content.
func TestCA01_AChallengeLeadsOn(t *testing.T) {
	p := newPages(t, idp.Config{})
	p.rules(t, rule("auth_contexts: [c1], grant: mfa"))
	challenge := `{"access_token":{"acrs":{"essential":true,"value":"c1"}}}`
	_, e := p.tokenOver(t, "/v2.0/token", url.Values{
		"grant_type": {"password"}, "client_id": {cli}, "username": {mia}, "password": {miaPassword}, "scope": {graph + "/.default"}, "claims": {challenge},
	})
	if len(e.Codes) != 1 || e.Codes[0] != 50076 || !strings.Contains(e.Claims, "capolids") || !strings.Contains(e.Claims, `"acrs"`) {
		t.Fatalf("%+v", e)
	}
	status, _, page := p.overHTTPS(httptest.NewRequest(http.MethodGet, authorizeURL("&sso_reload=True&resource="+url.QueryEscape(graph)+"&claims="+url.QueryEscape(e.Claims)), nil))
	if status != http.StatusOK {
		t.Fatalf("%d", status)
	}
	form := url.Values{"login": {mia}, "passwd": {miaPassword}, "flowToken": {inConfig(t, page, "sFT")}, "canary": {inConfig(t, page, "canary")}, "ctx": {""}}
	r := httptest.NewRequest(http.MethodPost, "https://login.microsoftonline.com/common/login", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if _, _, body := p.overHTTPS(r); inConfig(t, body, "pgid") != "ConvergedTFA" {
		t.Errorf("the claims of the challenge demand nothing: %.300s", body)
	}
}
