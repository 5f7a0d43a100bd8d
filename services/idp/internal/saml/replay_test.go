package saml

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestReplaysAreBoundedByIssuerAndForgottenAtTheirEnd(t *testing.T) {
	h := &hand{now: goldenTime()}
	r := newReplays(3)
	end := func(minutes int) time.Time { return goldenTime().Add(time.Duration(minutes) * time.Minute) }
	for i := range 3 {
		// The last to come is the first to end.
		if err := r.use(h, "a", fmt.Sprint(i), end(30-i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.use(h, "a", "3", end(60)); !errors.Is(err, whyFull) {
		t.Errorf("a fourth: %v", err)
	}
	if err := r.use(h, "a", "1", end(60)); !errors.Is(err, whyReplay) {
		t.Errorf("a replay at the bound: %v", err)
	}
	if err := r.use(h, "b", "1", end(60)); err != nil {
		t.Errorf("the same id of another issuer: %v", err)
	}
	h.now = end(28)
	if err := r.use(h, "a", "3", end(60)); err != nil {
		t.Errorf("after the first end: %v", err)
	}
	if err := r.use(h, "a", "2", end(28)); !errors.Is(err, whyLate) {
		t.Errorf("at its end: %v", err)
	}
	if err := r.use(h, "a", "0", end(30)); !errors.Is(err, whyReplay) {
		t.Errorf("one that has not ended: %v", err)
	}
	h.now = end(90)
	if err := r.use(h, "a", "x", end(100)); err != nil {
		t.Error(err)
	}
	if a := r.of["a"]; len(a.used) != 1 || len(a.ends) != 1 {
		t.Errorf("%d remembered, %d to end", len(a.used), len(a.ends))
	}
}
