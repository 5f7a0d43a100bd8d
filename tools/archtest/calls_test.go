package archtest

import (
	"fmt"
	"go/ast"
	"path"
	"strings"
	"testing"
)

// outcast is a function or variable of another package that code does not use.
type outcast struct {
	// pkg is the import path, "" for a built-in.
	pkg string
	// name is a pattern of path.Match.
	name string
	// where are the packages that may, beside tests and programs.
	where []string
	// programs may not either.
	programsToo bool
	because     string
}

func outcasts() []outcast {
	return []outcast{
		{name: "panic", because: "a panic in a library takes the decision to die away from the program: return an error"},
		{name: "print*", programsToo: true, because: "print is for the compiler's authors"},
		{pkg: "os", name: "Exit", where: []string{"pkg/run"}, because: "only a program decides when the process ends; deferred clean-up would not run"},
		{pkg: "log", name: "Fatal*", programsToo: true, because: "it ends the process without running deferred clean-up"},
		{pkg: "fmt", name: "Print*", where: []string{"tools/..."}, because: "standard output belongs to the program; on browsercore it is the wire"},
		{pkg: "os", name: "Std*", where: []string{"tools/...", "pkg/run"}, because: "standard streams belong to the program: take a reader or a writer"},
		{pkg: "os", name: "Getenv", where: []string{"tools/...", "pkg/run"}, because: "what configures a component stands in its Config, where a reader finds it"},
		{pkg: "os", name: "LookupEnv", where: []string{"tools/...", "pkg/run"}, because: "what configures a component stands in its Config, where a reader finds it"},
		{pkg: "log/slog", name: "SetDefault", programsToo: true, because: "a global logger: two components in one process would share it"},
		{pkg: "go.opentelemetry.io/otel", name: "Set*", programsToo: true, because: "a global provider: two components in one process would share it"},
		{pkg: "net/http", name: "Default*", programsToo: true, because: "global state that any dependency may change, and a client without a time limit"},
		{pkg: "net/http", name: "Handle", programsToo: true, because: "it registers on the global mux"},
		{pkg: "net/http", name: "HandleFunc", programsToo: true, because: "it registers on the global mux"},
		{pkg: "net/http", name: "Get", programsToo: true, because: "it uses the global client, which has no time limit"},
		{pkg: "net/http", name: "Post*", programsToo: true, because: "it uses the global client, which has no time limit"},
	}
}

func outcastUses(r *Repo) (bad []string) {
	for _, f := range r.Go {
		if f.Test() || f.Generated() {
			continue
		}
		names := f.Imports()
		ast.Inspect(f.AST, func(n ast.Node) bool {
			pkg, name := used(names, n)
			for _, o := range outcasts() {
				if fit, _ := path.Match(o.name, name); !fit || pkg != o.pkg || o.allowed(f) {
					continue
				}
				bad = append(bad, fmt.Sprintf("%s: %s: %s", f.At(n), strings.TrimPrefix(pkg+"."+name, "."), o.because))
			}
			return true
		})
	}
	return bad
}

func (o outcast) allowed(f *File) bool {
	for _, w := range o.where {
		if Match(w, f.Dir()) {
			return true
		}
	}
	return f.Main() && !o.programsToo
}

// used says what a node uses: pkg.Name of an import, or a built-in that is called.
func used(names map[string]string, n ast.Node) (pkg, name string) {
	switch n := n.(type) {
	case *ast.SelectorExpr:
		if id, ok := n.X.(*ast.Ident); ok && id.Obj == nil && names[id.Name] != "" {
			return names[id.Name], n.Sel.Name
		}
	case *ast.CallExpr:
		if id, ok := n.Fun.(*ast.Ident); ok && id.Obj == nil {
			return "", id.Name
		}
	}
	return "", ""
}

func TestOutcasts(t *testing.T) {
	holds(t, outcastUses)
	finds(t, outcastUses, files{
		"services/a/a.go":       "package a\nimport f \"fmt\"\nfunc g(os struct{ Exit func() }) {\n\tf.Println()\n\tos.Exit()\n\tpanic(f.Sprint())\n}\n",
		"services/a/a_test.go":  "package a\nimport \"fmt\"\nfunc h() { fmt.Println(); panic(1) }\n",
		"services/a/cmd/a/m.go": "package main\nimport (\"os\"; \"net/http\")\nfunc main() {\n\tos.Exit(1)\n\t_ = http.DefaultClient\n}\n",
		"tools/x/x.go":          "package x\nimport \"fmt\"\nfunc h() { fmt.Println() }\n",
	},
		"services/a/a.go:4: fmt.Println: standard output belongs to the program; on browsercore it is the wire",
		"services/a/a.go:6: panic: a panic in a library takes the decision to die away from the program: return an error",
		"services/a/cmd/a/m.go:5: net/http.DefaultClient: global state that any dependency may change, and a client without a time limit")
}

// A connection that does not check its peer protects nothing, and a test that
// needs one tests something else than what runs.
func skippedVerification(r *Repo) (bad []string) {
	const word = "Insecure" + "SkipVerify"
	for _, f := range r.Go {
		ast.Inspect(f.AST, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok && id.Name == word {
				bad = append(bad, fmt.Sprintf("%s: %s: every peer is checked, in tests too", f.At(n), word))
			}
			return true
		})
	}
	return bad
}

func TestPeersAreChecked(t *testing.T) {
	holds(t, skippedVerification)
	finds(t, skippedVerification, files{"a_test.go": "package a\nimport \"crypto/tls\"\nfunc f() { _ = tls.Config{Insecure" + "SkipVerify: true} }\n"},
		"a_test.go:3: Insecure"+"SkipVerify: every peer is checked, in tests too")
}
