package front_test

import (
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// TestHEL10_PINResetOnTheWire: the key is for everybody, a secret for who shows a token.
func TestHEL10_PINResetOnTheWire(t *testing.T) {
	c := newCloud()
	const describe, open = idpv1.PINResetService_DescribePINReset_FullMethodName, idpv1.PINResetService_OpenResetSecret_FullMethodName
	always(c, describe, &idpv1.DescribePINResetResponse{Key: []byte("k")})
	if r := raw(t, c, device("GET", "lockstep/pinreset", "", "")); r.StatusCode != 200 || r.text != `{"Key":"aw=="}` {
		t.Errorf("%d: %s", r.StatusCode, r.text)
	}
	always(c, describe, &idpv1.DescribePINResetResponse{})
	if r := raw(t, c, device("GET", "lockstep/pinreset", "", "")); r.StatusCode != 200 || r.text != `{}` {
		t.Errorf("without the service: %d: %s", r.StatusCode, r.text)
	}
	const body = `{"KeyId":"kid","WrappedSecret":"dw=="}`
	always(c, open, &idpv1.OpenResetSecretResponse{ResetSecret: []byte("s")})
	r := raw(t, c, device("POST", "lockstep/pinreset", drsBearer, body))
	wantStatus(t, r, 200)
	if r.text != `{"Secret":"cw=="}` || !strings.Contains(r.Header.Get("Cache-Control"), "no-store") {
		t.Errorf("answered %s, %v", r.text, r.Header)
	}
	q := asked[*idpv1.OpenResetSecretRequest](t, c, open)
	if q.GetKeyId() != "kid" || string(q.GetWrappedResetSecret()) != "w" || q.GetAccessToken() != "a.t." || q.GetCaller() == nil {
		t.Errorf("%v", q)
	}
	wantStatus(t, raw(t, c, device("POST", "lockstep/pinreset", "", body)), 401)
	for _, bad := range []string{``, `[]`, `{"KeyId":7}`, `{"WrappedSecret":"!"}`} {
		wantStatus(t, raw(t, c, device("POST", "lockstep/pinreset", drsBearer, bad)), 400)
	}
	refuse(c, open, prterr.New(prterr.Denied, "not with that token"))
	r = raw(t, c, device("POST", "lockstep/pinreset", drsBearer, body))
	wantStatus(t, r, 403)
	wantMember(t, r, "operation", `"PINReset"`)
}
