package list

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tree writes files into a new folder.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestEachImageGetsItsProgram: of several modules, of a module's own folder, and under
// another name than the program has.
func TestEachImageGetsItsProgram(t *testing.T) {
	prints := func(text string) string {
		return "package main\n\nfunc main() { print(\"" + text + "\") }\n"
	}
	dir := tree(t, map[string]string{
		"go.mod": "module example.test/all\n\ngo 1.26\n", "cmd/one/main.go": prints("one"), "cmd/two/main.go": prints("two"),
		"tools/three/go.mod": "module example.test/three\n\ngo 1.26\n", "tools/three/main.go": prints("three"),
	})
	images := []Image{{Name: "first", Module: ".", Package: "./cmd/one"}, {Name: "third", Module: "tools/three", Package: "."}, {Name: "second", Module: ".", Package: "./cmd/two"}}
	out := t.TempDir()
	var said []string
	if err := Build(t.Context(), dir, out, images, func(line string) { said = append(said, line) }); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"first": "one", "second": "two", "third": "three"} {
		if got, err := exec.CommandContext(t.Context(), filepath.Join(out, name, "app")).CombinedOutput(); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if len(said) != 2 || !strings.HasPrefix(said[0], "2 programs, ") || !strings.HasPrefix(said[1], "1 programs, ") {
		t.Errorf("said %q", said)
	}
	if left, err := filepath.Glob(filepath.Join(out, ".programs-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

// TestWhatDoesNotCompileIsShown, and a build that takes too long ends.
func TestWhatDoesNotCompileIsShown(t *testing.T) {
	dir := tree(t, map[string]string{"go.mod": "module example.test/bad\n\ngo 1.26\n", "main.go": "package main\n\nfunc main() { missing() }\n"})
	images := []Image{{Name: "bad", Module: ".", Package: "."}}
	quiet := func(string) {}
	if err := Build(t.Context(), dir, t.TempDir(), images, quiet); err == nil || !strings.Contains(err.Error(), "main.go:3:15: undefined: missing") {
		t.Error(err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Build(over, dir, t.TempDir(), images, quiet); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestProgressCountsPackages, however the lines come, and keeps what is no package.
func TestProgressCountsPackages(t *testing.T) {
	var said []string
	p := &progress{say: func(line string) { said = append(said, line) }}
	text := strings.Repeat("example.test/a/package\n", sayEvery) + "# example.test/b\nb/main.go:1:1: no\n"
	for part := range slices.Chunk([]byte(text), 7) {
		if _, err := p.Write(part); err != nil {
			t.Fatal(err)
		}
	}
	if p.packages != sayEvery || len(said) != 1 || !strings.HasPrefix(said[0], "200 packages compiled, ") || p.rest.String() != "# example.test/b\nb/main.go:1:1: no\n" {
		t.Errorf("%d packages, said %q, rest %q", p.packages, said, p.rest.String())
	}
}
