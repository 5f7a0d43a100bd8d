package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
)

const codes = "pkg/aadsts"

// codeNames are the constants of the error table, by name.
func codeNames(r *Repo) map[string]string {
	names := map[string]string{}
	for _, f := range r.Dirs()[codes] {
		for _, d := range f.AST.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.CONST {
				continue
			}
			for _, s := range g.Specs {
				v := s.(*ast.ValueSpec)
				if id, ok := v.Type.(*ast.Ident); ok && id.Name == "Code" && len(v.Values) == 1 {
					names[v.Names[0].Name] = v.Values[0].(*ast.BasicLit).Value
				}
			}
		}
	}
	return names
}

// An error with a code that the table lacks reaches people as an internal error,
// and its page says that the code does not exist.
func codesWithoutRow(r *Repo) (bad []string) {
	rows := map[string]bool{}
	for _, row := range aadsts.Table() {
		rows[fmt.Sprint(int(row.Code))] = true
	}
	for name, number := range codeNames(r) {
		if !rows[number] {
			bad = append(bad, fmt.Sprintf("aadsts.%s has no row in the table", name))
		}
		delete(rows, number)
	}
	for number := range rows {
		bad = append(bad, number+" has a row and no constant")
	}
	for _, f := range r.Go {
		if f.Test() {
			continue
		}
		ast.Inspect(f.AST, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) != 1 {
				return true
			}
			pkg, name := used(f.Imports(), call.Fun)
			if _, literal := call.Args[0].(*ast.BasicLit); literal && pkg == codes && name == "Code" {
				bad = append(bad, f.At(n)+": a code as a number: give it a row and a name in pkg/aadsts")
			}
			return true
		})
	}
	return bad
}

// met says which tests meet a code: by constant, the names of the test functions
// that name it.
func met(r *Repo) map[string][]string {
	tests := map[string][]string{}
	for _, f := range r.Go {
		if !strings.HasSuffix(f.Path, "_test.go") {
			continue
		}
		for _, d := range f.AST.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || !strings.HasPrefix(fn.Name.Name, "Test") {
				continue
			}
			ast.Inspect(fn, func(n ast.Node) bool {
				if pkg, name := used(f.Imports(), n); pkg == codes {
					tests[name] = append(tests[name], fn.Name.Name)
				}
				return true
			})
		}
	}
	return tests
}

// The page of a code names the tests that meet it, and people run them.
func TestRowsOfCodesHaveTests(t *testing.T) {
	r := repository(t)
	tests, numbers := met(r), map[string]string{}
	for name, number := range codeNames(r) {
		numbers[number] = name
	}
	proofs := 0
	for _, row := range aadsts.Table() {
		name := numbers[fmt.Sprint(int(row.Code))]
		for _, id := range row.Proofs() {
			proofs++
			if !strings.Contains(strings.Join(tests[name], " ")+" ", id) {
				t.Errorf("%v claims %s: no test with that in its name names aadsts.%s, only %q", row.Code, id, name, tests[name])
			}
		}
	}
	if proofs < 30 {
		t.Errorf("only %d rows of requirements are named by the error table", proofs)
	}
}

func TestCodesHaveRows(t *testing.T) {
	holds(t, codesWithoutRow)
	repo, err := Parse(map[string]string{
		"services/a/a.go":      "package a\nimport \"" + Module + "/pkg/aadsts\"\nvar x = aadsts.Code(5)\n",
		"pkg/aadsts/aadsts.go": "package aadsts\ntype Code int\nconst Lost Code = 4711\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	bad := strings.Join(codesWithoutRow(repo), "\n")
	for _, want := range []string{
		"services/a/a.go:3: a code as a number: give it a row and a name in pkg/aadsts",
		"aadsts.Lost has no row in the table",
		"50126 has a row and no constant",
	} {
		if !strings.Contains(bad, want) {
			t.Errorf("%q was not found", want)
		}
	}
}
