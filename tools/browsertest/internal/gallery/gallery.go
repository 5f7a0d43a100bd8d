// Package gallery keeps pictures of pages, and a page that shows them all.
//
// What lives here: files below one folder. What never may: a judgement of a
// picture; people look at them. The tests of the module are the only callers.
package gallery

import (
	"fmt"
	"html/template"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// Gallery collects pictures. Its methods may be called at the same time.
type Gallery struct {
	dir   string
	mu    sync.Mutex
	pages map[string][]picture
}

type picture struct{ Look, File string }

// New makes an empty gallery in a folder, and removes the pictures of a run before.
func New(dir string) (*Gallery, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	old, err := filepath.Glob(filepath.Join(dir, "*.png"))
	if err != nil {
		return nil, err
	}
	for _, f := range old {
		if err := os.Remove(f); err != nil {
			return nil, err
		}
	}
	return &Gallery{dir: dir, pages: map[string][]picture{}}, nil
}

// Has says whether there is a picture of the page already.
func (g *Gallery) Has(page string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.pages[page]) > 0
}

// Add keeps a PNG of a page, seen in some way.
func (g *Gallery) Add(page, look string, png []byte) error {
	file := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '.' {
			return r
		}
		return '-'
	}, strings.ToLower(page+"."+look)) + ".png"
	if err := os.WriteFile(filepath.Join(g.dir, file), png, 0o644); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pages[page] = append(g.pages[page], picture{look, file})
	return nil
}

const show = `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Pages of the sign-in</title>
<style>body{font:1rem/1.5 system-ui,sans-serif;margin:2rem;background:#888;color:#000}section{margin:0 0 3rem}
.row{display:flex;gap:1rem;align-items:flex-start;flex-wrap:wrap}figure{margin:0}img{max-height:24rem;border:1px solid #444}</style></head>
<body><h1>Pages of the sign-in</h1><p>{{.Head}}</p>
<ul>{{range .Pages}}<li><a href="#{{.Name}}">{{.Name}}</a></li>{{end}}</ul>
{{range .Pages}}<section id="{{.Name}}"><h2>{{.Name}}</h2><div class="row">{{range .Pictures}}
<figure><a href="{{.File}}"><img loading="lazy" src="{{.File}}" alt="{{.Look}}"></a><figcaption>{{.Look}}</figcaption></figure>{{end}}</div></section>
{{end}}</body></html>
`

// Write writes index.html, with a line about the run at its head, and answers its name
// and how many pages it shows.
func (g *Gallery) Write(head string) (string, int, error) {
	t, err := template.New("index").Parse(show)
	if err != nil {
		return "", 0, err
	}
	type shown struct {
		Name     string
		Pictures []picture
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []shown
	for name, p := range g.pages {
		all = append(all, shown{name, p})
	}
	slices.SortFunc(all, func(a, b shown) int { return strings.Compare(a.Name, b.Name) })
	name := filepath.Join(g.dir, "index.html")
	f, err := os.Create(name)
	if err != nil {
		return "", 0, err
	}
	if err := t.Execute(f, map[string]any{"Head": head, "Pages": all}); err != nil {
		_ = f.Close()
		return "", 0, fmt.Errorf("gallery: %w", err)
	}
	return name, len(all), f.Close()
}
