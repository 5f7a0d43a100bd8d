package freshnonce_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/authority/freshnonce"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

func TestFLT06_ARefusedNonceIsNotUsedAgain(t *testing.T) {
	refused, other := prterr.AADSTS(aadsts.InvalidNonce, ""), errors.New("other")
	for name, c := range map[string]struct {
		answers []error // of the requests in turn
		asked   int
		want    error
	}{
		"good":            {[]error{nil}, 1, nil},
		"refused once":    {[]error{refused, nil}, 2, nil},
		"refused always":  {[]error{refused, refused, refused, refused, nil}, freshnonce.Tries, refused},
		"another refusal": {[]error{refused, other, nil}, 2, other},
	} {
		fetched, seen := 0, map[string]bool{}
		_, err := freshnonce.With(t.Context(), func(context.Context) (string, error) {
			fetched++
			return fmt.Sprint(fetched), nil
		}, func(_ context.Context, nonce string) (int, error) {
			if seen[nonce] {
				t.Errorf("%s: nonce %s was used twice", name, nonce)
			}
			seen[nonce] = true
			return len(seen), c.answers[len(seen)-1]
		})
		if !errors.Is(err, c.want) || len(seen) != c.asked || fetched != c.asked {
			t.Errorf("%s: %v after %d requests", name, err, len(seen))
		}
	}
	if _, err := freshnonce.With(t.Context(), func(context.Context) (string, error) { return "", other }, func(context.Context, string) (int, error) {
		t.Error("a request without a nonce")
		return 0, nil
	}); !errors.Is(err, other) {
		t.Error(err)
	}
}
