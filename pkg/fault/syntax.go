package fault

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits of a text of rules.
const (
	// MaxText is in bytes.
	MaxText  = 16 << 10
	maxRules = 64
	// maxDepth is how deep parentheses may nest.
	maxDepth = 8
)

// SyntaxError says where a text of rules cannot be read, and what to write there.
type SyntaxError struct {
	// Line and Column begin with 1; the column counts characters.
	Line, Column int
	// Msg says what is wrong and what to do about it.
	Msg string
}

// Error is the message with its place before it.
func (e *SyntaxError) Error() string { return fmt.Sprintf("rules %d:%d: %s", e.Line, e.Column, e.Msg) }

// node is an atom, a quoted text or a list in parentheses.
type node struct {
	at     int
	text   string
	quoted bool
	list   bool
	of     []node
}

// reader takes a text apart.
type reader struct {
	text string
	pos  int
}

// wrong makes the error for a place.
func wrong(text string, at int, format string, args ...any) error {
	before := text[:min(at, len(text))]
	line := strings.LastIndexByte(before, '\n') + 1
	return &SyntaxError{Line: 1 + strings.Count(before, "\n"), Column: 1 + utf8.RuneCountInString(before[line:]), Msg: fmt.Sprintf(format, args...)}
}

func (r *reader) wrong(at int, format string, args ...any) error {
	return wrong(r.text, at, format, args...)
}

// all reads the whole text.
func (r *reader) all() (nodes []node, err error) {
	for {
		r.skip()
		if r.pos == len(r.text) {
			return nodes, nil
		}
		n, err := r.next(1)
		if err != nil {
			return nil, err
		}
		if nodes = append(nodes, n); len(nodes) > maxRules {
			return nil, r.wrong(n.at, "there are more than %d rules: leave some out", maxRules)
		}
	}
}

// skip goes over white space and comments.
func (r *reader) skip() {
	for r.pos < len(r.text) {
		switch c := r.text[r.pos]; {
		case c == ';':
			end := strings.IndexByte(r.text[r.pos:], '\n')
			if end < 0 {
				r.pos = len(r.text)
				return
			}
			r.pos += end + 1
		case strings.IndexByte(" \t\r\n", c) >= 0:
			r.pos++
		default:
			return
		}
	}
}

func (r *reader) next(depth int) (node, error) {
	at := r.pos
	switch r.text[r.pos] {
	case ')':
		return node{}, r.wrong(at, "a parenthesis closes that none opened: take it out")
	case '(':
		return r.inside(depth)
	case '"':
		quoted, err := strconv.QuotedPrefix(r.text[at:])
		if err != nil {
			return node{}, r.wrong(at, "this text does not end: close it with a quotation mark")
		}
		text, err := strconv.Unquote(quoted)
		if err != nil {
			return node{}, r.wrong(at, "this text cannot be read: quote it as Go does")
		}
		r.pos += len(quoted)
		return node{at: at, text: text, quoted: true}, nil
	default:
		end := strings.IndexAny(r.text[at:], " \t\r\n()\";")
		if end < 0 {
			end = len(r.text) - at
		}
		r.pos += end
		return node{at: at, text: r.text[at:r.pos]}, nil
	}
}

// inside reads a list; r.pos is at its parenthesis.
func (r *reader) inside(depth int) (node, error) {
	list := node{at: r.pos, list: true}
	if depth > maxDepth {
		return list, r.wrong(list.at, "parentheses nest more than %d deep: make two rules of it", maxDepth)
	}
	r.pos++
	for {
		r.skip()
		if r.pos == len(r.text) {
			return list, r.wrong(list.at, "this parenthesis is not closed: end the rule with )")
		}
		if r.text[r.pos] == ')' {
			r.pos++
			return list, nil
		}
		n, err := r.next(depth + 1)
		if err != nil {
			return list, err
		}
		list.of = append(list.of, n)
	}
}

// read takes a text apart that is not too long and is text.
func read(text string) ([]node, error) {
	switch {
	case len(text) > MaxText:
		return nil, fmt.Errorf("rules: the text has %d bytes, at most %d are read", len(text), MaxText)
	case !utf8.ValidString(text):
		return nil, errors.New("rules: the text is not UTF-8")
	}
	return (&reader{text: text}).all()
}
