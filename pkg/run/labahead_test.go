package run

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/clock"
)

// A component that is started again is at the time that it was moved to, because what it
// wrote down is of that time.
func TestLabClockOutlivesTheProcess(t *testing.T) {
	dir := t.TempDir()
	begin := func(f Flags) (*clock.Lab, func(time.Duration)) {
		c := clock.NewLab()
		moves, err := moveOn(c, f, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return c, moves
	}
	ahead := func(c *clock.Lab) time.Duration { return time.Until(c.Now()).Round(time.Hour) }
	c, moves := begin(Flags{State: dir})
	if ahead(c) != 0 {
		t.Errorf("a new component is %v ahead", ahead(c))
	}
	for _, by := range []time.Duration{4 * time.Hour, 20 * time.Hour} {
		moves(by)
	}
	if c, _ = begin(Flags{State: dir}); ahead(c) != 24*time.Hour {
		t.Errorf("started again it is %v ahead, want 24 h", ahead(c))
	}
	if c, _ = begin(Flags{State: dir, LabAhead: 30 * time.Hour}); ahead(c) != 30*time.Hour {
		t.Errorf("told to be 30 h ahead it is %v", ahead(c))
	}
	if c, _ = begin(Flags{LabAhead: time.Hour}); ahead(c) != time.Hour {
		t.Errorf("without a state folder it is %v ahead, want 1 h", ahead(c))
	}
	if err := os.WriteFile(filepath.Join(dir, aheadFile), []byte("soon"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := moveOn(clock.NewLab(), Flags{State: dir}, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a file that says nothing is read")
	}
}
