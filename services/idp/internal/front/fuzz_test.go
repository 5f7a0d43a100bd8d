package front_test

import (
	"encoding/json"
	"testing"

	"github.com/lockstep-sso/lockstep/services/idp/internal/front"
)

// FuzzCredential: whatever is taken for the answer of an authenticator is one JSON
// object with a response, no longer than twice what came.
func FuzzCredential(f *testing.F) {
	for _, seed := range []string{
		`{"id":"a","rawId":"a","type":"public-key","response":{"clientDataJSON":"e30"}}`, `{"id":"a+/=","clientDataJSON":"e30=","authenticatorData":"AA","signature":"AA","userHandle":""}`,
		`{"id":"a","response":null}`, `{"ID":"a","id":"b"}`, "", "[]", `{"id":"\u0000"}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		out, err := front.CredentialJSON(text)
		if err != nil {
			return
		}
		var members map[string]json.RawMessage
		if err := json.Unmarshal([]byte(out), &members); err != nil || members["response"] == nil {
			t.Errorf("%q became %q: %v", text, out, err)
		}
		if len(out) > 6*len(text)+200 {
			t.Errorf("%d bytes became %d", len(text), len(out))
		}
	})
}

// FuzzChallenge: what clients are told of a challenge is printable ASCII.
func FuzzChallenge(f *testing.F) {
	f.Add(`{"challenge":"QUJD","allowCredentials":[{"id":"AA"}]}`)
	f.Add(`{"publicKey":{"challenge":"AAEC"}}`)
	f.Add(`{"publicKey":1}`)
	f.Fuzz(func(t *testing.T, options string) {
		challenge, _ := front.ChallengeOf(options)
		for _, b := range []byte(challenge) {
			if b <= ' ' || b > '~' {
				t.Errorf("%q", challenge)
			}
		}
	})
}
