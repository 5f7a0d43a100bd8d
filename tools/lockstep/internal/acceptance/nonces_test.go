package acceptance_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// nonceRule refuses one in twenty of the requests with a nonce, as Pebble does with ACME's
// nonces, whatever the nonce: for a PRT, for its renewal, for tokens.
const nonceRule = `(answer 140000 (or (method "IssuanceService/*") (method "TokenService/*")) (chance 5%))`

// TestFLT06_GoodNoncesAreRefusedAtRandom has people sign in, ask for hundreds of tokens and
// come back after the time of a renewal, while one in twenty requests is refused for its
// nonce. Nobody notices. Tokens are the many, because each person costs hashes of a password.
func TestFLT06_GoodNoncesAreRefusedAtRandom(t *testing.T) {
	const people, each = 24, 8
	for name, https := range map[string]bool{"gRPC": false, "HTTPS": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, lab.Config{TPM: "mem:", HTTPS: https, FaultSeed: 6})
			w.join(w.device)
			w.rules("idp", nonceRule)
			for i := range people {
				upn := w.person(fmt.Sprintf("person%d", i))
				desktop, _, err := w.device.LogonUI.SignIn(t.Context(), upn, w.tenant.Password)
				for n := 0; n < each && err == nil; n++ {
					_, err = w.token(w.device, desktop)
				}
				if err == nil {
					err = w.device.LogonUI.SignOut(t.Context(), desktop)
				}
				if err != nil {
					t.Fatalf("person %d: %v", i, err)
				}
			}
			if err := w.lab.Advance(t.Context(), 5*time.Hour); err != nil {
				t.Fatal(err)
			}
			for i := range people / 4 {
				if err := w.enters(fmt.Sprintf("person%d@contoso.test", i)); err != nil {
					t.Errorf("person %d comes back: %v", i, err)
				}
			}
			w.settle(w.device)
			if n := w.struck("idp"); n < people*each/40 {
				t.Errorf("the rule struck %d times in some %d requests", n, people*(each+1))
			}
		})
	}
}
