package wambroker_test

import (
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	wamv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/wam/v1"
)

// TestFLT09_AnAppThatWasToldToWaitDoesNotReachTheIdentityProvider before the time is over;
// the cached token is given out meanwhile, and others and other resources are asked for.
func TestFLT09_AnAppThatWasToldToWaitDoesNotReachTheIdentityProvider(t *testing.T) {
	d := newDevice(t)
	d.token(t)
	busy := prterr.New(prterr.Exhausted, "too many requests").WithRetryAfter(5 * time.Minute)
	refuse := func(err error) {
		d.set(func(w *world) { w.refuse["RedeemRefreshToken"], w.refuse["RedeemPRT"] = err, err })
	}
	asked := func() int { return d.count("RedeemRefreshToken") + d.count("RedeemPRT") + d.count("IssueNonce") }
	get := func(change ...func(*wamv1.RequestTokenRequest)) error {
		_, err := d.client.RequestToken(t.Context(), ask(change...))
		return err
	}
	refuse(busy)
	if err := get(force); prterr.KindOf(err) != prterr.Exhausted || prterr.RetryAfterOf(err) != 5*time.Minute {
		t.Fatalf("got %v", err)
	}
	refuse(nil)
	before := asked()
	d.lab.Advance(2 * time.Minute)
	if err := get(force); prterr.KindOf(err) != prterr.Exhausted || prterr.RetryAfterOf(err) <= 0 || prterr.RetryAfterOf(err) > 3*time.Minute || asked() != before {
		t.Errorf("within the time: %v, asked %d times", err, asked()-before)
	}
	if err := get(); err != nil || asked() != before {
		t.Errorf("the cached token: %v", err)
	}
	if err := get(force, func(r *wamv1.RequestTokenRequest) { r.Resource = "https://other.test" }); err != nil {
		t.Errorf("another resource: %v", err)
	}
	if err := get(force, asBob); err != nil {
		t.Errorf("another user: %v", err)
	}
	before = asked()
	d.lab.Advance(3 * time.Minute)
	if err := get(force); err != nil || asked() == before {
		t.Errorf("after the time: %v", err)
	}
}
