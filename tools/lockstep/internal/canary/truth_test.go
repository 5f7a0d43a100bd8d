package canary_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/kdf"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/canary"
)

// truth is every key that was in use, learnt from the tokens that passed and the
// device's own transport key.
type truth struct {
	sessions, derived []canary.Key
	// signatures verify under a session key, so that it is the right one.
	signatures int
}

// learn goes through the tokens in the order in which they passed. A token is under
// the newest session key, or the one before.
func learn(t *testing.T, tokens []string, unwrap func(jwe string) secret.Bytes) truth {
	t.Helper()
	var out truth
	derive := func(what string, by func(secret.Bytes) secret.Bytes) {
		for i := max(0, len(out.sessions)-2); i < len(out.sessions); i++ {
			k := by(secret.NewBytes(out.sessions[i].Bytes)).Reveal()
			out.derived = append(out.derived, canary.Key{Name: fmt.Sprintf("derived key of %s, %s", out.sessions[i].Name, what), Bytes: k})
		}
	}
	for _, token := range tokens {
		if _, err := entrawire.ParseSessionKeyJWE(token); err == nil {
			// A renewal brings the session key that the device has already.
			key := unwrap(token).Reveal()
			if !slices.ContainsFunc(out.sessions, func(k canary.Key) bool { return bytes.Equal(k.Bytes, key) }) {
				out.sessions = append(out.sessions, canary.Key{Name: fmt.Sprintf("session key %d", len(out.sessions)+1), Bytes: key})
			}
			continue
		}
		if a, err := entrawire.ParseAnswer(token); err == nil {
			derive("answer", func(k secret.Bytes) secret.Bytes { return kdf.Derive(k, a.Ctx) })
			continue
		}
		signed, err := jose.Parse(token)
		if err != nil || signed.Header.Alg != jose.HS256 {
			continue // signed with the device key, or no token of these
		}
		for _, s := range out.sessions[max(0, len(out.sessions)-2):] {
			if entrawire.VerifySession(signed, secret.NewBytes(s.Bytes)) == nil {
				out.signatures++
			}
		}
		ctx := kdf.ContextV2(signed.Header.Ctx, signed.Payload)
		derive("request", func(k secret.Bytes) secret.Bytes { return kdf.Derive(k, ctx) })
		derive("request of version 3", func(k secret.Bytes) secret.Bytes { return kdf.DeriveV3(k, ctx) })
	}
	return out
}

func (k truth) needles(t *testing.T) *canary.Needles {
	t.Helper()
	n, err := canary.NewNeedles(append(append([]canary.Key{}, k.sessions...), k.derived...))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// kinds counts what was found by what the keys are and the form they have.
func kinds(found []canary.Found) map[string]int {
	count := map[string]int{}
	for _, f := range found {
		kind := "session key"
		for _, other := range []string{"derived key", "provider's key", "data key"} {
			if strings.HasPrefix(f.Key, other) {
				kind = other
			}
		}
		count[kind+" as "+f.Form]++
	}
	return count
}
