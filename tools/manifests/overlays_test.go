package main

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
)

const repository = "../.."

var rendered = sync.OnceValues(func() ([]overlay, error) { return overlays(repository) })

func every(t *testing.T) []overlay {
	t.Helper()
	all, err := rendered()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func theLaws(t *testing.T) law {
	t.Helper()
	l, err := laws(repository)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// Each overlay is rendered, decoded strictly and held to every rule.
func TestOverlays(t *testing.T) {
	l := theLaws(t)
	for _, o := range every(t) {
		t.Run(o.name, func(t *testing.T) {
			bad, err := check(l, []overlay{o})
			if err != nil {
				t.Fatal(err)
			}
			for _, line := range bad {
				t.Error(line)
			}
			if len(o.workloads()) < 10 {
				t.Errorf("%d workloads: the overlay is not whole", len(o.workloads()))
			}
		})
	}
}

// TestOverlaysThereAre holds the list: one that is gone would be judged by nobody.
func TestOverlaysThereAre(t *testing.T) {
	want := map[string]bool{"demo": true, "two-devices": true, "idp-replicas": true, "https": true, "swtpm": true, "bootstrap-secrets": true}
	for _, s := range standInsOf() {
		want[standInPrefix+s.Name] = true
	}
	for _, o := range every(t) {
		if !want[o.name] {
			t.Errorf("overlay %s is not on the list of this test", o.name)
		}
		delete(want, o.name)
	}
	for name := range want {
		t.Errorf("overlay %s is gone", name)
	}
}

func TestStandInsAreWritten(t *testing.T) {
	files, err := generated()
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range files {
		got, err := os.ReadFile(filepath.Join(repository, "deploy", filepath.FromSlash(path)))
		if err != nil || string(got) != want {
			t.Errorf("%s is not what its template gives: run `go run . generate` in tools/manifests (%v)", path, err)
		}
	}
	dirs, err := filepath.Glob(filepath.Join(repository, "deploy", "*", standInPrefix+"*"))
	if err != nil || len(dirs) != 2*len(standInsOf()) {
		t.Errorf("%d folders of stand-ins for %d stand-ins, %v", len(dirs), len(standInsOf()), err)
	}
}

// A field that Kubernetes does not have, or one twice, is an error and not read over.
func TestDecodeIsStrict(t *testing.T) {
	for _, bad := range []string{
		"apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {selectors: {a: b}}\n",
		"apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {}\nspec: {}\n",
		"apiVersion: v1\nkind: Servise\nmetadata: {name: a}\n",
	} {
		if _, err := decode([]byte(bad)); err == nil {
			t.Errorf("taken: %s", bad)
		}
	}
}
