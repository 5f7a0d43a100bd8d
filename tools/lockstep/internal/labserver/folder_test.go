package labserver

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/durable"
)

func TestFoldersThatDoNotDo(t *testing.T) {
	refused := func(dir, want string) {
		t.Helper()
		f, err := openFolder(dir)
		if err == nil {
			_ = f.close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", dir, err, want)
		}
	}
	refused(filepath.Join(t.TempDir(), strings.Repeat("x", 100)), "use a shorter one")
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "letters"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	refused(full, "has other things in it")
	refused(filepath.Join(full, "letters"), "not a directory")
	broken := t.TempDir()
	for name, text := range map[string]string{"lock": "", stateName: "{}"} {
		if err := durable.WriteFile(filepath.Join(broken, name), []byte(text), nil); err != nil {
			t.Fatal(err)
		}
	}
	refused(broken, "restore it, or begin anew")
	if os.Geteuid() == 0 {
		t.Log("root may write everywhere: a folder of another user is not tried")
		return
	}
	foreign := t.TempDir()
	if err := os.Chmod(foreign, 0o500); err != nil {
		t.Fatal(err)
	}
	refused(filepath.Join(foreign, "lab"), "cannot be used by this user")
}

func TestAFolderIsForItsUserAloneAndForOneProcess(t *testing.T) {
	dir := t.TempDir() // 0755 on most machines
	f, err := openFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	if err := os.MkdirAll(f.path(identities), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := openFolder(dir); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("twice: %v", err)
	}
	if _, err := os.Stat(f.path(identities)); err != nil {
		t.Errorf("who came second took the identities away: %v", err)
	}
	if err := f.close(); err != nil {
		t.Error(err)
	}
	if f, err = openFolder(dir); err != nil {
		t.Fatal(err)
	}
	if err := f.close(); err != nil {
		t.Error(err)
	}
}

func TestTimeNeverGoesBack(t *testing.T) {
	f, err := openFolder("")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.close() }()
	now := time.Now()
	if d := f.ahead(now); d != 0 {
		t.Errorf("a new laboratory is ahead by %v", d)
	}
	if err := f.keep(now, 72*time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := f.read(); err != nil {
		t.Fatal(err)
	}
	if d := f.ahead(now.Add(time.Hour)); d != 72*time.Hour {
		t.Errorf("ahead by %v", d)
	}
	// Somebody set the clock of the machine back by a day.
	if back := now.Add(-24 * time.Hour); back.Add(f.ahead(back)).Before(now.Add(72 * time.Hour)) {
		t.Error("time went back with the machine's")
	}
	for n, good := range map[int]bool{0: true, 1: true, MaxDevices: true, MaxDevices + 1: false, -1: false} {
		if err := f.setDevices(n); (err == nil) != good {
			t.Errorf("%d devices: %v", n, err)
		}
	}
	if err := oneTPMEach("tcp:127.0.0.1:2321", 2); err == nil || !strings.Contains(err.Error(), "--devices 1") {
		t.Errorf("one TPM for two devices: %v", err)
	}
	if err := oneTPMEach("swtpm:", 2); err != nil {
		t.Error(err)
	}
}
