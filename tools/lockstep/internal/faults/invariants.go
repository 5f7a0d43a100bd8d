package faults

import (
	"fmt"
	"strings"
	"time"

	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/demo"
)

// Told is what is known after a line of a session.
type Told struct {
	Line, Output string
	Took         time.Duration
	// Joins is how many joins were tried, Devices how many devices the directory has.
	Joins, Devices int
	// SignedIn are the users with an open desktop.
	SignedIn map[string]bool
}

// Invariant is what must hold after each line, whatever is broken.
type Invariant struct {
	Name string
	// Broken says what does not hold, or nothing.
	Broken func(Told) string
}

// longest is the most that one line may take: the deadline of a command, and its ladder.
const longest = 45 * time.Second

// nobodyThere is what a browser says before which nobody sits: an actor's word and no
// component's.
const nobodyThere = "browsercore: LogonSession is missing"

// Invariants are those that a hunt looks at.
func Invariants() []Invariant {
	return []Invariant{
		{"one device a join", func(t Told) string {
			if t.Devices > t.Joins {
				return fmt.Sprintf("%d joins were tried and the directory has %d devices", t.Joins, t.Devices)
			}
			return ""
		}},
		{"a token is of who asked", func(t Told) string {
			if whose, ok := between(t.Output, "access token of ", " for "); ok && (whose != upn(t.Line) || !t.SignedIn[whose]) {
				return "a token of " + whose
			}
			return ""
		}},
		{"nobody is in without a credential", func(t Told) string {
			if strings.HasPrefix(t.Line, "sign-in") && strings.Contains(t.Line, "password=") && strings.Contains(t.Output, " is in, ") {
				return "a wrong password opened a desktop"
			}
			return ""
		}},
		{"a page knows only who is there", func(t Told) string {
			if strings.HasPrefix(t.Line, "browse") && strings.Contains(t.Output, "signed in to the page") && !t.SignedIn[upn(t.Line)] {
				return "a page has signed in somebody who is not before the device"
			}
			return ""
		}},
		{"everything ends, with a name", func(t Told) string {
			switch {
			case t.Took > longest:
				return fmt.Sprintf("it took %v", t.Took.Round(time.Second))
			case strings.Contains(t.Output, "error (internal)") && !strings.Contains(t.Output, nobodyThere):
				return strings.TrimSpace(t.Output[strings.Index(t.Output, "error (internal)"):])
			}
			return ""
		}},
	}
}

// count keeps what later lines are judged by.
func (t *Told) count() {
	switch word, _, _ := strings.Cut(t.Line, " "); {
	case word == "join":
		t.Joins++
	case word == "sign-in" && strings.Contains(t.Output, " is in, "):
		t.SignedIn[upn(t.Line)] = true
	case word == "sign-out" && !strings.Contains(t.Output, "error ("):
		delete(t.SignedIn, upn(t.Line))
	}
}

// upn is the user principal name of the user=NAME of a line.
func upn(line string) string {
	for _, word := range strings.Fields(line) {
		if name, ok := strings.CutPrefix(word, "user="); ok {
			return demo.People()[name].UPN
		}
	}
	return ""
}

func between(text, from, to string) (string, bool) {
	_, rest, ok := strings.Cut(text, from)
	if !ok {
		return "", false
	}
	what, _, ok := strings.Cut(rest, to)
	return what, ok
}
