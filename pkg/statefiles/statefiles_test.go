package statefiles_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/statefiles"
)

// memory is a record that fails when it is told to.
type memory struct {
	current, next [32]byte
	known         bool
	fail          string
}

func (m *memory) failed(call string) error {
	if strings.Contains(m.fail, call) {
		return prterr.New(prterr.Unavailable, "down")
	}
	return nil
}

func (m *memory) Begin(d [32]byte) error {
	if err := m.failed("begin"); err != nil {
		return err
	}
	m.next, m.known = d, true
	return nil
}

func (m *memory) Confirm(d [32]byte) error {
	if err := m.failed("confirm"); err != nil {
		return err
	}
	m.current = d
	return nil
}

func (m *memory) Check(d [32]byte) (statefiles.Outcome, error) {
	switch err := m.failed("check"); {
	case err != nil:
		return 0, err
	case !m.known:
		return statefiles.NoRecord, nil
	case d == m.current, d == m.next:
		m.current, m.next = d, d
		return statefiles.Current, nil
	}
	return statefiles.Stale, nil
}

func open(t *testing.T, dir string, m *memory) *statefiles.Files {
	t.Helper()
	f, err := statefiles.Open(statefiles.Config{Dir: dir, Folders: []string{"in"}, Names: []string{"one.json"}, Records: m})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func write(t *testing.T, f *statefiles.Files, names ...string) {
	t.Helper()
	for i, name := range names {
		if err := f.Write(name, []byte("content "+strconv.Itoa(i)+" of "+name)); err != nil {
			t.Fatal(err)
		}
	}
}

func clean(t *testing.T, when string, f *statefiles.Files) {
	t.Helper()
	if f.Verification() != statefiles.Verified || len(f.Quarantined()) > 0 || len(f.Settle()) > 0 {
		t.Errorf("%s: %v, in quarantine %v", when, f.Verification(), f.Quarantined())
	}
}

func TestWhatIsWrittenHereIsKnownAtTheNextStart(t *testing.T) {
	dir, m := t.TempDir(), &memory{}
	f := open(t, dir, m)
	write(t, f, "in/a.json", "in/b.json", "one.json", "elsewhere/c.json", "in/a.json")
	if err := f.Remove("in/b.json"); err != nil {
		t.Fatal(err)
	}
	if err := f.Reject("one.json", "for the test"); err == nil || !strings.Contains(err.Error(), "for the test") {
		t.Errorf("got %v", err)
	}
	again := open(t, dir, m)
	if again.Verification() != statefiles.Verified || len(again.Quarantined()) != 1 {
		t.Errorf("%v, in quarantine %v", again.Verification(), again.Quarantined())
	}
	if names, err := again.List("in"); err != nil || len(names) != 1 || names[0] != "in/a.json" {
		t.Errorf("%v, %v", names, err)
	}
}

// TestACallThatFailsIsMadeUpForLater: whichever call it is, and whoever settles it.
func TestACallThatFailsIsMadeUpForLater(t *testing.T) {
	for _, call := range []string{"begin", "confirm", "begin confirm"} {
		t.Run(call, func(t *testing.T) {
			dir, m := t.TempDir(), &memory{}
			f := open(t, dir, m)
			write(t, f, "in/a.json")
			m.fail = call
			write(t, f, "in/a.json", "in/b.json")
			m.fail = ""
			f.Settle()
			clean(t, "settled", open(t, dir, m))
			m.fail = call
			write(t, f, "in/c.json")
			m.fail = ""
			write(t, f, "in/d.json") // the next write settles it too
			clean(t, "written", open(t, dir, m))
		})
	}
}

// TestAFullQuarantineKeepsAFileUnused: it stays where it is, and nobody reads it.
func TestAFullQuarantineKeepsAFileUnused(t *testing.T) {
	dir, m := t.TempDir(), &memory{}
	write(t, open(t, dir, m), "in/a.json", "in/b.json")
	if err := os.Mkdir(filepath.Join(dir, "quarantine"), 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range durable.MaxQuarantined {
		if err := os.WriteFile(filepath.Join(dir, "quarantine", "x.json."+strconv.Itoa(i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "in", "a.json"), []byte("an older one"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := open(t, dir, m)
	if names, err := f.List("in"); err != nil || len(names) != 1 || names[0] != "in/b.json" || f.Verification() != statefiles.RolledBack {
		t.Errorf("%v, %v, %v", names, f.Verification(), err)
	}
	if _, err := f.Read("in/a.json"); !os.IsNotExist(err) {
		t.Errorf("it was read: %v", err)
	}
	write(t, f, "in/a.json")
	if names, err := open(t, dir, m).List("in"); err != nil || len(names) != 2 {
		t.Errorf("after the next write: %v, %v", names, err)
	}
}
