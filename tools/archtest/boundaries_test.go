package archtest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// boundariesPage has a row for each border between components, with the tests that hold it.
const boundariesPage = "docs/boundaries.md"

// borders is how many there are.
const borders = 15

var (
	borderRow   = regexp.MustCompile(`(?m)^\| *T(\d+) *\|(.*)$`)
	borderClaim = regexp.MustCompile(`(?:^Test|_)T(\d{1,2})(?:_|$)`)
)

// badBorders are the rows of the page that no test holds, the tests that are named and
// are not there, and those that claim a row and are not named in it.
func badBorders(r *Repo) (bad []string) {
	names := testNames(r)
	named := map[string]map[string]bool{}
	var rows []string
	for _, m := range borderRow.FindAllStringSubmatch(r.Text[boundariesPage], -1) {
		rows = append(rows, m[1])
		named[m[1]] = map[string]bool{}
		proved := false
		for _, t := range testName.FindAllStringSubmatch(m[2], -1) {
			named[m[1]][t[1]] = true
			if !names[t[1]] {
				bad = append(bad, fmt.Sprintf("row T%s: there is no test %s", m[1], t[1]))
				continue
			}
			for _, c := range borderClaim.FindAllStringSubmatch(t[1], -1) {
				proved = proved || c[1] == m[1]
			}
		}
		if !proved {
			bad = append(bad, fmt.Sprintf("row T%s names no test with T%s in its name", m[1], m[1]))
		}
	}
	for name := range names {
		for _, c := range borderClaim.FindAllStringSubmatch(name, -1) {
			if !named[c[1]][name] {
				bad = append(bad, fmt.Sprintf("%s claims row T%s, which does not name it", name, c[1]))
			}
		}
	}
	var want []string
	for n := range borders {
		want = append(want, fmt.Sprint(n+1))
	}
	if !slices.Equal(rows, want) {
		bad = append(bad, fmt.Sprintf("%s has the rows %v, not T1 to T%d", boundariesPage, rows, borders))
	}
	return bad
}

func TestBordersAreHeld(t *testing.T) {
	holds(t, badBorders)
	all := ""
	for n := range borders {
		all += fmt.Sprintf("| T%d | x | `TestT%d_A` |\n", n+1, n+1)
	}
	tests := "package a\n"
	for n := range borders {
		tests += fmt.Sprintf("func TestT%d_A() {}\n", n+1)
	}
	finds(t, badBorders, files{boundariesPage: all, "a/a_test.go": tests})
	finds(t, badBorders, files{boundariesPage: strings.Replace(all, "`TestT3_A`", "`TestGone`", 1), "a/a_test.go": tests + "func TestREG01_T16_B() {}\n"},
		"row T3: there is no test TestGone", "row T3 names no test with T3 in its name", "TestT3_A claims row T3, which does not name it",
		"TestREG01_T16_B claims row T16, which does not name it")
}

// callersPage is the matrix of who may call what, as running servers showed it.
const callersPage = "docs/callers.txt"

// TestCallersPageHasEveryIdentity: the matrix has a column for each name that a
// certificate may carry.
func TestCallersPageHasEveryIdentity(t *testing.T) {
	var columns []string
	for line := range strings.Lines(repository(t).Text[callersPage]) {
		name := strings.TrimSpace(strings.TrimLeft(line, "| "))
		if strings.TrimSpace(line) == "tpm-agent" {
			break // the rows begin
		}
		if len(columns) == 0 && name != "logonui" || name == "" {
			continue
		}
		columns = append(columns, name)
	}
	want := append(components(), "stranger", "(another CA)")
	slices.Sort(columns)
	slices.Sort(want)
	if !slices.Equal(columns, want) {
		t.Errorf("%s has the columns\n%q, not\n%q", callersPage, columns, want)
	}
}
