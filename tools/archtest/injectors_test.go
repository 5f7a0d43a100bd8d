package archtest

import (
	"debug/elf"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/services/faulty"
)

// injectors are the packages that break things on purpose.
func injectors() []string { return []string{"pkg/fault", "pkg/tpmfault", "services/faulty"} }

// injected says whether the name of a symbol or package belongs to an injector.
func injected(name string) bool {
	name = strings.TrimPrefix(name, "go:link.pkghashbytes.")
	return slices.ContainsFunc(injectors(), func(p string) bool {
		rest, ours := strings.CutPrefix(name, Module+"/"+p)
		return ours && (rest == "" || rest[0] == '.' || rest[0] == '/')
	})
}

// programs are the packages of the components' own binaries.
func programs(r *Repo) (all []string) {
	for dir := range r.Dirs() {
		if Match("services/*/cmd/*", dir) {
			all = append(all, dir)
		}
	}
	slices.Sort(all)
	return all
}

// symbols builds a program and lists what the linker put into it.
func symbols(t *testing.T, root, pkg string) (all []string) {
	t.Helper()
	out := filepath.Join(t.TempDir(), path.Base(pkg))
	cmd := exec.Command("go", "build", "-o", out, "./"+pkg)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOOS=linux", "CGO_ENABLED=0")
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", pkg, err, b)
	}
	f, err := elf.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	list, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		all = append(all, s.Name)
	}
	return all
}

// TestT10_NoComponentContainsAnInjector: whoever runs the tpm-agent cannot make it fail by
// a rule, because no such code is in it; nor can he any other component. What only a
// stand-in has is looked for in the stand-in first, so that the search finds something.
func TestT10_NoComponentContainsAnInjector(t *testing.T) {
	root, err := Find()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(symbols(t, root, "services/faulty/cmd/faulty"), injected) {
		t.Fatal("the stand-in itself has no symbol of an injector: this test looks for the wrong ones")
	}
	agent := symbols(t, root, "services/tpm-agent/cmd/tpm-agent")
	if !slices.ContainsFunc(agent, func(s string) bool { return strings.HasPrefix(s, Module+"/services/tpm-agent") }) {
		t.Fatal("the tpm-agent has no symbol of its own: the list of symbols is not the program's")
	}
	for _, s := range agent {
		if injected(s) {
			t.Errorf("the tpm-agent contains %s", s)
		}
	}
	for _, p := range programs(repository(t)) {
		if Service(p) == faulty.Name {
			continue
		}
		packages, err := linked(root, p)
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		for _, linked := range packages {
			if injected(linked) {
				t.Errorf("%s links %s", p, linked)
			}
		}
	}
}

// TestStandInsKnowTheContracts: a stand-in says of a rule that it can strike nothing by
// the contracts of the component, which have to be those of the allow-lists.
func TestStandInsKnowTheContracts(t *testing.T) {
	got := faulty.Contracts()
	for server, lists := range doors() {
		if server == standIn || server == "lab" {
			continue
		}
		want := map[string]bool{}
		for method, callers := range lists[0] { // plug-ins and fronts are called from inside alone
			if !slices.Equal(callers, []string{server}) {
				want[method[1:strings.LastIndexByte(method[:strings.LastIndexByte(method, '/')], '.')]] = true
			}
		}
		if w := slices.Sorted(maps.Keys(want)); !slices.Equal(got[server], w) {
			t.Errorf("%s serves %v, its stand-in knows %v", server, w, got[server])
		}
		delete(got, server)
	}
	for name := range got {
		t.Errorf("there is no component %s", name)
	}
}
