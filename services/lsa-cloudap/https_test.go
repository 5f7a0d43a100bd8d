package lsacloudap_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/adfscarrier"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/pkg/wstrust"
	lsacloudap "github.com/lockstep-sso/lockstep/services/lsa-cloudap"
)

// federationOverHTTPS is the other organisation's provider as it is in the field.
func federationOverHTTPS(w *world) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /adfs/services/trust/mex", func(out http.ResponseWriter, r *http.Request) {
		_ = w.called(r.Context(), "adfs:GetMetadata", &faults{})
		xml, err := wstrust.Metadata{Endpoints: []wstrust.Endpoint{{Version: wstrust.Trust2005, URL: mixedURL}}}.Encode()
		if err != nil {
			w.t.Error(err)
		}
		_, _ = out.Write(xml)
	})
	mux.HandleFunc("POST /", func(out http.ResponseWriter, r *http.Request) {
		_ = w.called(r.Context(), "adfs:IssueToken", &faults{})
		raw, err1 := io.ReadAll(r.Body)
		req, err2 := wstrust.ReadRequest(raw)
		if err1 != nil || err2 != nil || req.Username != ada || req.Password.Reveal() != password || "https://"+r.Host+r.URL.Path != mixedURL {
			w.t.Errorf("asked at %s%s: %+v, %v, %v", r.Host, r.URL.Path, req, err1, err2)
			http.Error(out, "no", http.StatusBadRequest)
			return
		}
		xml, err := wstrust.Response{
			Version: req.Version, RelatesTo: req.MessageID, Created: req.Created, Expires: req.Expires,
			AppliesTo: req.AppliesTo, TokenType: wstrust.TokenSAML11, Assertion: secret.NewText(assertion),
		}.Encode()
		if err != nil {
			w.t.Error(err)
		}
		_, _ = io.WriteString(out, xml.Reveal())
	})
	return mux
}

// The carrier is exchangeable: nothing but the connection is another.
func TestISS04_FederatedOrderOverHTTPS(t *testing.T) {
	w := newWorld(t)
	srv := httptest.NewTLSServer(federationOverHTTPS(w))
	defer srv.Close()
	tr := srv.Client().Transport.(*http.Transport).Clone()
	defer tr.CloseIdleConnections()
	tr.TLSClientConfig.ServerName = "example.com" // what the server's certificate is for
	tr.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", srv.Listener.Addr().String())
	}
	conn, err := adfscarrier.Dial(adfscarrier.Config{Client: &http.Client{Transport: tr}})
	if err != nil {
		t.Fatal(err)
	}
	w.start(func(c *lsacloudap.Config) { c.Federation = conn }).signIn(ada)
	want := []string{
		"dsreg:GetDeviceState", "idp:DiscoverRealm", "adfs:GetMetadata", "adfs:IssueToken", "idp:IssueNonce",
		"tpm:SignPRTRequest", "idp:RequestPRT", "tpm:ImportSessionKey", "tpm:ProtectPRT",
	}
	if calls := w.took(); !slices.Equal(calls, want) {
		t.Errorf("calls %v", calls)
	}
}
