// Package devicerule reads the filter rules for devices of conditional access and
// says which devices they fit, in the public service's own grammar
// (device.trustType -eq "AzureAD" -and -not (device.isCompliant -eq True)).
//
// What lives here: the reader, bounded in length and depth, and the meaning of the
// operators. What never may: a device object of the directory, and whether a rule
// includes or excludes. The tenant room reads rules with it when a policy is
// written, the policy room asks it at each decision.
package devicerule

import "strings"

// Bounds of a rule: characters, as on the public service, and levels of
// parentheses and negations.
const (
	MaxRule  = 3072
	MaxDepth = 32
)

// Device is what a rule sees of a device: the attributes by the names of Names. A
// device that is not there is nil, and has none of them.
type Device map[string]string

// Rule is a rule that was read. The zero value fits nothing.
type Rule struct{ root node }

// Fits says whether a device is one that the rule describes. An attribute that is
// not there equals nothing: the negative operators fit it, and so they fit a device
// that is not registered at all, as on the public service.
func (r Rule) Fits(d Device) bool { return r.root != nil && r.root.fits(d) }

// kind of an attribute says which operators it takes.
type kind int

const (
	text kind = iota // every operator
	word             // one of a few values: equality and lists
	flag             // True or False: equality
)

// attribute is a row of the table of attributes.
type attribute struct {
	name string
	kind kind
	// values are those that a word may have.
	values []string
}

// attributes are those that the directory here keeps. The public service knows
// others; they are refused by name, so that no rule waits for a value that never is.
func attributes() []attribute {
	return []attribute{
		{"deviceId", text, nil},
		{"displayName", text, nil},
		{"isCompliant", flag, nil},
		{"trustType", word, []string{"AzureAD", "ServerAD", "Workplace"}},
		{"operatingSystem", text, nil},
		{"operatingSystemVersion", text, nil},
		{"deviceOwnership", word, []string{"Company", "Personal"}},
	}
}

// Names lists the attributes that a rule may use.
func Names() []string {
	var out []string
	for _, a := range attributes() {
		out = append(out, a.name)
	}
	return out
}

// node is a part of a rule.
type node interface{ fits(Device) bool }

type (
	both    struct{ left, right node }
	either  struct{ left, right node }
	negated struct{ of node }
	// compared holds an attribute against one value or a list of them.
	compared struct {
		attribute string
		op        operator
		values    []string
	}
)

func (n both) fits(d Device) bool    { return n.left.fits(d) && n.right.fits(d) }
func (n either) fits(d Device) bool  { return n.left.fits(d) || n.right.fits(d) }
func (n negated) fits(d Device) bool { return !n.of.fits(d) }

func (n compared) fits(d Device) bool {
	have, there := d[n.attribute]
	if there {
		have = strings.ToLower(have)
		for _, want := range n.values {
			if n.op.matches(have, strings.ToLower(want)) {
				return !n.op.negative
			}
		}
	}
	return n.op.negative
}

// operator is a comparison, with its negation as a flag.
type operator struct {
	name     string
	negative bool
	list     bool
	// onText says that it is for attributes of any text alone.
	onText  bool
	matches func(have, want string) bool
}

func operators() []operator {
	equal := func(have, want string) bool { return have == want }
	var out []operator
	for _, o := range []operator{
		{name: "eq", matches: equal},
		{name: "in", matches: equal, list: true},
		{name: "startsWith", matches: strings.HasPrefix, onText: true},
		{name: "endsWith", matches: strings.HasSuffix, onText: true},
		{name: "contains", matches: strings.Contains, onText: true},
	} {
		not := o
		not.negative, not.name = true, "not"+strings.ToUpper(o.name[:1])+o.name[1:]
		if o.name == "eq" {
			not.name = "ne"
		}
		out = append(out, o, not)
	}
	return out
}
