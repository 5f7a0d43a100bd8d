package durable_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/durable"
)

func quarantine(t *testing.T, dir string, at time.Time) *durable.Quarantine {
	t.Helper()
	q, err := durable.OpenQuarantine(dir, func() time.Time { return at })
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func put(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestQuarantineKeepsEveryFileUnderANameOfItsOwn(t *testing.T) {
	home := t.TempDir()
	at := time.Unix(1_700_000_000, 0).UTC()
	q := quarantine(t, filepath.Join(home, "quarantine"), at)
	path := filepath.Join(home, "a.json")
	for _, content := range []string{"first", "second", "third"} {
		put(t, path, content)
		if _, err := q.Take(path, "it is "+content); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Lstat(path); !os.IsNotExist(err) {
			t.Errorf("the %s file stayed: %v", content, err)
		}
	}
	if err := os.MkdirAll(filepath.Join(home, "folder.json", "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Take(filepath.Join(home, "folder.json"), "it is a folder"); err != nil {
		t.Errorf("a folder in place of a file: %v", err)
	}
	list := quarantine(t, filepath.Join(home, "quarantine"), at).List() // another run
	if len(list) != 4 {
		t.Fatalf("%+v", list)
	}
	for i, want := range []struct{ name, content string }{{"a.json.1700000000", "first"}, {"a.json.1700000000-1", "second"}, {"a.json.1700000000-2", "third"}} {
		raw, err := os.ReadFile(list[i].Path)
		if err != nil || string(raw) != want.content || filepath.Base(list[i].Path) != want.name || list[i].Reason != "it is "+want.content || !list[i].Time.Equal(at) {
			t.Errorf("%+v: %q, %v", list[i], raw, err)
		}
	}
}

func TestAFullQuarantineLeavesTheFileWhereItIs(t *testing.T) {
	home := t.TempDir()
	dir := filepath.Join(home, "quarantine")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range durable.MaxQuarantined - 1 {
		put(t, filepath.Join(dir, "x.json."+strconv.Itoa(i)), "x")
	}
	q := quarantine(t, dir, time.Unix(7, 0))
	if list := q.List(); len(list) != durable.MaxQuarantined-1 || list[5].Reason == "" || !list[5].Time.Equal(time.Unix(5, 0)) {
		t.Fatalf("%d files, %+v", len(list), list[5])
	}
	path := filepath.Join(home, "a.json")
	put(t, path, "last")
	if _, err := q.Take(path, "damaged"); err != nil {
		t.Fatal(err)
	}
	put(t, path, "one too many")
	if _, err := q.Take(path, "damaged"); err == nil || !strings.Contains(err.Error(), "takes no more") {
		t.Errorf("got %v", err)
	}
	if raw, err := os.ReadFile(path); err != nil || string(raw) != "one too many" {
		t.Errorf("%q, %v", raw, err)
	}
	if _, err := q.Take(filepath.Join(home, "none"), "damaged"); err == nil {
		t.Error("a file that is not there was taken")
	}
}
