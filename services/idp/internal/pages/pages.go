// Package pages is how the pages look that people meet on their way through a
// sign-in, in every language that they come in.
//
// What lives here: templates, the style sheet, scripts, catalogues of texts, the
// content policy that lets exactly these through. What never may: a request, a
// route, a decision; what a page shows comes in a View. The HTTPS front writes
// them.
package pages

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"strings"
)

//go:embed html/*.html
var htmlFiles embed.FS

//go:embed script/*.js
var scriptFiles embed.FS

//go:embed page.css
var style string

// Set are the pages, ready to be written. It is safe for concurrent use.
type Set struct {
	families map[string]*template.Template
	scripts  map[string]string
	texts    *catalogues
	// styleHash lets the one style sheet pass the content policy.
	styleHash string
}

// families are the files under html that have a page's content each.
func families() []string {
	return []string{"signin", "factor", "kmsi", "device", "password", "register", "consent", "message", "formpost", "security"}
}

// New reads the embedded files. It fails only when one of them is not right.
func New() (*Set, error) {
	texts, err := readCatalogues()
	if err != nil {
		return nil, fmt.Errorf("pages: %w", err)
	}
	s := &Set{families: map[string]*template.Template{}, scripts: map[string]string{}, texts: texts}
	base, err := template.New("base.html").ParseFS(htmlFiles, "html/base.html", "html/icons.html", "html/proofs.html")
	if err != nil {
		return nil, fmt.Errorf("pages: %w", err)
	}
	for _, family := range families() {
		t, err := base.Clone()
		if err == nil {
			t, err = t.ParseFS(htmlFiles, "html/"+family+".html")
		}
		if err != nil {
			return nil, fmt.Errorf("pages: %w", err)
		}
		s.families[family] = t
	}
	for _, name := range []string{"submit", "webauthn", "passkey", "conditional", "wait"} {
		b, err := scriptFiles.ReadFile("script/" + name + ".js")
		if err != nil {
			return nil, fmt.Errorf("pages: %w", err)
		}
		s.scripts[name] = strings.TrimSpace(string(b))
	}
	sum := sha256.Sum256([]byte(style))
	s.styleHash = base64.StdEncoding.EncodeToString(sum[:])
	return s, nil
}

// Document is a page as it is sent.
type Document struct {
	Body []byte
	// Policy is the Content-Security-Policy that belongs to it.
	Policy string
	// Language that it is in, a tag of BCP 47.
	Language string
}

// Write makes the page of a view.
func (s *Set) Write(v View) (Document, error) {
	raw := make([]byte, 16)
	_, _ = rand.Read(raw)
	d := s.dress(v, base64.RawURLEncoding.EncodeToString(raw))
	family := d.family()
	t := s.families[family]
	if t == nil {
		return Document{}, fmt.Errorf("pages: there is no template %s", family)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, d); err != nil {
		return Document{}, fmt.Errorf("pages: %w", err)
	}
	return Document{Body: b.Bytes(), Policy: s.policy(d.nonce), Language: d.Language()}, nil
}

// policy lets the page do what it has to and nothing more: its style sheet by hash,
// its scripts by nonce, pictures only inside the page, questions only to its own
// host. Forms may lead to an application at any address, so the policy says nothing
// about form-action: browsers would hold the redirect that follows a form to it as
// well.
func (s *Set) policy(nonce string) string {
	return "default-src 'none'; style-src 'sha256-" + s.styleHash + "'; script-src 'nonce-" + nonce +
		"'; img-src data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
}
