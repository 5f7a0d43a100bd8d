package door_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/door"
)

// lab publishes the note of a laboratory at whose door somebody listens.
func lab(t *testing.T, pid int) (i door.Info, hangUp func()) {
	t.Helper()
	dir, err := os.MkdirTemp("", "d") //nolint:usetesting // its path is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	i = door.Info{
		PID: pid, Dir: dir, Lab: "unix:" + filepath.Join(dir, "s"), IdP: "unix:" + filepath.Join(dir, "s"),
		Devices: map[string]map[string]string{"device-10": nil, "device-2": {"dsreg": "unix:/x"}, "device-1": nil},
	}
	if _, err := i.Publish(); err != nil {
		t.Fatal(err)
	}
	return i, func() { _ = l.Close() }
}

func TestFindTakesTheNewestThatAnswers(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	if _, err := door.Find(""); !errors.Is(err, door.ErrNone) {
		t.Errorf("none runs: %v", err)
	}
	old, hangUpOld := lab(t, 1001)
	young, hangUp := lab(t, 1002)
	if i, err := door.Find(""); err != nil || i.Dir != young.Dir {
		t.Errorf("found %s, %v", i.Dir, err)
	}
	hangUp()
	if i, err := door.Find(""); err != nil || i.Dir != old.Dir {
		t.Errorf("found %s, %v", i.Dir, err)
	}
	if i, err := door.Find(old.Dir); err != nil || i.PID != 1001 {
		t.Errorf("found %+v, %v", i, err)
	}
	if _, err := door.Find(young.Dir); err == nil || !strings.Contains(err.Error(), "is gone") || !strings.Contains(err.Error(), "lockstep lab --dir "+young.Dir) {
		t.Errorf("a note that was left behind: %v", err)
	}
	hangUpOld()
	if _, err := door.Find(""); !errors.Is(err, door.ErrNone) {
		t.Errorf("none is left: %v", err)
	}
}

func TestNotesThatAreNotBelieved(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	i, _ := lab(t, 1001)
	note := filepath.Join(i.Dir, door.NoteName)
	if err := os.Chmod(note, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := door.Find(i.Dir); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a note that all can write: %v", err)
	}
	for text, want := range map[string]string{`{"version":7}`: "another version", `no`: "no note of a laboratory"} {
		if err := os.WriteFile(note, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(note, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := door.Find(i.Dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestDevicesByName(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	i, _ := lab(t, 1001)
	if names := i.Names(); !slices.Equal(names, []string{"device-1", "device-2", "device-10"}) {
		t.Error(names)
	}
	d, err := i.Device("")
	if err != nil || d.Name != "device-1" || d.Has("dsreg") {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := i.Device("device-3"); err == nil || !strings.Contains(err.Error(), "device-1, device-2, device-10") {
		t.Errorf("a device that is not there: %v", err)
	}
	if d, err = i.Device("device-2"); err != nil || !d.Has("dsreg") {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := d.Dial("wam-broker"); err == nil || !strings.Contains(err.Error(), "has no wam-broker") {
		t.Errorf("a device without a broker: %v", err)
	}
	if _, err := d.Dial("dsreg"); err == nil || !strings.Contains(err.Error(), "its own user in only") {
		t.Errorf("no identity: %v", err)
	}
}
