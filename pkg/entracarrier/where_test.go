package entracarrier_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/entracarrier"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/step"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// What people look for first: which address was asked, and what came back.
func TestOBS03_AnErrorNamesItsRequest(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/common/oauth2/token":
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"error":"invalid_grant","error_codes":[50126],"error_description":"AADSTS50126: no"}`))
		default:
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(`{"error":"correct horse"}`)) // whatever a server puts there stays there
		}
	}))
	c, err := entracarrier.New(entracarrier.Config{Login: srv.URL, Client: srv.Client()})
	if err != nil {
		t.Fatal(err)
	}
	var asked []string
	ctx := rpc.OnRequest(step.In(t.Context(), step.FirstSignIn), func(_ context.Context, w prterr.Where) { asked = append(asked, w.Method+" "+w.URI) })

	_, err = idpv1.NewIssuanceServiceClient(c).RequestPRT(ctx, &idpv1.RequestPRTRequest{Request: "x"})
	want := prterr.Where{Method: "POST", URI: srv.URL + "/common/oauth2/token", HTTPStatus: 400, ServerError: "invalid_grant", Step: "FIRST_SIGN_IN_D"}
	if got := prterr.WhereOf(err); got != want {
		t.Errorf("refused at %+v", got)
	}
	_, err = idpv1.NewRealmServiceClient(c).DiscoverRealm(ctx, &idpv1.DiscoverRealmRequest{UserPrincipalName: "alice@contoso.test"})
	want = prterr.Where{Method: "GET", URI: srv.URL + "/common/userrealm/", HTTPStatus: 503, Step: "FIRST_SIGN_IN_B"}
	if got := prterr.WhereOf(err); got != want {
		t.Errorf("failed at %+v", got)
	}
	if len(asked) != 2 || asked[0] != "POST "+srv.URL+"/common/oauth2/token" {
		t.Errorf("asked %v", asked)
	}

	for name, c := range map[string]struct {
		login string
		want  uint32
	}{
		"nobody listens": {srv.URL, 0x80072efd},
		"no such name":   {"https://nobody.invalid", 0x80072ee7},
	} {
		srv.Close()
		conn, err := entracarrier.New(entracarrier.Config{Login: c.login})
		if err != nil {
			t.Fatal(err)
		}
		_, err = idpv1.NewNonceServiceClient(conn).IssueNonce(t.Context(), &idpv1.IssueNonceRequest{})
		if got := prterr.WhereOf(err); got.HTTPError != c.want || got.HTTPStatus != 0 {
			t.Errorf("%s: %+v (%v)", name, got, err)
		}
	}
}

func TestOBS03_AForeignCertificateIsNamed(t *testing.T) {
	srv := httptest.NewTLSServer(http.NotFoundHandler())
	defer srv.Close()
	c, err := entracarrier.New(entracarrier.Config{Login: srv.URL}) // the machine's roots do not know it
	if err != nil {
		t.Fatal(err)
	}
	_, err = idpv1.NewNonceServiceClient(c).IssueNonce(t.Context(), &idpv1.IssueNonceRequest{})
	if got := prterr.WhereOf(err).HTTPError; got != 0x80072f8f {
		t.Errorf("%#x (%v)", got, err)
	}
}
