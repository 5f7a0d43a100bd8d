package acceptance_test

import (
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/durable"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	wamv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/wam/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// breaker is a crash at one point of a component, once.
type breaker struct {
	mu    sync.Mutex
	seen  []string
	armed string
	broke bool
}

func (b *breaker) reached(point string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Contains(b.seen, point) {
		b.seen = append(b.seen, point)
	}
	if point == b.armed {
		b.armed, b.broke = "", true
		panic("crash at " + point)
	}
}

func (b *breaker) arm(point string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.armed, b.broke = point, false
}

func (b *breaker) hit() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.broke
}

// TestA43_WAMIsStoppedAtEachMoment of adding an account and of renewing its PRT, and
// started again on what is on disk: the PRT is the old one or the new one, with the
// session key that belongs to it, so the next app gets a token without a question.
func TestA43_WAMIsStoppedAtEachMoment(t *testing.T) {
	var b breaker
	w, desktop := registeredDevice(t, lab.Config{Points: map[string]durable.Points{"wam-broker": b.reached}})
	renew := func() {
		t.Helper()
		w.advance(5 * time.Hour)
		_, _ = w.token(w.device, desktop) // the renewal is behind it
		w.awaitWork(func(a *wamv1.AccountState) bool { return !a.GetRenewalRunning() })
	}
	w.mustToken(desktop)
	renew()
	points := slices.Clone(b.seen)
	for _, p := range []string{
		"answer-received", "session-key-imported", "temp-created", "temp-written", "manifest-temp-created", "manifest-temp-written", "state-begun",
		"renamed", "manifest-renamed", "state-confirmed", "account-written",
	} {
		if !slices.Contains(points, p) {
			t.Fatalf("%s is not among the points %q", p, points)
		}
	}
	hits := 0
	for _, p := range points {
		for name, do := range map[string]func(){"renewal": renew, "adding": func() { _, _ = w.settings(w.device, desktop) }} {
			b.arm(p)
			do()
			if b.hit() {
				hits++
			}
			b.arm("")
			if err := w.device.Restart(t.Context(), "wam-broker"); err != nil {
				t.Fatal(err)
			}
			if got := w.work(); got.GetValidity() != authorityv1.PRTValidity_PRT_VALIDITY_GOOD {
				t.Errorf("%s, crash at %s: %v", name, p, got)
			}
			if _, _, err := w.device.App(teams).Token(t.Context(), desktop, w.tenant.Resource, true); err != nil {
				t.Errorf("%s, crash at %s: %v", name, p, err)
			}
		}
	}
	if hits < len(points) {
		t.Errorf("%d crashes at %d points", hits, len(points))
	}
}

// TestREN22_KillMinus9AtEveryWritePointOfWAMsAccounts kills the process while it keeps the
// new PRT of a work account: the next start takes its files for its own, and the next app
// gets a token without a question.
func TestREN22_KillMinus9AtEveryWritePointOfWAMsAccounts(t *testing.T) {
	w := processes(t)
	desktop := w.owner(w.device, "maria")
	if _, err := w.settings(w.device, desktop); err != nil {
		t.Fatal(err)
	}
	w.mustToken(desktop)
	folder := w.device.StateDir("wam-broker")
	for _, point := range append(tokenPoints(), "answer-received", "session-key-imported", "manifest-temp-created", "manifest-temp-written", "state-begun",
		"manifest-renamed", "state-confirmed", "account-written") {
		w.dies("wam-broker", point, func() {
			if _, err := w.settings(w.device, desktop); err == nil {
				t.Errorf("an account whose broker died at %s was added", point)
			}
		})
		if got := w.work(); got.GetValidity() != authorityv1.PRTValidity_PRT_VALIDITY_GOOD {
			t.Errorf("after %s: %v", point, got)
		}
		w.mustToken(desktop)
		for _, pattern := range []string{"quarantine/*", "accounts/.*", ".manifest*"} {
			if left, err := filepath.Glob(filepath.Join(folder, pattern)); err != nil || len(left) > 0 {
				t.Errorf("after %s: %v, %v", point, left, err)
			}
		}
	}
}

// awaitWork waits until the one work account is as wanted.
func (w *world) awaitWork(wanted func(*wamv1.AccountState) bool) {
	w.t.Helper()
	for end := time.Now().Add(patience); !wanted(w.work()); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("the account stays %v", w.work())
		}
	}
}
