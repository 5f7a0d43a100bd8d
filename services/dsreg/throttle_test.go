package dsreg_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

// busy is what a registration service answers to a burst of joins.
func busy() error {
	return prterr.New(prterr.Exhausted, "DirectoryError: your request is throttled temporarily").WithRetryAfter(300 * time.Second)
}

// calls is how many bytes went to the tenant and to the TPM, by method.
func (w *world) calls() map[string]int {
	n := map[string]int{}
	for _, c := range []*tap{w.toIdP, w.toTPM} {
		c.mu.Lock()
		for method, sent := range c.sent {
			n[method] += len(sent) + 1
		}
		c.mu.Unlock()
	}
	return n
}

// waits checks an error that says how long to wait, to people and to programs.
func waits(t *testing.T, err error, at most) {
	t.Helper()
	left := prterr.RetryAfterOf(err)
	if prterr.KindOf(err) != prterr.Exhausted || left <= at.than || left > at.most || !strings.Contains(err.Error(), "try again in "+left.Round(time.Second).String()) {
		t.Errorf("%v; %v left", err, left)
	}
}

// most is between what the time that is left has to lie.
type most struct{ than, most time.Duration }

// TestFLT09_REG25_AThrottledJoinWaits: the error has the name and the time, nobody is
// asked before that is over, and then it works. The last attempt stays the one that was
// made.
func TestFLT09_REG25_AThrottledJoinWaits(t *testing.T) {
	w := newWorld(t)
	w.idp.set(func() { w.idp.before["RegisterDevice"] = busy() })
	_, err := w.join()
	waits(t, err, most{299 * time.Second, 300 * time.Second})
	if !strings.Contains(err.Error(), "DirectoryError") {
		t.Errorf("got %v", err)
	}
	first := w.describe(false).GetLastAttempt()
	if first.GetClientErrorCode() != 0x801c03f2 || first.GetServerErrorCode() != "DirectoryError" || first.GetErrorPhase() != "join" || first.GetServerMessage() != "DirectoryError: your request is throttled temporarily" {
		t.Errorf("last attempt %v", first)
	}
	w.idp.set(func() { clear(w.idp.before) })
	w.clock.Advance(2 * time.Minute)
	before := w.calls()
	for range 3 {
		_, err := w.join()
		waits(t, err, most{0, 3 * time.Minute})
		_, err = w.register()
		waits(t, err, most{0, 3 * time.Minute})
	}
	if !maps.Equal(before, w.calls()) || !proto.Equal(first, w.describe(false).GetLastAttempt()) {
		t.Error("a join within the time was more than refused")
	}
	if err := w.joinAs(bob, "DESKTOP-1"); err != nil {
		t.Errorf("another user: %v", err)
	}
	w.clock.Advance(3 * time.Minute)
	if id := w.mustJoin().GetDeviceId(); !w.idp.knows(id) {
		t.Errorf("after the time the tenant has %d devices", len(w.idp.devices))
	}
}

// TestFLT09_REG25_WhereverTheTenantThrottles it is the same; what is busy on the device
// itself has no say in when the tenant may be asked. A restart forgets.
func TestFLT09_REG25_WhereverTheTenantThrottles(t *testing.T) {
	tooMany := prterr.AADSTS(aadsts.Throttled, "").WithRetryAfter(time.Minute)
	join := func(w *world) error { _, err := w.join(); return err }
	for name, c := range map[string]struct {
		method string
		ready  func(*world)
		ask    func(*world) error
	}{
		"a token":     {"RequestRegistrationToken", func(*world) {}, join},
		"discovery":   {"DescribeRegistrationServices", func(*world) {}, join},
		"attestation": {"RequestAttestationChallenge", func(*world) {}, join},
		"migration":   {"ReplaceDeviceKeys", func(w *world) { onSoftware(w) }, func(w *world) error { _, err := w.migrate(); return err }},
		"departure":   {"DeleteDevice", func(w *world) { w.mustJoin() }, func(w *world) error { return w.leave(false) }},
		"a nonce":     {"IssueNonce", func(w *world) { w.mustJoin() }, func(w *world) error { return w.leave(false) }},
		"hybrid join": {"JoinHybridDevice", func(*world) {}, func(w *world) error { _, err := w.hybrid(); return err }},
		"recovery": {"RegisterDevice", func(w *world) { w.mustJoin(); w.tpm.wipe() }, func(w *world) error {
			_, err := w.recover(alice, password)
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.ready(w)
			w.idp.set(func() { w.idp.before[c.method] = tooMany })
			waits(t, c.ask(w), most{59 * time.Second, time.Minute})
			w.idp.set(func() { clear(w.idp.before) })
			before := w.calls()
			waits(t, c.ask(w), most{0, time.Minute})
			if !maps.Equal(before, w.calls()) {
				t.Error("asked within the time")
			}
			w.restart(nil)
			if err := c.ask(w); err != nil {
				t.Errorf("after a restart: %v", err)
			}
		})
	}
	w := newWorld(t)
	w.tpm.before["CreateDeviceKeys"] = prterr.New(prterr.Exhausted, "the TPM is busy").WithRetryAfter(time.Minute)
	if _, err := w.join(); prterr.KindOf(err) != prterr.Exhausted {
		t.Errorf("got %v", err)
	}
	clear(w.tpm.before)
	w.mustJoin()
}

// TestFLT09_REG25_AComputerThatWaitsIsNotTriedBefore its time by itself either.
func TestFLT09_REG25_AComputerThatWaitsIsNotTriedBefore(t *testing.T) {
	w := newWorld(t)
	if a, err := w.hybrid(); err != nil || !a.GetPending() {
		t.Fatal(a, err)
	}
	w.sync()
	w.idp.set(func() { w.idp.before["JoinHybridDevice"] = busy() })
	_, err := w.hybrid()
	waits(t, err, most{299 * time.Second, 300 * time.Second})
	w.idp.set(func() { clear(w.idp.before) })
	before := w.calls()
	for range 4 {
		w.clock.Advance(time.Minute)
		time.Sleep(20 * time.Millisecond) // for whoever would ask too early
	}
	if !maps.Equal(before, w.calls()) {
		t.Error("it was tried again before the 300 seconds were over")
	}
	w.later("it is tried again", func() bool { return w.idp.knows(computerID) })
}
