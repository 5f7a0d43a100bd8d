package prterr_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

func TestEveryKindCrossesGRPCWhole(t *testing.T) {
	for _, k := range prterr.Kinds() {
		in := prterr.New(k, "field %s is wrong", "nonce").WithHRESULT(0x80090016).WithClaims(`{"access_token":{"acrs":{"value":"c1"}}}`)
		in.Code = aadsts.InvalidNonce
		var got *prterr.Error
		if !errors.As(prterr.FromStatus(prterr.ToStatus(in)), &got) {
			t.Fatalf("%s: not our error", k)
		}
		if got.Kind != k || got.Code != in.Code || got.HRESULT != in.HRESULT || got.Msg != in.Msg || got.Claims != in.Claims {
			t.Errorf("%s: %+v became %+v", k, in, got)
		}
	}
}

func TestClaimsAreBoundedJSON(t *testing.T) {
	for _, claims := range []string{`"` + strings.Repeat("x", prterr.MaxClaims) + `"`, "not JSON"} {
		var got *prterr.Error
		errors.As(prterr.FromStatus(prterr.ToStatus(prterr.New(prterr.Denied, "no").WithClaims(claims))), &got)
		if got.Kind != prterr.Denied || got.Claims != "" {
			t.Errorf("%.20s crossed: %+v", claims, got)
		}
	}
}

func TestCauseStaysBehind(t *testing.T) {
	secret := errors.New("open /var/lib/x: canary")
	for _, err := range []error{prterr.Wrap(prterr.Internal, secret, "store failed"), secret, fmt.Errorf("w: %w", prterr.Wrap(prterr.Denied, secret, "no"))} {
		if s := prterr.ToStatus(err).Error(); strings.Contains(s, "canary") {
			t.Errorf("the cause crossed: %s", s)
		}
	}
}

func TestAStrangersDetailsAreChecked(t *testing.T) {
	long := status.Error(codes.NotFound, strings.Repeat("x", 5000))
	var got *prterr.Error
	errors.As(prterr.FromStatus(long), &got)
	if got.Kind != prterr.NotFound || len(got.Msg) != 1024 || got.Code != 0 {
		t.Errorf("got kind %s, %d bytes, code %d", got.Kind, len(got.Msg), got.Code)
	}
}

func TestKinds(t *testing.T) {
	for err, want := range map[error]prterr.Kind{
		nil:                                    "",
		context.DeadlineExceeded:               prterr.Deadline,
		context.Canceled:                       prterr.Unavailable,
		errors.New("x"):                        prterr.Internal,
		prterr.AADSTS(aadsts.InvalidNonce, ""): prterr.Denied,
		prterr.AADSTS(aadsts.InvalidCredentials, ""):     prterr.Unauthenticated,
		prterr.AADSTS(aadsts.MissingParameter, ""):       prterr.Invalid,
		prterr.AADSTS(aadsts.MFARequired, ""):            prterr.Interaction, // invalid_grant on v2.0
		prterr.AADSTS(aadsts.UserInformationMissing, ""): prterr.Interaction,
		prterr.AADSTS(aadsts.AuthorizationPending, ""):   prterr.Interaction,
		prterr.AADSTS(aadsts.InvalidResource, ""):        prterr.Invalid,
		prterr.AADSTS(aadsts.WrongClientSecret, ""):      prterr.Unauthenticated,
		prterr.AADSTS(aadsts.Throttled, ""):              prterr.Exhausted,
		prterr.AADSTS(aadsts.ExternalRetryable, ""):      prterr.Unavailable,
		prterr.AADSTS(4711, ""):                          prterr.Internal,
	} {
		if got := prterr.KindOf(err); got != want {
			t.Errorf("%v: got %s, want %s", err, got, want)
		}
	}
	if c := prterr.CodeOf(fmt.Errorf("outer: %w", prterr.AADSTS(aadsts.UserDisabled, ""))); c != aadsts.UserDisabled {
		t.Errorf("code %v", c)
	}
}
