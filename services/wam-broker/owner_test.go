package wambroker_test

import (
	"slices"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	eventv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/event/v1"
)

// TestAPP19_AWorkAccountGoesWithItsUserOfTheDevice: nobody could use it any more and nobody
// remove it. Only those who were asked about are believed to be gone.
func TestAPP19_AWorkAccountGoesWithItsUserOfTheDevice(t *testing.T) {
	d := registeredWithoutPRT(t)
	d.set(func(w *world) { w.gone = []string{noah, "S-1-5-21-1-2-3-1234"} })
	if got := d.accounts(t, "session-maria"); len(got) != 1 || !slices.Equal(d.asked(), []string{maria}) {
		t.Fatalf("%v, asked about %v", got, d.asked())
	}
	d.set(func(w *world) { w.gone = []string{maria} })
	if got := d.accounts(t, "session-noah"); len(got) != 0 {
		t.Errorf("noah has %v", got)
	}
	for end := time.Now().Add(20 * time.Second); len(d.state(t)) > 0 || !slices.ContainsFunc(d.events(t), func(e *eventv1.Event) bool { return e.GetId() == 9012 }); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("there is still %v, events %v", d.state(t), d.events(t))
		}
	}
	for end := time.Now().Add(20 * time.Second); d.leaves() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the device did not leave with its last work account")
		}
	}
	if got := start(t, d.world, d.dir, nil); len(got.state(t)) != 0 {
		t.Errorf("after a restart there is %v", got.state(t))
	}
	if d.accounts(t, "session-noah"); len(d.asked()) != 0 {
		t.Errorf("without accounts it still asks about %v", d.asked())
	}
	if _, err := d.client.RequestToken(t.Context(), ask(as("session-maria"))); prterr.KindOf(err) != prterr.Interaction {
		t.Errorf("a session of before: %v", err)
	}
}

// TestAPP19_WhoIsSignedInIsNotGone: an answer that says so of the one whose session it
// describes contradicts itself, and costs nobody an account or the device its tenant.
func TestAPP19_WhoIsSignedInIsNotGone(t *testing.T) {
	d := registeredWithoutPRT(t)
	d.set(func(w *world) { w.gone = []string{maria} })
	if got := d.accounts(t, "session-maria"); len(got) != 1 {
		t.Fatalf("maria has %v", got)
	}
	// Whoever is removed behind an app is gone when the service has ended.
	if err := d.service.Close(); err != nil {
		t.Fatal(err)
	}
	d.set(func(w *world) { w.gone = nil })
	if got := start(t, d.world, d.dir, nil); len(got.accounts(t, "session-maria")) != 1 || d.leaves() != 0 {
		t.Errorf("after it maria has %v, the device left %d times", got.accounts(t, "session-maria"), d.leaves())
	}
}

func (w *world) asked() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.owners
}

func (w *world) leaves() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.left)
}
