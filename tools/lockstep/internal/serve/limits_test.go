package serve_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/serve"
)

const (
	loginHost = "https://login.microsoftonline.com"
	tokenPath = loginHost + "/common/oauth2/token"
	challenge = "grant_type=srv_challenge"
)

// versions are clients of both versions of HTTP; the proxy is on the way.
func versions(t *testing.T, i serve.Info) map[string]*http.Client {
	t.Helper()
	one, two := visitor(t, i), visitor(t, i)
	tr, ok := two.Transport.(*http.Transport)
	if !ok {
		t.Fatal("no transport")
	}
	tr.ForceAttemptHTTP2 = true
	return map[string]*http.Client{"HTTP/1.1": one, "HTTP/2.0": two}
}

// The whole server: what clients need passes, what is beyond that is refused, over
// both versions of HTTP.
func TestHeadsAndBodiesAreBounded(t *testing.T) {
	alone(t)
	s := start(t, serve.Config{})
	defer stop(t, s)
	for version, c := range versions(t, s.Info()) {
		for size, want := range map[int]int{16 << 10: 200, 30 << 10: 200, 64 << 10: http.StatusRequestHeaderFieldsTooLarge} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, loginHost+"/common/.well-known/openid-configuration", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Cookie", strings.Repeat("x", size))
			resp, err := c.Do(req)
			if err != nil {
				// Over HTTP/2 the client knows the limit and may keep the request to itself.
				if want == http.StatusOK || version == "HTTP/1.1" {
					t.Errorf("%s, a head of %d bytes: %v", version, size, err)
				}
				continue
			}
			if _ = resp.Body.Close(); resp.StatusCode != want || resp.Proto != version {
				t.Errorf("%s, a head of %d bytes: %s %s", version, size, resp.Proto, resp.Status)
			}
		}
		// 64 KiB is the longest signed request.
		for size, want := range map[int]int{4 << 10: 200, 64 << 10: 200, 1 << 20: http.StatusRequestEntityTooLarge} {
			resp, text := tell(t, c, http.MethodPost, tokenPath, nil, challenge+"&request="+strings.Repeat("x", size))
			if resp.StatusCode != want {
				t.Errorf("%s, a body of %d bytes: %s %.200s", version, size, resp.Status, text)
			}
		}
	}
}

// Some clients cannot read a body whose length they are not told: every answer of
// every service has it, a refusal too.
func TestEveryAnswerHasItsLength(t *testing.T) {
	alone(t)
	s := start(t, serve.Config{})
	defer stop(t, s)
	const drs, graph, sts = "https://" + drsHost, "https://graph.microsoft.com", "https://sts.adatum.test"
	for version, c := range versions(t, s.Info()) {
		c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		for _, at := range []struct{ method, address, body string }{
			{"POST", tokenPath, challenge}, {"POST", tokenPath, ""}, {"POST", tokenPath, strings.Repeat("x", 1<<20)},
			{"POST", loginHost + "/common/oauth2/v2.0/token", "grant_type=password"}, {"POST", loginHost + "/common/oauth2/devicecode", ""},
			{"GET", loginHost + "/common/.well-known/openid-configuration", ""}, {"HEAD", loginHost + "/common/.well-known/openid-configuration", ""},
			{"GET", loginHost + "/common/discovery/v2.0/keys", ""}, {"GET", loginHost + "/common/discovery/instance", ""},
			{"GET", loginHost + "/common/oauth2/authorize", ""}, {"GET", loginHost + "/common/oauth2/authorize?client_id=" + broker + "&response_type=code", ""},
			{"GET", loginHost + "/common/oauth2/deviceauth", ""}, {"POST", loginHost + "/common/login", ""}, {"GET", loginHost + "/common/oauth2/logout", ""},
			{"GET", loginHost + "/common/userrealm/alice@contoso.test?api-version=1.0", ""}, {"POST", loginHost + "/common/GetCredentialType", "{}"},
			{"GET", loginHost + "/error?code=50126", ""}, {"GET", loginHost + "/error", ""}, {"GET", loginHost + "/", ""}, {"GET", loginHost + "/not/here", ""},
			{"GET", tokenPath, ""}, {"OPTIONS", tokenPath, ""}, {"PUT", loginHost + "/%ff", ""},
			{"GET", drs + "/contoso.test/Discover?api-version=1.9", ""}, {"POST", drs + "/EnrollmentServer/device/", ""}, {"DELETE", drs + "/EnrollmentServer/device/x", ""},
			{"GET", graph + "/v1.0/me", ""}, {"GET", graph + "/v1.0/none", ""},
			{"GET", sts + "/adfs/services/trust/mex", ""}, {"POST", sts + "/adfs/services/trust/2005/usernamemixed", ""}, {"GET", sts + "/", ""},
		} {
			resp, text := tell(t, c, at.method, at.address, nil, at.body)
			if resp.Header.Get("Content-Length") == "" || at.method != http.MethodHead && resp.ContentLength != int64(len(text)) || len(resp.TransferEncoding) > 0 || resp.Proto != version {
				t.Errorf("%s %s %s: %s %s, length %d of %d, %v", version, at.method, at.address, resp.Proto, resp.Status, resp.ContentLength, len(text), resp.TransferEncoding)
			}
		}
	}
}
