package devicerule

import (
	"fmt"
	"slices"
	"strings"
)

// Read reads a rule. Its error says what is wrong and at which character, and never
// quotes more than a word of it. And binds tighter than or, not tighter than both.
func Read(rule string) (Rule, error) {
	if len(rule) > MaxRule {
		return Rule{}, fmt.Errorf("is longer than %d characters", MaxRule)
	}
	r := reader{text: rule}
	if err := r.next(); err != nil {
		return Rule{}, err
	}
	n, err := r.or(0)
	if err != nil {
		return Rule{}, err
	}
	if r.now.kind != end {
		return Rule{}, r.wrong("is not -and, -or or the end of the rule")
	}
	return Rule{root: n}, nil
}

type tokenKind int

const (
	end    tokenKind = iota
	mark             // ( ) [ ] ,
	dashed           // -eq, -and
	bare             // device.trustType, True
	quoted           // "AzureAD"
)

type token struct {
	kind tokenKind
	text string
	at   int
}

// is compares a mark, or a word in any case.
func (t token) is(k tokenKind, text string) bool {
	return t.kind == k && strings.EqualFold(t.text, text)
}

type reader struct {
	text string
	pos  int
	now  token
}

func (r *reader) wrong(format string, args ...any) error {
	return fmt.Errorf("at character %d: %q %s", r.now.at+1, shortened(r.now.text), fmt.Sprintf(format, args...))
}

func shortened(s string) string { return strings.ToValidUTF8(s[:min(len(s), 40)], "?") }

// next reads one token.
func (r *reader) next() error {
	for r.pos < len(r.text) && strings.IndexByte(" \t\r\n", r.text[r.pos]) >= 0 {
		r.pos++
	}
	r.now = token{at: r.pos}
	if r.pos == len(r.text) {
		return nil
	}
	start, c := r.pos, r.text[r.pos]
	switch {
	case strings.IndexByte("()[],", c) >= 0:
		r.now.kind, r.pos = mark, r.pos+1
	case c == '"' || c == '\'':
		closing := strings.IndexByte(r.text[start+1:], c)
		if closing < 0 {
			r.now.text = r.text[start:]
			return r.wrong("has no closing quote")
		}
		r.now.kind, r.now.text, r.pos = quoted, r.text[start+1:start+1+closing], start+closing+2
		return nil
	default:
		r.now.kind, r.pos = bare, r.pos+1
		for r.pos < len(r.text) && wordByte(r.text[r.pos]) {
			r.pos++
		}
		if c == '-' {
			r.now.kind, r.now.text = dashed, r.text[start+1:r.pos]
			return nil
		}
	}
	r.now.text = r.text[start:r.pos]
	return nil
}

func wordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_'
}

func (r *reader) or(depth int) (node, error) {
	return r.chain("or", depth, r.and, func(a, b node) node { return either{a, b} })
}

func (r *reader) and(depth int) (node, error) {
	return r.chain("and", depth, r.not, func(a, b node) node { return both{a, b} })
}

// chain reads parts that are joined by one operator.
func (r *reader) chain(word string, depth int, part func(int) (node, error), join func(a, b node) node) (node, error) {
	left, err := part(depth)
	for err == nil && r.now.is(dashed, word) {
		if err = r.next(); err != nil {
			break
		}
		var right node
		if right, err = part(depth); err == nil {
			left = join(left, right)
		}
	}
	return left, err
}

func (r *reader) not(depth int) (node, error) {
	if depth > MaxDepth {
		return nil, r.wrong("nests deeper than %d levels", MaxDepth)
	}
	switch {
	case r.now.is(dashed, "not"):
		if err := r.next(); err != nil {
			return nil, err
		}
		n, err := r.not(depth + 1)
		return negated{n}, err
	case r.now.is(mark, "("):
		if err := r.next(); err != nil {
			return nil, err
		}
		n, err := r.or(depth + 1)
		if err == nil {
			err = r.take(mark, ")")
		}
		return n, err
	}
	return r.comparison()
}

func (r *reader) take(k tokenKind, text string) error {
	if !r.now.is(k, text) {
		return r.wrong("is not %s", text)
	}
	return r.next()
}

func (r *reader) comparison() (node, error) {
	a, err := r.attribute()
	if err != nil {
		return nil, err
	}
	all := operators()
	i := slices.IndexFunc(all, func(o operator) bool { return r.now.is(dashed, o.name) })
	switch {
	case i < 0:
		return nil, r.wrong("is no operator: use -eq, -ne, -in, -notIn, -startsWith, -endsWith, -contains or their -not forms")
	case all[i].onText && a.kind != text, all[i].list && a.kind == flag:
		return nil, r.wrong("does not go with device.%s", a.name)
	}
	op := all[i]
	if err := r.next(); err != nil {
		return nil, err
	}
	values, err := r.values(a, op)
	return compared{a.name, op, values}, err
}

func (r *reader) attribute() (attribute, error) {
	all := attributes()
	name, is := strings.CutPrefix(strings.ToLower(r.now.text), "device.")
	i := slices.IndexFunc(all, func(a attribute) bool { return strings.EqualFold(a.name, name) })
	switch {
	case r.now.kind != bare || !is:
		return attribute{}, r.wrong("is not an attribute: use device.%s", strings.Join(Names(), ", device."))
	case i < 0:
		return attribute{}, r.wrong("is an attribute that the directory here does not keep: use device.%s", strings.Join(Names(), ", device."))
	}
	return all[i], r.next()
}

// values reads what the attribute is held against: one, or a list in brackets.
func (r *reader) values(a attribute, op operator) ([]string, error) {
	if !op.list {
		v, err := r.value(a)
		return []string{v}, err
	}
	if err := r.take(mark, "["); err != nil {
		return nil, err
	}
	var out []string
	for {
		v, err := r.value(a)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
		if !r.now.is(mark, ",") {
			return out, r.take(mark, "]")
		}
		if err := r.next(); err != nil {
			return nil, err
		}
	}
}

func (r *reader) value(a attribute) (string, error) {
	v := r.now.text
	known := func(values ...string) bool {
		return slices.ContainsFunc(values, func(k string) bool { return strings.EqualFold(k, v) })
	}
	switch {
	case a.kind == flag && (r.now.kind != bare || !known("True", "False")):
		return "", r.wrong("is not True or False")
	case a.kind != flag && r.now.kind != quoted:
		return "", r.wrong("is not a value in quotes")
	case a.kind == word && !known(a.values...):
		return "", r.wrong("is not one of %s", strings.Join(a.values, ", "))
	case v == "":
		return "", r.wrong("is empty")
	}
	return v, r.next()
}
