package retryhint_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/authority/retryhint"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

func busy(wait time.Duration) error {
	return prterr.New(prterr.Exhausted, "too many requests.").WithRetryAfter(wait)
}

func TestFLT09_AHintHoldsWhoGotIt(t *testing.T) {
	var h retryhint.Hints[string]
	now := time.Now()
	if h.Check("a", now) != nil {
		t.Error("held without a hint")
	}
	h.Learn("a", busy(5*time.Minute), now)
	for after, want := range map[time.Duration]time.Duration{
		0: 5 * time.Minute, 4 * time.Minute: time.Minute, 5 * time.Minute: 0, time.Hour: 0,
		-time.Hour:      65 * time.Minute,
		-48 * time.Hour: 0, // the clock was put back: it is held for a day at most
	} {
		if got := prterr.RetryAfterOf(h.Check("a", now.Add(after))); got != want {
			t.Errorf("after %v: %v left, want %v", after, got, want)
		}
	}
	if h.Check("b", now) != nil {
		t.Error("another is held")
	}
	for _, nobody := range []error{prterr.New(prterr.Unavailable, ""), prterr.New(prterr.Deadline, "")} {
		if h.Learn("a", nobody, now); h.Check("a", now) == nil {
			t.Errorf("forgotten after %v", prterr.KindOf(nobody))
		}
	}
	for _, answer := range []error{nil, prterr.New(prterr.Unauthenticated, ""), prterr.New(prterr.Exhausted, "without a hint")} {
		h.Learn("a", busy(time.Minute), now)
		if h.Learn("a", answer, now); h.Check("a", now) != nil {
			t.Errorf("held after %v", answer)
		}
	}
}

func TestFLT09_APersonHasAFewTries(t *testing.T) {
	var h retryhint.Hints[string]
	now := time.Now()
	h.Learn("a", busy(5*time.Minute), now)
	for n := 1; n <= 3; n++ {
		now = now.Add(time.Minute)
		if err := h.Try("a", now, 3); err != nil {
			t.Fatalf("try %d: %v", n, err)
		}
		h.Learn("a", busy(5*time.Minute), now) // each is answered with a further hint
	}
	if err := h.Try("a", now, 3); prterr.RetryAfterOf(err) != 5*time.Minute {
		t.Errorf("a fourth try: %v", err)
	}
	now = now.Add(5 * time.Minute)
	if err := h.Try("a", now, 3); err != nil {
		t.Errorf("after the time: %v", err)
	}
	h.Learn("a", busy(time.Minute), now)
	if err := h.Try("a", now, 3); err != nil {
		t.Errorf("the tries do not begin anew: %v", err)
	}
}

func TestFLT09_WhatIsRememberedHasABound(t *testing.T) {
	var h retryhint.Hints[int]
	now := time.Now()
	for n := range retryhint.MaxHeld + 1 {
		h.Learn(n, busy(time.Minute), now)
	}
	if h.Check(0, now) == nil || h.Check(retryhint.MaxHeld, now) != nil {
		t.Error("one more than the bound is remembered, or one less")
	}
	h.Learn(0, busy(time.Hour), now)
	if got := prterr.RetryAfterOf(h.Check(0, now)); got != time.Hour {
		t.Errorf("a further hint of who is there: %v", got)
	}
	h.Learn(retryhint.MaxHeld, busy(time.Minute), now.Add(time.Minute))
	if h.Check(retryhint.MaxHeld, now.Add(time.Minute)) == nil {
		t.Error("what is over still takes room")
	}
}

func TestFLT09_AHintIsTold(t *testing.T) {
	err := retryhint.Told(busy(90*time.Second + time.Millisecond))
	if err.Error() != "too many requests; try again in 1m31s" || prterr.RetryAfterOf(err) != 90*time.Second+time.Millisecond {
		t.Errorf("%v", err)
	}
	plain := errors.New("plain")
	if got := retryhint.Told(plain); !errors.Is(got, plain) || strings.Contains(got.Error(), "again") {
		t.Errorf("%v", got)
	}
}
