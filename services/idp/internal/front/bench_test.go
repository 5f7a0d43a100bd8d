package front_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// The token endpoint over HTTPS, on a connection that stays open. Beside it stand
// the same calls over gRPC, in the benchmarks of the service.

func benchmarkPost(b *testing.B, s *stranger, body func() string) {
	server := httptest.NewTLSServer(s.handler)
	defer server.Close()
	client := server.Client()
	client.Transport.(*http.Transport).MaxIdleConnsPerHost = 64
	for b.Loop() {
		req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, server.URL+"/common/oauth2/token", strings.NewReader(body()))
		if err != nil {
			b.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			b.Fatalf("status %d", resp.StatusCode)
		}
	}
}

// BenchmarkHTTPSNonce is the least that a request costs: HTTP, a call on the
// connection inside, an answer.
func BenchmarkHTTPSNonce(b *testing.B) {
	benchmarkPost(b, whole(b, nil), func() string { return "grant_type=srv_challenge" })
}

// BenchmarkHTTPSAppToken is an app token by PRT, with a new signature each time.
func BenchmarkHTTPSAppToken(b *testing.B) {
	s := whole(b, nil)
	m := s.join(b, alice, alicePassword)
	h := m.first(b, m.asString(kdf2), alice, alicePassword)
	nonce := s.nonce(b)
	benchmarkPost(b, s, func() string {
		request := h.signed(2, 24, `{"client_id":"`+azureCLI+`","scope":"openid","resource":"https://graph.microsoft.com","refresh_token":"`+h.prt+
			`","grant_type":"refresh_token","iss":"aad:brokerplugin","request_nonce":"`+nonce+`","redirect_uri":"ms-appx-web://Microsoft.AAD.BrokerPlugin/`+azureCLI+`"}`)
		return "windows_api_version=2.2&grant_type=" + jwtBearer + "&request=" + request
	})
}

// BenchmarkRoute finds the last of the routes.
func BenchmarkRoute(b *testing.B) {
	f := newFront(b, newCloud())
	r := httptest.NewRequest(http.MethodGet, "https://"+login+"/not/served/anywhere", nil)
	for b.Loop() {
		f.ServeHTTP(httptest.NewRecorder(), r)
	}
}
