package archtest

import (
	"fmt"
	"path"
	"strings"
	"testing"
)

// A replace is obeyed in this module only: who imports it, or installs a program
// of it, gets another dependency than the one that was tested. The module that
// runs a dependency's own tests against the product is there to do just that, one
// that compares the product with what it must not link needs it of this tree, and
// nothing imports either.
func replacements(r *Repo) (bad []string) {
	for p, text := range r.Text {
		if base := path.Base(p); base != "go.mod" && base != "go.work" || p == "tools/tpmconformance/go.mod" || p == "tools/tpmdiff/go.mod" {
			continue
		}
		for i, line := range strings.Split(text, "\n") {
			if strings.HasPrefix(strings.TrimSpace(line), "replace") {
				bad = append(bad, fmt.Sprintf("%s:%d: replace: depend on a released version instead", p, i+1))
			}
		}
	}
	return bad
}

// One module means one version of everything, in every component. A second one
// in the workspace would also compile what its own go.mod does not require.
func workspace(r *Repo) (bad []string) {
	for i, line := range strings.Split(r.Text["go.work"], "\n") {
		line, _, _ = strings.Cut(line, "//")
		line = strings.TrimSpace(line)
		if line != "" && line != "use ." && !strings.HasPrefix(line, "go ") && !strings.HasPrefix(line, "toolchain ") {
			bad = append(bad, fmt.Sprintf("go.work:%d: %s: the workspace is \"use .\" and nothing else", i+1, line))
		}
	}
	return bad
}

func TestModules(t *testing.T) {
	holds(t, replacements)
	holds(t, workspace)
	if !strings.HasPrefix(repository(t).Text["go.mod"], "module "+Module+"\n") {
		t.Errorf("go.mod does not begin with module %s, which the rules here take paths from", Module)
	}
	finds(t, replacements, files{
		"go.mod":            "module x\nreplace a => b\n",
		"tools/pins/go.mod": "module y\nreplace (\n\ta => b\n)\n",
		"go.work":           "use .\n",
	}, "go.mod:2: replace: depend on a released version instead", "tools/pins/go.mod:2: replace: depend on a released version instead")
	finds(t, workspace, files{"go.work": "go 1.26 // language\n\nuse .\nuse ./x\n"},
		`go.work:4: use ./x: the workspace is "use ." and nothing else`)
}
