package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"strings"
	"testing"
)

// init runs before main can say no, in an order that imports decide, and for
// everybody who links the package. What has to happen happens in New.
func initFunctions(r *Repo) (bad []string) {
	for _, f := range r.Go {
		for _, d := range f.AST.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" && !f.Generated() {
				bad = append(bad, f.At(d)+": func init: do it in New, or in a function that returns the table")
			}
		}
	}
	return bad
}

// A variable of a package is shared by every component of the process, and a
// laboratory runs many devices and a cloud in one. So there is none but those
// that cannot hold state:
//   - an error sentinel: errors.New, fmt.Errorf;
//   - an assertion of the compiler: var _ I = (*T)(nil);
//   - an embedded file: //go:embed;
//   - an unexported short name for a byte order of encoding/binary, which is empty;
//   - an unexported regexp.MustCompile: it never changes, is safe for all goroutines,
//     and any test of the package finds a pattern that does not compile;
//   - an unexported literal of an array or a struct, made of literals, that no
//     line of the package writes to or takes the address of: Go has no such
//     constants. Maps and slices do not count, because a copy of theirs still
//     writes to the original; a function that returns the table has not that risk.
func packageVariables(r *Repo) (bad []string) {
	for _, all := range r.Dirs() {
		written, values := writtenNames(all), valueTypes(all)
		for _, f := range all {
			if strings.HasSuffix(f.Path, "_test.go") || f.Generated() {
				continue
			}
			for _, d := range f.AST.Decls {
				g, ok := d.(*ast.GenDecl)
				if !ok || g.Tok != token.VAR {
					continue
				}
				for _, s := range g.Specs {
					for _, name := range stateful(f, g, s.(*ast.ValueSpec), written, values) {
						bad = append(bad, fmt.Sprintf("%s: var %s: state of a package is shared by all components of a process: put it in a struct, or return the table from a function", f.At(s), name))
					}
				}
			}
		}
	}
	return bad
}

func stateful(f *File, g *ast.GenDecl, s *ast.ValueSpec, written, values map[string]bool) (names []string) {
	if embeds(g.Doc) || embeds(s.Doc) {
		return nil
	}
	for i, name := range s.Names {
		var value ast.Expr
		if i < len(s.Values) {
			value = s.Values[i]
		}
		_, literal := value.(*ast.CompositeLit)
		constant := (byteOrder(f, value) || literal && valueLiteral(value, values) || calls(f, value, "regexp", "MustCompile")) && !name.IsExported() && !written[name.Name]
		sentinel := calls(f, value, "errors", "New") || calls(f, value, "fmt", "Errorf")
		if name.Name != "_" && !sentinel && !constant {
			names = append(names, name.Name)
		}
	}
	return names
}

func embeds(doc *ast.CommentGroup) bool {
	if doc != nil {
		for _, c := range doc.List {
			if strings.HasPrefix(c.Text, "//go:embed ") {
				return true
			}
		}
	}
	return false
}

func calls(f *File, value ast.Expr, pkg, name string) bool {
	call, ok := value.(*ast.CallExpr)
	if !ok {
		return false
	}
	p, n := used(f.Imports(), call.Fun)
	return p == pkg && n == name
}

func byteOrder(f *File, value ast.Expr) bool {
	pkg, name := used(f.Imports(), value)
	return pkg == "encoding/binary" && (name == "BigEndian" || name == "LittleEndian")
}

// valueLiteral says whether an expression is a literal without anything in it
// that a copy would share. values are the named types that are copied whole.
func valueLiteral(e ast.Expr, values map[string]bool) bool {
	switch e := e.(type) {
	case *ast.BasicLit, *ast.Ident, *ast.SelectorExpr:
		return true
	case *ast.KeyValueExpr:
		return valueLiteral(e.Value, values)
	case *ast.CompositeLit:
		if e.Type != nil && !copied(e.Type, values) {
			return false
		}
		for _, x := range e.Elts {
			if lit, ok := x.(*ast.CompositeLit); ok && lit.Type == nil && !copiedElement(e.Type, values) || !valueLiteral(x, values) {
				return false
			}
		}
		return true
	}
	return false
}

// copied says whether a type is an array, or one of the named types.
func copied(t ast.Expr, values map[string]bool) bool {
	switch t := t.(type) {
	case *ast.ArrayType:
		return t.Len != nil
	case *ast.Ident:
		return values[t.Name]
	}
	return false
}

// copiedElement is copied for the elements of an array whose own type is left out.
func copiedElement(t ast.Expr, values map[string]bool) bool {
	a, ok := t.(*ast.ArrayType)
	return ok && copied(a.Elt, values)
}

// valueTypes are the names of the package's structs and arrays.
func valueTypes(all []*File) map[string]bool {
	values := map[string]bool{}
	for _, f := range all {
		for _, d := range f.AST.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.TYPE {
				continue
			}
			for _, s := range g.Specs {
				t := s.(*ast.TypeSpec)
				_, structure := t.Type.(*ast.StructType)
				values[t.Name.Name] = structure || copied(t.Type, nil)
			}
		}
	}
	return values
}

// writtenNames are the names that something in the package is assigned to, or
// through, or whose address is taken. A local variable of the same name counts
// too: the rule rather refuses too much.
func writtenNames(all []*File) map[string]bool {
	written := map[string]bool{}
	mark := func(e ast.Expr) {
		for {
			switch x := e.(type) {
			case *ast.IndexExpr:
				e = x.X
			case *ast.SelectorExpr:
				e = x.X
			case *ast.SliceExpr:
				e = x.X
			case *ast.ParenExpr:
				e = x.X
			case *ast.Ident:
				written[x.Name] = true
				return
			default:
				return
			}
		}
	}
	for _, f := range all {
		ast.Inspect(f.AST, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				if n.Tok != token.DEFINE {
					for _, e := range n.Lhs {
						mark(e)
					}
				}
			case *ast.IncDecStmt:
				mark(n.X)
			case *ast.UnaryExpr:
				if n.Op == token.AND {
					mark(n.X)
				}
			}
			return true
		})
	}
	return written
}

func TestNoPackageState(t *testing.T) {
	holds(t, initFunctions)
	holds(t, packageVariables)
	finds(t, initFunctions, files{
		"a.go": "package a\nfunc init() {}\ntype T int\nfunc (T) init() {}\n",
		"b.go": "// Code generated by x. DO NOT EDIT.\npackage a\nfunc init() {}\n",
	}, "a.go:2: func init: do it in New, or in a function that returns the table")
	const why = ": state of a package is shared by all components of a process: put it in a struct, or return the table from a function"
	finds(t, packageVariables, files{"a.go": `package a

import (
	"encoding/binary"
	"errors"
	"regexp"
)

var ErrX = errors.New("x")

var (
	_ error = ErrX
	//go:embed x.txt
	page string
	good = [...]string{"a"}
	bad  = [...]string{"a"}
	Open = [1]byte{}
	list = []string{"a"}
	a, b int
	form = regexp.MustCompile("x")
	pair  = T{"a", "b"}
	pairs = [...]T{{"a", "b"}}
	named = L{"a"}
	inner = [...][]string{{"a"}}
	alias = pair
	order = binary.BigEndian
)

type (
	T struct{ a, b string }
	L []string
)

func f() { bad[0] = good[0] }
`}, "a.go:16: var bad"+why, "a.go:17: var Open"+why, "a.go:18: var list"+why, "a.go:19: var a"+why, "a.go:19: var b"+why,
		"a.go:23: var named"+why, "a.go:24: var inner"+why, "a.go:25: var alias"+why)
}
