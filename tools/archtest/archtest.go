// Package archtest holds the rules that the repository keeps about itself: who
// may import whom, who may call whom, what a file may contain. The rules and
// their reasons stand in the tests; this file only reads the repository as data.
//
// Nothing imports this package. It may import anything of the product, because
// the allow-lists of the doors are part of what it checks.
package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Module is the path of the one Go module.
const Module = "github.com/lockstep-sso/lockstep"

// maxText bounds what counts as a text file, in bytes.
const maxText = 1 << 20

// Repo is the repository: its text files, and the Go files among them parsed.
type Repo struct {
	// Text holds every text file by its slash-separated path from the root.
	Text map[string]string
	// Go holds the Go files, ordered by path.
	Go []*File
}

// File is one parsed Go file.
type File struct {
	// Path is slash-separated, from the root.
	Path string
	// Lines counts the lines.
	Lines int
	AST   *ast.File
	fset  *token.FileSet
}

// Find walks up from the working directory to the folder that holds go.work.
func Find() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", fmt.Errorf("no go.work above the working directory: run this inside the repository")
		}
		dir = up
	}
}

// Load reads the repository at root. Git's own folder and the built programs in
// bin are not part of it, nor are binary files.
func Load(root string) (*Repo, error) {
	text := map[string]string{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			if rel == ".git" || rel == "bin" {
				return fs.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() || rel == ".git" { // .git is a file in a worktree
			return nil
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		if len(b) <= maxText && utf8.Valid(b) && !bytes.Contains(b, []byte{0}) {
			text[rel] = string(b)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the repository: %w", err)
	}
	return Parse(text)
}

// Parse takes the files by path, so that a rule can be shown a repository that
// breaks it.
func Parse(text map[string]string) (*Repo, error) {
	r := &Repo{Text: text}
	for p, src := range text {
		if !strings.HasSuffix(p, ".go") || strings.Contains("/"+p, "/testdata/") {
			continue
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, p, src, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		r.Go = append(r.Go, &File{Path: p, Lines: strings.Count(src, "\n"), AST: f, fset: fset})
	}
	slices.SortFunc(r.Go, func(a, b *File) int { return strings.Compare(a.Path, b.Path) })
	return r, nil
}

// Dirs returns the Go files by folder.
func (r *Repo) Dirs() map[string][]*File {
	dirs := map[string][]*File{}
	for _, f := range r.Go {
		dirs[f.Dir()] = append(dirs[f.Dir()], f)
	}
	return dirs
}

// Dir is the folder of the file, which is its import path below the module.
func (f *File) Dir() string { return path.Dir(f.Path) }

// Test says whether the file is compiled for tests only: a _test.go file, or a
// part of a package of test helpers.
func (f *File) Test() bool { return strings.HasSuffix(f.Path, "_test.go") || ForTests(f.Dir()) }

// Main says whether the file belongs to a program.
func (f *File) Main() bool { return f.AST.Name.Name == "main" }

// Generated says whether a tool wrote the file.
func (f *File) Generated() bool { return ast.IsGenerated(f.AST) }

// At is "path:line" of a node.
func (f *File) At(n ast.Node) string {
	return fmt.Sprintf("%s:%d", f.Path, f.fset.Position(n.Pos()).Line)
}

// Imports maps the name that each import has in this file to its path; packages
// of this module lose the module's prefix.
func (f *File) Imports() map[string]string {
	names := map[string]string{}
	for _, spec := range f.AST.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue
		}
		name := path.Base(p)
		if v, ok := strings.CutPrefix(name, "v"); ok && v != "" && strings.Trim(v, "0123456789") == "" {
			name = path.Base(path.Dir(p)) // the last element is a major version
		}
		if spec.Name != nil {
			name = spec.Name.Name
		}
		if name == "_" || name == "." {
			name += " " + p // has no name in the file, and there may be several
		}
		names[name] = Short(p)
	}
	return names
}

// Short cuts the module's prefix off an import path.
func Short(importPath string) string {
	if importPath == Module {
		return "."
	}
	return strings.TrimPrefix(importPath, Module+"/")
}

// ForTests says whether an import path is a package of test helpers: services/X/Xtest,
// httptest and the like.
func ForTests(importPath string) bool {
	return strings.HasSuffix(path.Base(importPath), "test") && importPath != "tools/archtest"
}

// Match says whether an import path fits a pattern: an exact path, with * for
// one element, and with a final /... for the package and all below it.
func Match(pattern, importPath string) bool {
	base, below := strings.CutSuffix(pattern, "/...")
	want, got := strings.Split(base, "/"), strings.Split(importPath, "/")
	if len(got) < len(want) || !below && len(got) != len(want) {
		return false
	}
	for i, w := range want {
		if w != "*" && w != got[i] {
			return false
		}
	}
	return true
}

// Service is the name of the service that an import path belongs to, or "".
func Service(importPath string) string {
	parts := strings.Split(importPath, "/")
	if len(parts) < 2 || parts[0] != "services" {
		return ""
	}
	return parts[1]
}
