package acceptance_test

import (
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// TestFLT09_AThrottledRenewalWaitsAsLongAsItIsTold: the identity provider refuses renewals
// and says for how long. By itself the device would try again after a minute; it does not
// before the hint is over, over both carriers, and then it does.
func TestFLT09_AThrottledRenewalWaitsAsLongAsItIsTold(t *testing.T) {
	for name, https := range map[string]bool{"gRPC": false, "HTTPS": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, lab.Config{TPM: "mem:", HTTPS: https})
			w.join(w.device)
			w.signIn(w.device)
			w.rules("idp", `(throttle 20m (method "IssuanceService/RenewPRT"))`)
			advance := func(d time.Duration) {
				t.Helper()
				if err := w.lab.Advance(t.Context(), d); err != nil {
					t.Fatal(err)
				}
				time.Sleep(50 * time.Millisecond) // for whoever would ask too early
				w.settle(w.device)
			}
			awaits := func(n uint64) {
				t.Helper()
				for end := time.Now().Add(patience); w.struck("idp") < n; time.Sleep(5 * time.Millisecond) {
					if time.Now().After(end) {
						t.Fatalf("the renewal was tried %d times, not %d", w.struck("idp"), n)
					}
				}
			}
			advance(4*time.Hour + time.Minute)
			awaits(1)
			for range 6 {
				advance(3 * time.Minute)
			}
			if n := w.struck("idp"); n != 1 {
				t.Errorf("it was tried %d times before the 20 minutes were over", n)
			}
			advance(3 * time.Minute)
			awaits(2)
		})
	}
}
