package aadsts_test

import (
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
)

func TestTableIsWhole(t *testing.T) {
	seen := map[aadsts.Code]bool{}
	for _, r := range aadsts.Table() {
		if seen[r.Code] {
			t.Errorf("%v stands twice", r.Code)
		}
		seen[r.Code] = true
		if r.Name == "" || r.Meaning == "" || r.OAuthError == "" || r.HTTPStatus < 400 {
			t.Errorf("%v has an empty column", r.Code)
		}
	}
	r, ok := aadsts.Lookup(aadsts.InvalidCredentials)
	if !ok || r.OAuthError != "invalid_grant" || r.Code.String() != "AADSTS50126" {
		t.Errorf("50126 is %+v", r)
	}
	if _, ok := aadsts.Lookup(1); ok {
		t.Error("AADSTS1 exists")
	}
}
