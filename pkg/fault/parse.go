package fault

import (
	"slices"
	"strings"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

const (
	// maxDelay bounds a delay: no call waits longer for anything but a person.
	maxDelay = 10 * time.Minute
	// maxThrottle bounds a hint of when to try again.
	maxThrottle = 24 * time.Hour
	// maxName bounds one text in a rule, in bytes.
	maxName    = 512
	stepPrefix = "STEP_"
)

// Parse reads rules. An error is a *SyntaxError where it has a place, and says what to
// write instead.
//
//	(unavailable (method "KeyService/ImportSessionKey") (nth 2))
//	(delay 200ms)                                   ; goes on to the next rule
//	(answer 50126 (user "alice@contoso.test") (first 1))
//	(drop (or (caller dsreg) (step RENEWAL_E)) (chance 5%))
//	(corrupt "signature" (method "KeyService/SignAssertion"))
func Parse(text string) (Rules, error) {
	nodes, err := read(text)
	if err != nil {
		return nil, err
	}
	p := parser{text}
	var rules Rules
	for _, n := range nodes {
		r, err := p.rule(n)
		if err != nil {
			return nil, err
		}
		rules = append(rules, r)
	}
	return rules, nil
}

// parser gives nodes their meaning; text is for the places of errors.
type parser struct{ text string }

func (p parser) wrong(n node, format string, args ...any) error {
	return wrong(p.text, n.at, format, args...)
}

// shape of a rule, for errors.
const shape = `write a rule as (ACTION CONDITION...), such as (unavailable (nth 2))`

func (p parser) rule(n node) (r Rule, err error) {
	if !n.list || len(n.of) == 0 {
		return r, p.wrong(n, "this is no rule: %s", shape)
	}
	var words []node
	for _, in := range n.of {
		switch {
		case !in.list && len(r.When) > 0:
			return r, p.wrong(in, "%.40q stands behind a condition: put the words of the action first", in.text)
		case !in.list:
			words = append(words, in)
		default:
			c, err := p.condition(in)
			if err != nil {
				return r, err
			}
			r.When = append(r.When, c)
		}
	}
	if len(words) == 0 || words[0].quoted {
		return r, p.wrong(n, "the action is missing: %s", shape)
	}
	if err := p.action(&r, words[0], words[1:]); err != nil {
		return r, err
	}
	if r.Action == TPM && len(r.When) > 0 {
		return r, p.wrong(n, `a rule for the TPM takes no condition: say it in its own language, as in (tpm "Sign:rc=0x101:skip=1:times=1")`)
	}
	return r, nil
}

// action reads the words of an action into r.
func (p parser) action(r *Rule, word node, args []node) error {
	for a := Unavailable; a <= TPM; a++ {
		if a.String() == word.text {
			r.Action = a
		}
	}
	want := 1
	switch r.Action {
	case Unavailable, Drop, ExecuteThenTimeout, Duplicate, Reorder, OtherDevice:
		want = 0
	case Corrupt:
		if r.Request = len(args) > 0 && args[0].text == "request" && !args[0].quoted; r.Request {
			args = args[1:]
		}
	case Delay, Answer, Throttle, TPM:
	default:
		return p.wrong(word, "there is no action %.40q: use unavailable, delay, drop, execute-then-timeout, corrupt, duplicate, reorder, other-device, answer, throttle or tpm", word.text)
	}
	switch {
	case len(args) < want:
		return p.wrong(word, "%s needs one word more: %s", word.text, example(r.Action))
	case len(args) > want:
		return p.wrong(args[want], "%.40q is too much: conditions stand in parentheses, as (nth 2)", args[want].text)
	case want == 0:
		return nil
	}
	return p.argument(r, args[0])
}

func example(a Action) string {
	switch a {
	case Delay:
		return "write (delay 200ms) or (delay field)"
	case Corrupt:
		return `write (corrupt "field.path") or (corrupt request "field.path")`
	case Answer:
		return "write (answer 50126), or a kind of error as (answer denied)"
	case Throttle:
		return "write (throttle 300s)"
	default:
		return `write (tpm "Sign:delay=200ms")`
	}
}

// argument reads the one word that an action takes.
func (p parser) argument(r *Rule, n node) error {
	if len(n.text) > maxName {
		return p.wrong(n, "this text has more than %d bytes", maxName)
	}
	switch r.Action {
	case Delay, Throttle:
		if r.Action == Delay && n.text == "field" {
			r.Action = FieldDelay
			return nil
		}
		d, err := time.ParseDuration(n.text)
		if err == nil && r.Action == Throttle && d > 0 && d <= maxThrottle && d%time.Second == 0 || err == nil && r.Action == Delay && d > 0 && d <= maxDelay {
			r.Duration = d
			return nil
		}
		return p.wrong(n, "%.40q is no time for %s: %s; a delay is at most %v, a throttle at most %v in whole seconds", n.text, r.Action, example(r.Action), maxDelay, maxThrottle)
	case Corrupt:
		if r.Field = n.text; !isPath(n.text) {
			return p.wrong(n, "%.40q is no path of a field: use the names of the contract with dots between, as %q", n.text, "credential.pin")
		}
		return nil
	case Answer:
		return p.answer(r, n)
	default:
		if r.TPM = n.text; strings.TrimSpace(n.text) == "" {
			return p.wrong(n, "the rule for the TPM is empty: %s", example(TPM))
		}
		return nil
	}
}

func (p parser) answer(r *Rule, n node) error {
	if k := prterr.Kind(n.text); slices.Contains(prterr.Kinds(), k) {
		r.Kind = k
		return nil
	}
	code, err := aadsts.Parse(n.text)
	if _, known := aadsts.Lookup(code); err == nil && known {
		r.Code = code
		return nil
	}
	var kinds []string
	for _, k := range prterr.Kinds() {
		kinds = append(kinds, string(k))
	}
	return p.wrong(n, "%.40q is no answer: use a code of the identity provider that lockstep error knows, as 50126, or %s", n.text, strings.Join(kinds, ", "))
}

func isPath(s string) bool {
	for part := range strings.SplitSeq(s, ".") {
		if part == "" || strings.Trim(part, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
			return false
		}
	}
	return true
}
