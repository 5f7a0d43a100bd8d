package httpsfront

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/fault"
)

// before is a stand-in before a server that says what came.
func before(t *testing.T, seen *http.Request, answer http.Header) *httptest.Server {
	t.Helper()
	below := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*seen = *r.Clone(context.Background())
		for k, v := range answer {
			w.Header()[k] = v
		}
	}))
	t.Cleanup(below.Close)
	client := below.Client()
	transport, _ := client.Transport.(*http.Transport)
	transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", below.Listener.Addr().String())
	}
	transport.TLSClientConfig.ServerName = "example.com"
	engine, err := fault.New(fault.Config{})
	if err != nil {
		t.Fatal(err)
	}
	f, err := New(Config{Component: "idp", Engine: engine, Real: func() (*http.Client, error) { return client, nil }})
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(f)
	t.Cleanup(front.Close)
	return front
}

// TestWhatIsAboutOneConnectionStaysOnIt: the fields that the header Connection names are
// not handed on (RFC 9110 section 7.6.1), in neither direction; the rest of a request is.
func TestWhatIsAboutOneConnectionStaysOnIt(t *testing.T) {
	var seen http.Request
	front := before(t, &seen, http.Header{"Connection": {"X-Hop"}, "X-Hop": {"1"}, "X-End": {"1"}})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, front.URL+"/common//oauth2/token/%2e%2e/a%2Fb/?x=1&y=;", strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "login.test"
	r.Header = http.Header{"Connection": {"close, X-Hop", "x-other"}, "X-Hop": {"1"}, "X-Other": {"1"}, "X-End": {"1"}, "Proxy-Authorization": {"Basic x"}}
	resp, err := front.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.Header.Get("X-Hop") != "" || resp.Header.Get("X-End") != "1" {
		t.Errorf("back: %s %v", resp.Status, resp.Header)
	}
	if h := seen.Header; h.Get("X-Hop") != "" || h.Get("X-Other") != "" || h.Get("Proxy-Authorization") != "" || h.Get("X-End") != "1" {
		t.Errorf("there: %v", h)
	}
	if seen.RequestURI != "/common//oauth2/token/%2e%2e/a%2Fb/?x=1&y=;" || seen.Host != "login.test" {
		t.Errorf("there: %s at %s", seen.RequestURI, seen.Host)
	}
}

// TestABodyHasABound that counts also for one that does not say its length.
func TestABodyHasABound(t *testing.T) {
	var seen http.Request
	front := before(t, &seen, nil)
	for n, want := range map[int]int{maxBody: http.StatusOK, maxBody + 1: http.StatusRequestEntityTooLarge} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, front.URL, struct{ *strings.Reader }{strings.NewReader(strings.Repeat("a", n))})
		if err != nil {
			t.Fatal(err)
		}
		resp, err := front.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%d bytes: %s", n, resp.Status)
		}
	}
}
