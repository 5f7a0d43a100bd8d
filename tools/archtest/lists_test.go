package archtest

import (
	"fmt"
	"go/ast"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// list is a page with numbered rows, each of which names the tests that prove it.
type list struct {
	page string
	// mark is what stands before the number in the name of a test.
	mark string
	rows int
}

// lists are what clients depend on and what the cloud withstands. A row that no
// test proves is a promise, and a test that proves a row says so in its name, so
// that whoever breaks it sees which.
func lists() []list {
	return []list{{"pkg/entrawire/WIRE.md", "Wire", 31}, {"services/idp/ATTACKS.md", "Attack", 39}}
}

var (
	listRow  = regexp.MustCompile(`(?m)^\| *(\d+) *\|(.*)$`)
	testName = regexp.MustCompile("`((?:Test|Fuzz)\\w+)`")
)

// testNames are the test functions of the repository.
func testNames(r *Repo) map[string]bool {
	names := map[string]bool{}
	for _, f := range r.Go {
		if !strings.HasSuffix(f.Path, "_test.go") {
			continue
		}
		for _, d := range f.AST.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && (strings.HasPrefix(fn.Name.Name, "Test") || strings.HasPrefix(fn.Name.Name, "Fuzz")) {
				names[fn.Name.Name] = true
			}
		}
	}
	return names
}

// faults are the rows without a proof, the tests that are named and are not there,
// and the tests that claim a row which is not in the list.
func (l list) faults(r *Repo) (bad []string) {
	names := testNames(r)
	claims := regexp.MustCompile(l.mark + `(\d\d)(?:_|$)`)
	for name := range names {
		for _, m := range claims.FindAllStringSubmatch(name, -1) {
			if n, _ := strconv.Atoi(m[1]); n < 1 || n > l.rows {
				bad = append(bad, fmt.Sprintf("%s claims row %s of %s, which has %d", name, m[1], l.page, l.rows))
			}
		}
	}
	var rows []string
	for _, m := range listRow.FindAllStringSubmatch(r.Text[l.page], -1) {
		rows = append(rows, m[1])
		proved := false
		for _, t := range testName.FindAllStringSubmatch(m[2], -1) {
			if !names[t[1]] {
				bad = append(bad, fmt.Sprintf("%s: row %s: there is no test %s", l.page, m[1], t[1]))
				continue
			}
			for _, c := range claims.FindAllStringSubmatch(t[1], -1) {
				n, _ := strconv.Atoi(c[1])
				proved = proved || strconv.Itoa(n) == m[1]
			}
		}
		if !proved {
			bad = append(bad, fmt.Sprintf("%s: row %s names no test with %s%02s in its name", l.page, m[1], l.mark, m[1]))
		}
	}
	var want []string
	for n := range l.rows {
		want = append(want, strconv.Itoa(n+1))
	}
	if !slices.Equal(rows, want) {
		bad = append(bad, fmt.Sprintf("%s has the rows %v, not 1 to %d", l.page, rows, l.rows))
	}
	return bad
}

func TestListsAreProved(t *testing.T) {
	for _, l := range lists() {
		holds(t, l.faults)
	}
	finds(t, list{"a.md", "Wire", 4}.faults, files{
		"a.md":        "| # | rule | test |\n|---|---|---|\n| 1 | x | `TestWire01_A` |\n| 2 | x | `TestWire01_A`, `TestGone` |\n| 4 | x | `TestISS01_Wire04` |\n",
		"a/a_test.go": "package a\nfunc TestWire01_A() {}\nfunc TestISS01_Wire04() {}\nfunc TestWire05_B() {}\nfunc TestWires() {}\n",
		"a/a.go":      "package a\nfunc TestGone() {}\n",
	},
		"a.md has the rows [1 2 4], not 1 to 4",
		"a.md: row 2: there is no test TestGone",
		"a.md: row 2 names no test with Wire02 in its name",
		"TestWire05_B claims row 05 of a.md, which has 4")
}

// answersOpened are the places where the cloud would decrypt what it only ever
// encrypts. CBC without a tag tells whoever may try often enough what is inside; the
// side that sends it has no reason to read it.
func answersOpened(r *Repo) (bad []string) {
	openers := map[string][]string{
		"pkg/entrawire": {"OpenAnswer", "ParseAnswer", "Answer", "OpenNativeAnswer", "ParseNativeAnswer", "NativeAnswer"},
		"crypto/cipher": {"NewCBCDecrypter"},
	}
	for _, f := range r.Go {
		if s := Service(f.Dir()); f.Test() || s != "idp" && s != "adfs" {
			continue
		}
		names := f.Imports()
		ast.Inspect(f.AST, func(n ast.Node) bool {
			if pkg, name := used(names, n); slices.Contains(openers[pkg], name) {
				bad = append(bad, fmt.Sprintf("%s: %s.%s: the cloud encrypts answers and opens none", f.At(n), pkg, name))
			}
			return true
		})
	}
	return bad
}

func TestAttack11_TheCloudOpensNoAnswer(t *testing.T) {
	holds(t, answersOpened)
	finds(t, answersOpened, files{
		"services/idp/a/a.go":      "package a\nimport (\n\"crypto/cipher\"\n\"" + Module + "/pkg/entrawire\"\n)\nfunc f() {\n\tentrawire.SealAnswer()\n\tentrawire.OpenAnswer()\n\tcipher.NewCBCDecrypter()\n}\n",
		"services/idp/a/a_test.go": "package a\nimport \"" + Module + "/pkg/entrawire\"\nfunc g() { entrawire.OpenAnswer() }\n",
		"services/tpm-agent/b.go":  "package b\nimport \"" + Module + "/pkg/entrawire\"\nfunc f() { entrawire.OpenAnswer() }\n",
	},
		"services/idp/a/a.go:8: pkg/entrawire.OpenAnswer: the cloud encrypts answers and opens none",
		"services/idp/a/a.go:9: crypto/cipher.NewCBCDecrypter: the cloud encrypts answers and opens none")
}
