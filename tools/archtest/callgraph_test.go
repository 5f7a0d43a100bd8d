package archtest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// graphFile is the call graph for those who cannot read Go: tools/manifests holds the
// NetworkPolicies of a cluster to it.
const graphFile = "deploy/callgraph.txt"

// lines are the edges, one a line, in order.
func lines(graph map[call]string) string {
	var all []string
	for e := range graph {
		all = append(all, e.from+" "+e.to+"\n")
	}
	slices.Sort(all)
	return strings.Join(all, "")
}

func TestCallGraphFile(t *testing.T) {
	root, err := Find()
	if err != nil {
		t.Fatal(err)
	}
	path, want := filepath.Join(root, filepath.FromSlash(graphFile)), lines(callGraph())
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not the call graph: go test ./tools/archtest -run CallGraphFile -update, and open the new edge in deploy/components/network-policies", graphFile)
	}
	if got := lines(map[call]string{{"b", "c"}: "", {"a", "b"}: ""}); got != "a b\nb c\n" {
		t.Errorf("lines are %q", got)
	}
}
