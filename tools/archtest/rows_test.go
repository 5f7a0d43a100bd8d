package archtest

import (
	"fmt"
	"go/ast"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/step"
	stepv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/step/v1"
)

// startedRows are the rows that a room starts or begins by itself, in code that
// is not a test, with the place of each. A row may also be handed to a function
// of the package that starts the row it is given.
func startedRows(r *Repo) map[string][]string {
	rows := map[string][]string{}
	for _, all := range r.Dirs() {
		direct, handed, open := map[string][]string{}, map[string][]string{}, false
		for _, f := range all {
			if f.Test() || f.Generated() {
				continue
			}
			names := f.Imports()
			ast.Inspect(f.AST, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				pkg, name := used(names, call.Fun)
				starts := pkg == "pkg/step" && (name == "Start" || name == "Begin")
				into := handed
				if starts {
					into = direct
				}
				if !namedRows(f, names, call.Args, into) && starts {
					open = true
				}
				return true
			})
		}
		for row, places := range direct {
			rows[row] = append(rows[row], places...)
		}
		for row, places := range handed {
			if open {
				rows[row] = append(rows[row], places...)
			}
		}
	}
	return rows
}

// namedRows adds the rows among the arguments, and says whether there is one.
func namedRows(f *File, names map[string]string, args []ast.Expr, into map[string][]string) (found bool) {
	for _, arg := range args {
		pkg, name := used(names, arg)
		if row, ok := strings.CutPrefix(name, "Step_"); ok && pkg == "proto/gen/prt/step/v1" {
			into[row] = append(into[row], f.At(arg))
			found = true
		}
	}
	return found
}

// Every documented row has a room that carries it: an RPC says so in its
// contract, or the room starts the row by name.
func TestEveryRowHasARoom(t *testing.T) {
	rows := step.All()
	if len(rows) != 24 {
		t.Errorf("the step tables have %d rows, the documents have 24", len(rows))
	}
	rooms := startedRows(repository(t))
	for name := range methods() {
		for _, s := range step.Realised(name) {
			rooms[s.String()] = append(rooms[s.String()], name)
		}
	}
	for _, s := range rows {
		if len(rooms[s.String()]) == 0 {
			t.Errorf("%s (%s) has no room: no RPC realises it, and no code starts or begins it by name", s, step.RowOf(s).GetDoes())
		}
		slices.Sort(rooms[s.String()])
		t.Logf("%s: %s", s, strings.Join(rooms[s.String()], ", "))
		delete(rooms, s.String())
	}
	for name := range rooms {
		t.Errorf("%s is carried and is no row", name)
	}
}

// In one flow an RPC is one row: with two, its span could be named after either.
func TestAnRPCIsOneRowOfATable(t *testing.T) {
	for name := range methods() {
		for _, line := range doubledTables(name, step.Realised(name)) {
			t.Error(line)
		}
	}
	if got := doubledTables("/S/M", []stepv1.Step{stepv1.Step_STEP_RENEWAL_A, stepv1.Step_STEP_FIRST_SIGN_IN_A}); got != nil {
		t.Errorf("two tables: %q", got)
	}
	if got := doubledTables("/S/M", []stepv1.Step{stepv1.Step_STEP_RENEWAL_A, stepv1.Step_STEP_RENEWAL_B}); len(got) != 1 {
		t.Errorf("one table twice: %q", got)
	}
}

func doubledTables(name string, rows []stepv1.Step) (bad []string) {
	seen := map[step.Flow]stepv1.Step{}
	for _, s := range rows {
		if other, ok := seen[step.FlowOf(s)]; ok {
			bad = append(bad, fmt.Sprintf("%s realises %s and %s of one table", name, other, s))
		}
		seen[step.FlowOf(s)] = s
	}
	return bad
}

func TestStartedRowsAreFound(t *testing.T) {
	const imports = "import (\n\"" + Module + "/pkg/step\"\nv1 \"" + Module + "/proto/gen/prt/step/v1\"\n)\n"
	repo, err := Parse(files{
		"a/a.go":      "package a\n" + imports + "func f() { step.Start(ctx, v1.Step_STEP_RENEWAL_B); step.Name(v1.Step_STEP_RENEWAL_C) }\n",
		"a/a_test.go": "package a\n" + imports + "func g() { step.Start(ctx, v1.Step_STEP_RENEWAL_A) }\n",
		"b/b.go":      "package b\n" + imports + "func f() { h(v1.Step_STEP_RENEWAL_D) }\nfunc h(s v1.Step) { step.Begin(ctx, s) }\n",
		"c/c.go":      "package c\n" + imports + "func f() { other.Start(ctx, v1.Step_STEP_RENEWAL_E) }\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	got := startedRows(repo)
	if len(got) != 2 || !slices.Equal(got["STEP_RENEWAL_B"], []string{"a/a.go:6"}) || !slices.Equal(got["STEP_RENEWAL_D"], []string{"b/b.go:6"}) {
		t.Errorf("got %q", got)
	}
}
