package durable_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/durable"
)

func TestACrashLeavesOldOrNew(t *testing.T) {
	for _, point := range []string{"temp-created", "temp-written", "renamed"} {
		t.Run(point, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a", "state")
			if err := durable.WriteFile(path, []byte("old"), nil); err != nil {
				t.Fatal(err)
			}
			func() {
				defer func() {
					if recover() == nil {
						t.Error("the point was not reached")
					}
				}()
				_ = durable.WriteFile(path, []byte("new"), func(p string) {
					if p == point {
						panic("killed")
					}
				})
			}()
			want := "old"
			if point == "renamed" {
				want = "new"
			}
			if got, err := durable.ReadFile(path); err != nil || string(got) != want {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestModeSizeAndRemoval(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	if _, err := durable.ReadFile(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file gave %v", err)
	}
	if err := durable.WriteFile(path, []byte("x"), nil); err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	if err := os.WriteFile(path, make([]byte, durable.MaxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := durable.ReadFile(path); err == nil {
		t.Error("a huge file was read")
	}
	if err := errors.Join(durable.Remove(path), durable.Remove(path)); err != nil {
		t.Error(err)
	}
}
