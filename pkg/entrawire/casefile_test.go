package entrawire_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// vectorDir holds the public vectors; its README is part of their format.
const vectorDir = "testdata/vectors"

// accept is the outcome of a vector that has to be taken; all others are classes
// of error.
const accept = "accept"

// vector is one file: one message, one outcome.
type vector struct {
	Name   string            `json:"name"`
	Kind   string            `json:"kind"`
	What   string            `json:"what"`
	Expect string            `json:"expect"`
	Source string            `json:"source"`
	Given  map[string]string `json:"given"`
	Input  string            `json:"input"`
	Result map[string]string `json:"result,omitempty"`
}

// vectors reads every file, and fails on one that is not understood whole.
func vectors(t *testing.T) []vector {
	t.Helper()
	var all []vector
	err := filepath.WalkDir(vectorDir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || p == filepath.Join(vectorDir, "README.md") || p == filepath.Join(vectorDir, "keys.json") {
			return err
		}
		raw, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		var v vector
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&v); err != nil || dec.More() {
			t.Errorf("%s is not a vector: %v", p, err)
			return nil
		}
		want, ok := strings.CutSuffix(filepath.ToSlash(strings.TrimPrefix(p, vectorDir+string(filepath.Separator))), ".json")
		if !ok || v.Name != want || !strings.HasPrefix(v.Name, v.Kind+"/") {
			t.Errorf("%s says it is %q of kind %q", p, v.Name, v.Kind)
		}
		if v.What == "" || v.Source == "" || v.Input == "" || (v.Expect == accept) != (len(v.Result) > 0) {
			t.Errorf("%s lacks what, source or input, or has a result that does not go with its outcome", p)
		}
		all = append(all, v)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// readmeClasses are the classes of error that the README explains, by kind.
func readmeClasses(t *testing.T) []string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(vectorDir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(raw), "## Outcomes\n")
	if !ok {
		t.Fatal("the README has no outcomes")
	}
	table, _, _ = strings.Cut(table, "\n## ")
	var classes []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|").FindAllStringSubmatch(table, -1) {
		classes = append(classes, m[1])
	}
	slices.Sort(classes)
	return classes
}

// TestNEW06_Vectors runs every public vector through this package.
func TestNEW06_Vectors(t *testing.T) {
	all := vectors(t)
	seen := map[string]map[string]int{}
	for _, v := range all {
		judge, ok := judges()[v.Kind]
		if !ok {
			t.Errorf("%s: nobody here judges kind %q", v.Name, v.Kind)
			continue
		}
		if seen[v.Kind] == nil {
			seen[v.Kind] = map[string]int{}
		}
		seen[v.Kind][v.Expect]++
		t.Run(v.Name, func(t *testing.T) {
			result, err := judge(t, v)
			if got := classOf(t, v.Kind, err); got != v.Expect {
				t.Fatalf("outcome %s (%v), want %s", got, err, v.Expect)
			}
			if err != nil {
				return
			}
			for name, want := range v.Result {
				if got, ok := result[name]; !ok || got != want {
					t.Errorf("%s: got %q, want %q", name, got, want)
				}
			}
			if len(result) != len(v.Result) {
				t.Errorf("the vector tells %d results, %d are known", len(v.Result), len(result))
			}
		})
	}
	complete(t, seen)
}

// complete fails on a kind without both outcomes, and on a class of error that
// has no case, or no explanation.
func complete(t *testing.T, seen map[string]map[string]int) {
	t.Helper()
	used := map[string]bool{}
	for kind := range judges() {
		if seen[kind][accept] == 0 || len(seen[kind]) < 2 {
			t.Errorf("kind %s: there must be a vector that is taken and one that is not", kind)
		}
		for class := range seen[kind] {
			used[class] = true
		}
	}
	explained := readmeClasses(t)
	for _, class := range explained {
		if !used[class] {
			t.Errorf("outcome %s is in the README and no vector has it", class)
		}
	}
	for class := range used {
		if !slices.Contains(explained, class) {
			t.Errorf("outcome %s is not in the README", class)
		}
	}
}
