// Package table reads who is who in a cluster: which ServiceAccount of which namespace
// is which component, and whose authority each namespace trusts.
//
// What is not in the table has no identity. The file is written by the people who
// deploy; callers are the signer and the bootstrap of this program.
package table

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"sigs.k8s.io/yaml"
)

// maxFile bounds a table file, in bytes.
const maxFile = 1 << 20

// Table is the whole file.
type Table struct {
	// Namespaces by name. Each has an authority of its own.
	Namespaces map[string]Namespace `json:"namespaces"`
}

// Namespace is what one namespace of the cluster has and trusts.
type Namespace struct {
	// Trusts names the namespaces whose authorities are in the bundle of this one, which
	// may be among them.
	Trusts []string `json:"trusts"`
	// Accounts by the name of the ServiceAccount.
	Accounts map[string]Account `json:"accounts"`
}

// Account is what pods of one ServiceAccount may be.
type Account struct {
	// Name is the component that they are when they ask for nothing else; empty is
	// nobody.
	Name string `json:"name,omitempty"`
	// Actors are names that they get when they ask for one by the annotation
	// lockstep.dev/actor.
	Actors []string `json:"actors,omitempty"`
}

// Names are all names that the account can have, in order.
func (a Account) Names() []string {
	all := slices.Clone(a.Actors)
	if a.Name != "" {
		all = append(all, a.Name)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Names are all names that pods of the namespace can have, in order.
func (n Namespace) Names() []string {
	var all []string
	for _, a := range n.Accounts {
		all = append(all, a.Names()...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Order is the names of the namespaces, in order.
func (t *Table) Order() []string { return slices.Sorted(maps.Keys(t.Namespaces)) }

// Load reads a table file.
func Load(path string) (*Table, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("table %s has more than %d bytes", path, maxFile)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	t, err := Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("table %s: %w", path, err)
	}
	return t, nil
}

// Parse reads a table. An unknown field, a name that stands twice, or one that nothing
// stands behind is an error.
func Parse(raw []byte) (*Table, error) {
	var t Table
	if err := yaml.UnmarshalStrict(raw, &t); err != nil {
		return nil, err
	}
	if len(t.Namespaces) == 0 {
		return nil, errors.New("namespaces: there is none")
	}
	var bad []error
	for _, name := range t.Order() {
		bad = append(bad, t.check(name, t.Namespaces[name])...)
	}
	return &t, errors.Join(bad...)
}

func (t *Table) check(name string, n Namespace) (bad []error) {
	add := func(format string, args ...any) { bad = append(bad, fmt.Errorf(name+": "+format, args...)) }
	if !validName(name) {
		add("is no name of a namespace")
	}
	seen := map[string]bool{}
	for _, other := range n.Trusts {
		if _, ok := t.Namespaces[other]; !ok || seen[other] {
			add("trusts %s, which is not in the table or stands twice", other)
		}
		seen[other] = true
	}
	if len(n.Trusts) == 0 {
		add("trusts nobody")
	}
	for _, account := range slices.Sorted(maps.Keys(n.Accounts)) {
		a := n.Accounts[account]
		if len(a.Names()) == 0 {
			add("account %s is nobody: give it a name or actors", account)
		}
		if len(a.Names()) < len(a.Actors) {
			add("account %s: an actor stands twice", account)
		}
		for _, c := range a.Names() {
			if !validName(c) {
				add("account %s: %q is no name of a component: use lower-case letters, digits and dashes", account, c)
			}
		}
	}
	return bad
}

// validName is what components take for a name: a lower-case letter, then at most 62
// letters, digits and dashes.
func validName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || i > 0 && ('0' <= c && c <= '9' || c == '-')) {
			return false
		}
	}
	return s != "" && len(s) <= 63
}
