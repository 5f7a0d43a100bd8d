package entracarrier_test

import (
	"net/http"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// TestHEL10_PINResetOverHTTPS: at a place of ours; any other server has none, and the
// device is told so.
func TestHEL10_PINResetOverHTTPS(t *testing.T) {
	s := &server{body: `{"Key":"aw=="}`}
	resets := idpv1.NewPINResetServiceClient(carrier(t, s))
	describe := func() ([]byte, error) {
		a, err := resets.DescribePINReset(t.Context(), &idpv1.DescribePINResetRequest{})
		return a.GetKey(), err
	}
	if key, err := describe(); err != nil || string(key) != "k" || s.last.method != "GET" || s.last.path != "/EnrollmentServer/lockstep/pinreset" || s.last.body != "" {
		t.Errorf("%q, %v, asked %+v", key, err, s.last)
	}
	open := func() ([]byte, error) {
		a, err := resets.OpenResetSecret(t.Context(), &idpv1.OpenResetSecretRequest{AccessToken: "a.t.", WrappedResetSecret: []byte("w"), KeyId: "kid"})
		return a.GetResetSecret(), err
	}
	s.body = `{"Secret":"cw=="}`
	if got, err := open(); err != nil || string(got) != "s" || s.last.method != "POST" || s.last.path != "/EnrollmentServer/lockstep/pinreset" ||
		s.last.body != `{"KeyId":"kid","WrappedSecret":"dw=="}` || s.last.header.Get("Authorization") != "Bearer a.t." {
		t.Errorf("%q, %v, asked %+v", got, err, s.last)
	}
	for _, c := range []struct {
		status int
		body   string
		kind   prterr.Kind
	}{
		{http.StatusNotFound, "<html>", prterr.NotFound}, {http.StatusMethodNotAllowed, "", prterr.NotFound}, {http.StatusForbidden, `{"message":"no"}`, prterr.Denied},
		{http.StatusUnauthorized, `{}`, prterr.Unauthenticated}, {http.StatusBadGateway, "", prterr.Unavailable}, {http.StatusOK, `{"Key":7,"Secret":7}`, prterr.Denied},
	} {
		s.status, s.body = c.status, c.body
		if _, err := describe(); prterr.KindOf(err) != c.kind {
			t.Errorf("describe, %d: %v", c.status, err)
		}
		if _, err := open(); prterr.KindOf(err) != c.kind {
			t.Errorf("open, %d: %v", c.status, err)
		}
	}
}
