package softtpm_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/lockstep-sso/lockstep/pkg/softtpm"
)

// The same SRK, blobs, persistent keys and auth values after a restart.
func TestMarshal(t *testing.T) {
	a := newTPM(t, softtpm.Config{})
	root := srk(t, a)
	b := must[blob](t)(create(a, root, skTemplate(true), "", span(0, 32)))
	ok(t, evict(a, tpm2.TPMRHOwner, root, 0x81000001))
	ok(t, changeAuth(a, tpm2.TPMRHOwner, "", "own"))
	state := must[[]byte](t)(a.Marshal())
	ok(t, a.Close())
	if _, err := a.Marshal(); !errors.Is(err, softtpm.ErrClosed) {
		t.Errorf("Marshal after Close: %v", err)
	}
	if _, err := a.Send(nil); !errors.Is(err, softtpm.ErrClosed) {
		t.Errorf("Send after Close: %v", err)
	}
	ok(t, a.Close())

	tpm := newTPM(t, softtpm.Config{State: state})
	_, err := primary(tpm, tpm2.TPMRHOwner, tpm2.ECCSRKTemplate)
	wantRC(t, "owner auth was kept", err, 0x9a2)
	ok(t, changeAuth(tpm, tpm2.TPMRHOwner, "own", ""))
	if again := srk(t, tpm); !bytes.Equal(again.Name.Buffer, root.Name.Buffer) {
		t.Error("another SRK after the restart")
	}
	root.Handle = 0x81000001
	must[key](t)(load(tpm, root, b))

	for i := range state {
		bad := bytes.Clone(state)
		bad[i] ^= 0x40
		if _, err := softtpm.New(softtpm.Config{State: bad}); err == nil {
			t.Fatalf("state with a changed byte %d of %d accepted", i, len(state))
		}
		if _, err := softtpm.New(softtpm.Config{State: state[:i]}); err == nil {
			t.Fatalf("state cut at %d of %d accepted", i, len(state))
		}
	}
}

// A change that cannot be saved did not happen.
func TestOnChange(t *testing.T) {
	calls, disk := 0, error(nil)
	tpm := newTPM(t, softtpm.Config{OnChange: func([]byte) error { calls++; return disk }})
	before := calls
	root := srk(t, tpm)
	must[blob](t)(create(tpm, root, skTemplate(true), "", span(0, 32)))
	if calls != before {
		t.Error("a command that changes nothing was saved")
	}
	disk = errors.New("disk full")
	state := must[[]byte](t)(tpm.Marshal())
	wantRC(t, "EvictControl", evict(tpm, tpm2.TPMRHOwner, root, 0x81000001), 0x923)
	wantRC(t, "HierarchyChangeAuth", changeAuth(tpm, tpm2.TPMRHOwner, "", "x"), 0x923)
	wantRC(t, "Clear", clearBy(tpm, tpm2.TPMRHLockout), 0x923)
	_, err := tpm2.ReadPublic{ObjectHandle: root.Handle}.Execute(tpm)
	ok(t, err)
	if again := srk(t, tpm); !bytes.Equal(again.Name.Buffer, root.Name.Buffer) {
		t.Error("a failed Clear changed the SRK")
	}
	after := must[[]byte](t)(tpm.Marshal())
	if len(after) != len(state) {
		t.Error("a failed save changed the state")
	}
	disk = nil
	ok(t, evict(tpm, tpm2.TPMRHOwner, root, 0x81000001))
	if calls == before {
		t.Error("a change was not saved")
	}
}

func TestOpenFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tpm.state")
	open := func() (*softtpm.TPM, error) { return softtpm.OpenFile(path, softtpm.Config{}) }
	a := must[*softtpm.TPM](t)(open())
	start(t, a)
	root := srk(t, a)
	if _, err := open(); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("second user of one state: %v", err)
	}
	ok(t, evict(a, tpm2.TPMRHOwner, root, 0x81000001))
	ok(t, a.Close())
	info := must[os.FileInfo](t)(os.Stat(path))
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode())
	}

	b := must[*softtpm.TPM](t)(open())
	start(t, b)
	r, err := tpm2.ReadPublic{ObjectHandle: tpm2.TPMHandle(0x81000001)}.Execute(b)
	ok(t, err)
	if !bytes.Equal(r.Name.Buffer, root.Name.Buffer) {
		t.Error("another key after the restart")
	}
	ok(t, b.Close())

	good := must[[]byte](t)(os.ReadFile(path))
	damaged := bytes.Clone(good)
	damaged[50] ^= 1
	newer := bytes.Clone(good)
	newer[9] = 99
	for _, v := range []struct {
		name  string
		state []byte
		is    error
		says  string
	}{
		{"damaged", damaged, softtpm.ErrStateDamaged, "restore it from a backup"},
		{"empty", nil, softtpm.ErrNotState, "restore it from a backup"},
		{"foreign", []byte(strings.Repeat("PK\x03\x04 something else ", 9)), softtpm.ErrNotState, "restore it from a backup"},
		{"huge", make([]byte, 1<<20), softtpm.ErrNotState, "larger than"},
		{"newer", newer, softtpm.ErrStateVersion, "run the version that wrote it"},
	} {
		ok(t, os.WriteFile(path, v.state, 0o600))
		_, err := open()
		if !errors.Is(err, v.is) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), v.says) {
			t.Errorf("%s: %v", v.name, err)
		}
		if left := must[[]byte](t)(os.ReadFile(path)); !bytes.Equal(left, v.state) {
			t.Errorf("%s: the file was touched", v.name)
		}
	}
	ok(t, os.WriteFile(path, good, 0o600))
	ok(t, os.Chmod(path, 0o644))
	if _, err := open(); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("readable by everybody: %v", err)
	}
	ok(t, os.Chmod(path, 0o600))
	ok(t, must[*softtpm.TPM](t)(open()).Close())
}

func TestNothingPrints(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	state := must[[]byte](t)(tpm.Marshal())
	s := fmt.Sprintf("%v %+v %#v %v %+v", tpm, tpm, tpm, softtpm.Config{State: state}, softtpm.Config{State: state})
	if s != "softtpm.TPM{...} softtpm.TPM{...} softtpm.TPM{...} softtpm.Config{...} softtpm.Config{...}" {
		t.Errorf("printed %s", s)
	}
}
