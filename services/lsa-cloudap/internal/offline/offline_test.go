package offline_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/statefiles"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/offline"
)

const limit = 72 * time.Hour

// at is a moment by the clock of the device.
func at(d time.Duration) time.Time { return time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC).Add(d) }

func start(t *testing.T, dir string, lifetime time.Duration) *offline.Policy {
	t.Helper()
	files, err := statefiles.Open(statefiles.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	p, err := offline.New(offline.Config{Files: files, Lifetime: lifetime, Seen: at(0)})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Whoever sets the clock back gets no more time: not in this run, and not after a
// restart.
func TestOFF05_AClockThatGoesBackDoesNotGiveMoreTime(t *testing.T) {
	dir := t.TempDir()
	p := start(t, dir, limit)
	if err := p.Check(at(50*time.Hour), at(0)); err != nil {
		t.Fatalf("within the limit: %v", err)
	}
	for range 2 {
		for _, row := range []struct {
			now, contact time.Duration
			in           bool
		}{
			{50*time.Hour - 4*time.Minute, 0, true}, // what a time server does
			{10 * time.Hour, 0, false},
			{-1000 * time.Hour, 0, false},
			{50 * time.Hour, 60 * time.Hour, false}, // a contact in the future
			{50 * time.Hour, 0, true},               // the clock is right again
		} {
			if err := p.Check(at(row.now), at(row.contact)); (err == nil) != row.in || err != nil && prterr.KindOf(err) != prterr.Denied {
				t.Errorf("at %v: %v", row.now, err)
			}
		}
		p = start(t, dir, limit)
	}
	if err := p.Check(at(73*time.Hour), at(0)); err == nil {
		t.Error("over the limit")
	}
	// Back to a time within the limit: refused for the clock.
	if err := p.Check(at(50*time.Hour), at(0)); err == nil {
		t.Error("the clock was set back after the limit was over")
	}
}

func TestBreakGlassIsNotProlongedByTheClock(t *testing.T) {
	dir := t.TempDir()
	p := start(t, dir, limit)
	until, err := p.Open(at(100*time.Hour), time.Hour)
	if err != nil || !until.Equal(at(101*time.Hour)) {
		t.Fatalf("until %v, %v", until, err)
	}
	if err := p.Check(at(100*time.Hour+59*time.Minute), at(0)); err != nil {
		t.Errorf("while it is open: %v", err)
	}
	if err := p.Check(at(101*time.Hour), at(0)); err == nil {
		t.Error("after its end")
	}
	p = start(t, dir, limit)
	if err := p.Check(at(100*time.Hour+30*time.Minute), at(0)); err == nil || !p.BreakGlassUntil(at(100*time.Hour)).IsZero() {
		t.Error("the clock opened it again")
	}
}

// A clock that was once wrong in the other direction closes the device until the
// identity provider, or an administrator, has been there.
func TestAContactOrAnAdministratorSetsTheHighestTimeRight(t *testing.T) {
	for name, repair := range map[string]func(*offline.Policy) error{
		"a contact":        func(p *offline.Policy) error { return p.Online(at(time.Hour)) },
		"an administrator": func(p *offline.Policy) error { _, err := p.Open(at(time.Hour), time.Minute); return err },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			p := start(t, dir, limit)
			_ = p.Check(at(100000*time.Hour), at(0)) // refused, and remembered
			if err := p.Check(at(time.Hour), at(0)); err == nil {
				t.Error("the clock went back")
			}
			if err := repair(p); err != nil {
				t.Fatal(err)
			}
			if err := start(t, dir, limit).Check(at(2*time.Hour), at(time.Hour)); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

func TestWithoutALimitNothingIsKept(t *testing.T) {
	dir := t.TempDir()
	p := start(t, dir, 0)
	if err := p.Check(at(1e5*time.Hour), at(0)); err != nil {
		t.Error(err)
	}
	if err := p.Online(at(time.Hour)); err != nil {
		t.Error(err)
	}
	if found, err := os.ReadDir(dir); err != nil || len(found) != 0 {
		t.Errorf("files %v, %v", found, err)
	}
}

// What cannot be written refuses: a full disk and a clock would be a way round.
func TestWhatCannotBeKeptRefuses(t *testing.T) {
	dir := t.TempDir()
	p := start(t, dir, limit)
	if err := os.Mkdir(filepath.Join(dir, "offline.json"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "offline.json", "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.Check(at(time.Hour), at(0)); prterr.KindOf(err) != prterr.Internal {
		t.Errorf("got %v", err)
	}
}

func TestADamagedFileIsPutAsideAndTheKnownTimeStandsIn(t *testing.T) {
	for name, content := range map[string]string{
		"half": `{"version":1`, "goes on": `{"version":1,"high_water":"2026-03-01T08:00:00Z"}{}`,
		"foreign": `{"version":9,"high_water":"2026-03-01T08:00:00Z"}`, "unknown": `{"version":1,"x":1}`,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "offline.json"), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			files, err := statefiles.Open(statefiles.Config{Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			p, err := offline.New(offline.Config{Files: files, Lifetime: limit, Seen: at(10 * time.Hour)})
			if p == nil || err == nil {
				t.Fatalf("%v, %v", p, err)
			}
			if aside, _ := filepath.Glob(filepath.Join(dir, "quarantine", "offline.json*")); len(aside) != 1 {
				t.Errorf("aside %v", aside)
			}
			if err := p.Check(at(time.Hour), at(0)); err == nil {
				t.Error("the loss of the file lets the clock go back")
			}
		})
	}
}
