package aadsts_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
)

func TestTableIsWhole(t *testing.T) {
	names, last := regexp.MustCompile(`^[A-Z][A-Za-z]+$`), aadsts.Code(0)
	for _, r := range aadsts.Table() {
		if r.Code <= last {
			t.Errorf("%v stands after %v: the table is ordered by code, each once", r.Code, last)
		}
		last = r.Code
		if !names.MatchString(r.Name) || r.OAuthError == "" || !slices.Contains([]int{400, 401, 429, 503}, r.HTTPStatus) {
			t.Errorf("%v: a column is not right: %+v", r.Code, r)
		}
		// What is wrong, then what to do next.
		if !strings.HasSuffix(r.Meaning, ".") || !strings.Contains(r.Meaning, ": ") || len(r.Meaning) > 160 {
			t.Errorf("%v: its meaning is not a sentence with what to do next: %q", r.Code, r.Meaning)
		}
		if got, ok := aadsts.Lookup(r.Code); !ok || got != r {
			t.Errorf("%v is not found", r.Code)
		}
	}
	for _, c := range []aadsts.Code{0, 1, 50127, 99999999} {
		if _, ok := aadsts.Lookup(c); ok {
			t.Errorf("%v exists", c)
		}
	}
	aadsts.Table()[0].Name = "changed"
	if aadsts.Table()[0].Name == "changed" {
		t.Error("a caller changed the table")
	}
}

// The codes of the wire reference and what each version of the endpoints says.
func TestBothVersions(t *testing.T) {
	for code, want := range map[aadsts.Code][4]string{
		aadsts.InvalidCredentials:         {"invalid_grant", "", "invalid_grant", ""},
		aadsts.MFARequired:                {"invalid_grant", "basic_action", "interaction_required", ""},
		aadsts.DeviceNotCompliant:         {"invalid_grant", "additional_action", "interaction_required", ""},
		aadsts.BlockedByPolicy:            {"invalid_grant", "message_only", "access_denied", ""},
		aadsts.ConsentRequired:            {"invalid_grant", "consent_required", "interaction_required", ""},
		aadsts.InvalidResource:            {"invalid_scope", "", "invalid_resource", ""},
		aadsts.UserDisabled:               {"invalid_grant", "bad_token", "invalid_grant", "bad_token"},
		aadsts.DeviceAuthenticationFailed: {"invalid_grant", "device_authentication_failed", "invalid_grant", "device_authentication_failed"},
		aadsts.AuthorizationPending:       {"authorization_pending", "", "authorization_pending", ""},
		aadsts.CodeExpired:                {"expired_token", "", "expired_token", ""},
		aadsts.WrongClientSecret:          {"invalid_client", "", "invalid_client", ""},
	} {
		r, ok := aadsts.Lookup(code)
		v1, sub1 := r.V1()
		if got := [4]string{r.OAuthError, r.SubError, v1, sub1}; !ok || got != want {
			t.Errorf("%v: %q, want %q", code, got, want)
		}
	}
}

func TestParse(t *testing.T) {
	for in, want := range map[string]aadsts.Code{"50126": 50126, "AADSTS50126": 50126, " aadsts9002313\n": 9002313, "1": 1} {
		if got, err := aadsts.Parse(in); err != nil || got != want {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "0", "-1", "+5", "AADSTS", "AADSTS 5", "5e3", "0x10", "99999999999999999999", "50126;"} {
		if got, err := aadsts.Parse(in); err == nil {
			t.Errorf("%q is %v", in, got)
		} else if len(err.Error()) > 150 {
			t.Errorf("%q: %v", in, err)
		}
	}
}
