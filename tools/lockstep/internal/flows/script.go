package flows

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// proves begins a section of a script; see Section.
const proves = "proves"

// rule stands between a directive and what is expected of it.
const rule = "----"

// rowID is the id of a row of the requirements, such as REG10, or of an attack, such as A42.
var rowID = regexp.MustCompile(`^[A-Z]{1,4}[0-9]{2}$`)

// Section is a part of a script that proves rows of the requirements: the directive
//
//	proves REG10 REG12 what a reader should see of it
//
// and every directive below it until the next one. What stands above the first is a
// section without rows: it sets the scene.
type Section struct {
	// Rows are the ids, in the order in which they are named.
	Rows []string
	// Line is the line of its first directive, counted from 1.
	Line int
	// Text is the part of the script, in the form of package datadriven.
	Text string
	// Directives is how many there are, the one that names the rows among them.
	Directives int
}

// Sections cuts a script. A "proves" that names no row, and one with nothing below
// it, are errors: they would prove nothing and pass.
func Sections(script string) ([]Section, error) {
	var all []Section
	var text []string
	lines := strings.Split(script, "\n")
	now := Section{Line: 1}
	end := func() {
		if now.Text = strings.Join(text, "\n"); now.Directives > 0 {
			all = append(all, now)
		}
	}
	for i := 0; i < len(lines); {
		next := i + 1
		if directive := strings.TrimSpace(lines[i]); directive != "" && !strings.HasPrefix(directive, "#") {
			next = past(lines, i)
			if strings.HasPrefix(directive, proves) {
				end()
				text, now = nil, Section{Line: i + 1, Rows: rowsOf(directive)}
				if len(now.Rows) == 0 {
					return nil, fmt.Errorf("line %d: %s names no row, such as REG10", i+1, proves)
				}
			}
			now.Directives++
		}
		text = append(text, lines[i:next]...)
		i = next
	}
	end()
	for _, s := range all {
		if len(s.Rows) > 0 && s.Directives == 1 {
			return nil, fmt.Errorf("line %d: nothing is done to prove %s", s.Line, strings.Join(s.Rows, ", "))
		}
	}
	return all, nil
}

// past is the index of the line after the directive at i and its output, which ends
// at a blank line, or, when it has blank lines itself, at the second "----" twice.
func past(lines []string, i int) int {
	for i < len(lines) && lines[i] != rule {
		i++
	}
	if i+1 < len(lines) && lines[i+1] == rule {
		for i += 2; i+1 < len(lines) && (lines[i] != rule || lines[i+1] != rule); i++ {
		}
		return min(i+2, len(lines))
	}
	for i < len(lines) && lines[i] != "" {
		i++
	}
	return i
}

// rowsOf are the ids at the beginning of a "proves".
func rowsOf(directive string) []string {
	words := strings.Fields(directive)[1:]
	if end := slices.IndexFunc(words, func(w string) bool { return !rowID.MatchString(w) }); end >= 0 {
		words = words[:end]
	}
	return words
}

// said is the text of a "proves", without the ids.
func said(words []string) string {
	for len(words) > 0 && rowID.MatchString(words[0]) {
		words = words[1:]
	}
	return strings.Join(words, " ") + "\n"
}

// Commands are the directives of a script, without what it expects of them. Lines that
// only set a script up (proves, lab) are left out.
func Commands(script string) []string {
	var all []string
	lines := strings.Split(script, "\n")
	for i := 0; i < len(lines); i++ {
		directive := strings.TrimSpace(lines[i])
		if directive == "" || strings.HasPrefix(directive, "#") {
			continue
		}
		word, _, _ := strings.Cut(directive, " ")
		if word == faultCommand { // its rules stand below it
			for i+1 < len(lines) && lines[i+1] != rule && strings.TrimSpace(lines[i+1]) != "" {
				i++
				directive += "\n" + lines[i]
			}
		}
		if word != proves && word != "lab" {
			all = append(all, directive)
		}
		// A list of plain commands is a script too: only what has an output is skipped.
		if i+1 < len(lines) && lines[i+1] == rule {
			i = past(lines, i) - 1
		}
	}
	return all
}
