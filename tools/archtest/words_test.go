package archtest

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The repository speaks of the system and of nothing else: not of the machine it
// was written on, and not of what somebody meant to do later. The words are put
// together here so that this file does not hold them.
func words() map[string]string {
	const open = "unfinished work: do it, or say in the README what is not there"
	return map[string]string{
		`/wo` + `rk/`:          "a path of one machine",
		`/ho` + `me/[a-z]+/`:   "a path of one machine",
		`\bsha` + `red/`:       "a folder that is not in the repository",
		`\bhel` + `per-\w`:     "a name says what a thing does, not that it helps",
		`\bTO` + `DO\b`:        open,
		`\bFIX` + `ME\b`:       open,
		`\bXX` + `X\b`:         open,
		`\bHA` + `CK\b`:        "say what is wrong and why it is done nevertheless",
		`(?i)lorem ` + `ipsum`: "text that says nothing",
	}
}

// outside says which files are not ours to word: hashes, licences, and data that
// comes from elsewhere.
func outside(p string) bool {
	return slices.Contains([]string{"go.sum", "go.work.sum", "LICENSE"}, path.Base(p)) || strings.Contains("/"+p, "/testdata/")
}

func forbiddenWords(r *Repo) (bad []string) {
	for form, because := range words() {
		re := regexp.MustCompile(form)
		for p, text := range r.Text {
			if outside(p) {
				continue
			}
			for _, at := range re.FindAllStringIndex(text, -1) {
				line := 1 + strings.Count(text[:at[0]], "\n")
				bad = append(bad, fmt.Sprintf("%s:%d: %q: %s", p, line, text[at[0]:at[1]], because))
			}
		}
	}
	return bad
}

func TestWords(t *testing.T) {
	holds(t, forbiddenWords)
	finds(t, forbiddenWords, files{
		"a.md":            "one\n// TO" + "DO: later\n",
		"b.go":            "package b\n// mastodon and XX" + "XY are fine\n// see sha" + "red/x\n",
		"testdata/c.json": "XX" + "X",
	},
		`a.md:2: "TO`+`DO": unfinished work: do it, or say in the README what is not there`,
		`b.go:3: "sha`+`red/": a folder that is not in the repository`)
}
