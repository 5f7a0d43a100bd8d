package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// killing is a test that kills a component at points, and looks at what is left. It fails
// when it does not come to one of them.
type killing struct {
	component, file, test string
	points                []string
}

// killings are the place where every crash point is listed.
func killings() []killing {
	write := []string{"temp-created", "temp-written", "renamed"}
	attempts := []string{"attempts-temp-created", "attempts-temp-written", "attempts-renamed"}
	return []killing{
		{"tpm-agent", "services/tpm-agent/security_test.go", "TestCrashesWhileInstallingLeaveOneIdentity", append(write, "certificate-written", "pointer-moved")},
		{"dsreg", "services/dsreg/crash_test.go", "TestACrashInAnEnrolmentLeavesOldOrNew", append(write, "keys-created", "enrolling-written", "registered", "pending-written", "installed", "current-written")},
		{"dsreg", "services/dsreg/crash_test.go", "TestACrashInALeaveLeavesOldOrNothing", []string{"leaving", "tenant-told", "keys-destroyed"}},
		{"dsreg", "services/dsreg/hybrid_test.go", "TestACrashInAHybridJoin", []string{"keys-created", "waiting-written", "registered"}},
		{"dsreg", "services/dsreg/migrate_test.go", "TestPRO13_ACrashInAMigration", []string{"keys-created", "attested", "replacing-written", "replaced"}},
		{"lsa-cloudap", "services/lsa-cloudap/crash_test.go", "TestREN22_ACrashAtAnyPointLosesNothing", append(write,
			"answer-received", "session-key-imported", "prt-sealed", "manifest-temp-created", "manifest-temp-written", "state-begun", "manifest-renamed",
			"state-confirmed", "memory-switched")},
		{"lsa-cloudap", "services/lsa-cloudap/attempt_test.go", "TestREN22_DiagnosticsKeepNobodyFromSigningIn", attempts},
		{"lsa-cloudap", "services/lsa-cloudap/hello_test.go", "TestACrashWhileAHelloKeyIsMade", []string{"hello-key-made", "hello-key-registered", "hello-record-written"}},
		{"wam-broker", "tools/lockstep/internal/acceptance/kill_test.go", "TestREN22_KillMinus9AtEveryWritePointOfWAM", write},
		{"wam-broker", "tools/lockstep/internal/acceptance/workcrash_test.go", "TestA43_WAMIsStoppedAtEachMoment", append(write,
			"answer-received", "session-key-imported", "manifest-temp-created", "manifest-temp-written", "state-begun", "manifest-renamed",
			"state-confirmed", "account-written")},
		{"wam-broker", "pkg/authority/lastattempt/lastattempt_test.go", "TestACrashLeavesTheOldOrTheNew", attempts},
	}
}

// shared are rooms outside of the components that write for them.
func shared() map[string][]string {
	authorities := []string{"lsa-cloudap", "wam-broker"}
	return map[string][]string{"pkg/statefiles": authorities, "pkg/authority/datakey": authorities, "pkg/authority/lastattempt": authorities}
}

// writers are the components that a file writes for.
func writers(f *File) []string {
	if component, ok := strings.CutPrefix(f.Path, "services/"); ok {
		component, _, _ = strings.Cut(component, "/")
		return []string{component}
	}
	return shared()[f.Dir()]
}

// crashPoints are the points of the source, as COMPONENT POINT, with where they stand.
func crashPoints(r *Repo) (points map[string]string, bad []string) {
	points = map[string]string{}
	for _, f := range r.Go {
		components := writers(f)
		if f.Test() || len(components) == 0 {
			continue
		}
		at := func(name string, n ast.Node) {
			for _, component := range components {
				points[component+" "+name] = fmt.Sprintf("%s:%d", f.Path, f.fset.Position(n.Pos()).Line)
			}
		}
		ast.Inspect(f.AST, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			pkg, name := used(f.Imports(), call.Fun)
			switch {
			case strings.HasSuffix(pkg, "pkg/durable") && (name == "WriteFile" || name == "Stage") && len(call.Args) == 3:
				prefix, named := pointsPrefix(call.Args[2])
				if named {
					for _, p := range []string{"temp-created", "temp-written", "renamed"} {
						at(prefix+p, n)
					}
				}
			case sel.Sel.Name == "Reached" && len(call.Args) == 1:
				if lit, ok := call.Args[0].(*ast.BasicLit); ok && lit.Kind == token.STRING {
					name, _ := strconv.Unquote(lit.Value)
					at(name, n)
				} else if _, sum := call.Args[0].(*ast.BinaryExpr); !sum {
					bad = append(bad, fmt.Sprintf("%s:%d: a crash point has a name that stands there, as \"renamed\"", f.Path, f.fset.Position(n.Pos()).Line))
				}
			}
			return true
		})
	}
	return points, bad
}

// pointsPrefix reads the crash points that a write is given: none, some, or a function that
// puts a word before their names.
func pointsPrefix(arg ast.Expr) (prefix string, named bool) {
	switch a := arg.(type) {
	case *ast.Ident:
		return "", a.Name != "nil"
	case *ast.FuncLit:
		ast.Inspect(a, func(n ast.Node) bool {
			if b, ok := n.(*ast.BinaryExpr); ok && b.Op == token.ADD {
				if lit, ok := b.X.(*ast.BasicLit); ok {
					prefix, _ = strconv.Unquote(lit.Value)
				}
			}
			return true
		})
		return prefix, true
	default:
		return "", true
	}
}

// unkilled holds the points of the source against the tests that kill at them.
func unkilled(r *Repo, points map[string]string, all []killing) (bad []string) {
	killed := map[string]bool{}
	for _, k := range all {
		text, ok := r.Text[k.file]
		if !ok || !strings.Contains(text, "func "+k.test+"(") {
			bad = append(bad, fmt.Sprintf("%s has no test %s", k.file, k.test))
			continue
		}
		for _, p := range k.points {
			if killed[k.component+" "+p] = true; !strings.Contains(text, strconv.Quote(p)) {
				bad = append(bad, fmt.Sprintf("%s does not name the point %s", k.file, p))
			}
			if points[k.component+" "+p] == "" {
				bad = append(bad, fmt.Sprintf("%s has no point %s", k.component, p))
			}
		}
	}
	for p, where := range points {
		if !killed[p] {
			bad = append(bad, fmt.Sprintf("%s: nothing kills %s: add a test, and a line to killings", where, p))
		}
	}
	slices.Sort(bad)
	return bad
}

// Every moment between two effects at which a component may die is one at which a test has
// it die; the tests run with all others.
func TestFLT08_EveryCrashPointIsKilled(t *testing.T) {
	r := repository(t)
	points, bad := crashPoints(r)
	if len(points) < 30 {
		t.Errorf("only %d crash points found: the search is wrong", len(points))
	}
	for _, b := range append(bad, unkilled(r, points, killings())...) {
		t.Error(b)
	}
	// The rule itself sees a point that nobody kills, and a test that is not there.
	points["dsreg brand-new"] = "services/dsreg/x.go:1"
	all := append(killings(), killing{"dsreg", "services/dsreg/crash_test.go", "TestNobodyWroteIt", nil})
	if got := unkilled(r, points, all); len(got) != 2 || !strings.Contains(strings.Join(got, " "), "brand-new") || !strings.Contains(strings.Join(got, " "), "TestNobodyWroteIt") {
		t.Errorf("the rule says %q", got)
	}
}
