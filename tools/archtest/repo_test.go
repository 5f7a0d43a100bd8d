package archtest

import (
	"slices"
	"sync"
	"testing"
)

// rule returns one line for each place that breaks it.
type rule func(*Repo) []string

var loaded = sync.OnceValues(func() (*Repo, error) {
	root, err := Find()
	if err != nil {
		return nil, err
	}
	return Load(root)
})

// repository is this repository, read once.
func repository(t *testing.T) *Repo {
	t.Helper()
	r, err := loaded()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// holds fails for each place in this repository that breaks the rule.
func holds(t *testing.T, r rule) {
	t.Helper()
	bad := r(repository(t))
	slices.Sort(bad)
	for _, line := range bad {
		t.Error(line)
	}
}

// files is a repository in a few lines, for a rule to be tried on.
type files map[string]string

// finds proves that the rule can fail: on the given files it reports exactly want.
func finds(t *testing.T, r rule, in files, want ...string) {
	t.Helper()
	repo, err := Parse(in)
	if err != nil {
		t.Fatal(err)
	}
	got := r(repo)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the rule reports\n%q\nand should report\n%q", got, want)
	}
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, path string
		want          bool
	}{
		{"pkg/jose", "pkg/jose", true},
		{"pkg/jose", "pkg/jose/x", false},
		{"pkg/...", "pkg", true},
		{"pkg/...", "pkg/jose/x", true},
		{"pkg/...", "pkgs", false},
		{"services/*/cmd/...", "services/idp/cmd/idp", true},
		{"services/*", "services/idp/cmd", false},
	} {
		if got := Match(c.pattern, c.path); got != c.want {
			t.Errorf("%s, %s: %v", c.pattern, c.path, got)
		}
	}
}

func TestImportNames(t *testing.T) {
	repo, err := Parse(files{"a.go": "package a\nimport (\n\"math/rand/v2\"\n_ \"embed\"\nx \"" + Module + "/pkg/ids\"\n)\n"})
	if err != nil {
		t.Fatal(err)
	}
	got := repo.Go[0].Imports()
	if len(got) != 3 || got["rand"] != "math/rand/v2" || got["_ embed"] != "embed" || got["x"] != "pkg/ids" {
		t.Errorf("got %q", got)
	}
}
