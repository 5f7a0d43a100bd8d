package prterr_test

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

func TestWhereCrossesWhole(t *testing.T) {
	in := prterr.Where{
		Method: "POST", URI: "https://login.example:443/common/oauth2/token", HTTPStatus: 400, HTTPError: 0x80072ee2, ServerError: "invalid_grant", Step: "FIRST_SIGN_IN_D",
	}
	got := prterr.WhereOf(prterr.FromStatus(prterr.ToStatus(prterr.New(prterr.Denied, "no").WithWhere(in))))
	if got != in {
		t.Errorf("%+v became %+v", in, got)
	}
	if got := prterr.WhereOf(prterr.FromStatus(prterr.ToStatus(prterr.New(prterr.Denied, "no")))); got != (prterr.Where{}) {
		t.Errorf("nothing became %+v", got)
	}
}

func TestWhereOfAStrangerIsChecked(t *testing.T) {
	s, err := status.New(codes.Internal, "x").WithDetails(&errdetails.ErrorInfo{Domain: "lockstep", Reason: "internal", Metadata: map[string]string{
		"where_method": "GET /", "where_uri": "https://user:pass@h/p?secret=1#f", "where_status": "9999", "where_error": "x", "where_server": strings.Repeat("a", 65), "where_step": "a b",
	}})
	if err != nil {
		t.Fatal(err)
	}
	if got := prterr.WhereOf(prterr.FromStatus(s.Err())); got != (prterr.Where{URI: "https://h/p"}) {
		t.Errorf("taken over: %+v", got)
	}
}

func TestHRESULTOf(t *testing.T) {
	if h := prterr.HRESULTOf(prterr.New(prterr.KeysLost, "x").WithHRESULT(7)); h != 7 {
		t.Error(h)
	}
	if h := prterr.HRESULTOf(errors.New("x")); h != 0 {
		t.Error(h)
	}
}
