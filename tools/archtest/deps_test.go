package archtest

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// linked lists what a package of this module links beside the standard library.
func linked(root, pkg string) ([]string, error) {
	cmd := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "./"+pkg)
	cmd.Dir = root
	// One platform, whoever runs the test: the list is a decision, not a fact of a machine.
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	list := strings.Fields(string(out))
	slices.Sort(list)
	return list, nil
}

// The tpm-agent holds the keys, and each package that it links runs beside them.
// Its list is a file, so that a new one is seen in review and asked for its reason.
func TestTPMAgentDependencies(t *testing.T) {
	root, err := Find()
	if err != nil {
		t.Fatal(err)
	}
	got, err := linked(root, "services/tpm-agent")
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	repository(t) // reads all Go files, so that a cached result is not older than they are
	golden := filepath.Join(root, "services", "tpm-agent", "deps.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(strings.Join(got, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(golden)
	if err != nil {
		t.Fatalf("%v: write it with go test ./tools/archtest -run Dependencies -update", err)
	}
	if diff := difference(strings.Fields(string(b)), got); diff != "" {
		t.Errorf("the tpm-agent links other packages than services/tpm-agent/deps.txt says:\n%s"+
			"Each of them runs in the process that holds the keys. If the change is meant, write the list anew with\n"+
			"go test ./tools/archtest -run Dependencies -update\nand have it reviewed.", diff)
	}
}

// difference has a line for each element that is in one list only.
func difference(old, now []string) string {
	var b strings.Builder
	for _, p := range old {
		if !slices.Contains(now, p) {
			b.WriteString("- " + p + "\n")
		}
	}
	for _, p := range now {
		if !slices.Contains(old, p) {
			b.WriteString("+ " + p + "\n")
		}
	}
	return b.String()
}

func TestDifference(t *testing.T) {
	if got := difference([]string{"a", "b"}, []string{"b", "c"}); got != "- a\n+ c\n" {
		t.Errorf("got %q", got)
	}
}
