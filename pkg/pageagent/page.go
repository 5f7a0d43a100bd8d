package pageagent

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// Bounds of one page.
const (
	maxForms  = 32
	maxFields = 256
)

// page is an answer of the server, read.
type page struct {
	at     *url.URL
	status int
	// config is $Config: kind of page, error, user.
	config pageConfig
	forms  []*form
	// texts are the texts of elements that have an id.
	texts map[string]string
}

// pageConfig is what the agent reads of $Config.
type pageConfig struct {
	PageID       string `json:"pgid"`
	Username     string `json:"sPOST_Username"`
	ErrorNumber  int32  `json:"iErrorCode"`
	ErrorText    string `json:"sErrTxt"`
	Exception    string `json:"strServiceExceptionMessage"`
	MaxPolls     int    `json:"iMaxPollAttempts"`
	PollInterval int    `json:"iPollingInterval"` // milliseconds
}

// form is a form with what is in it.
type form struct {
	action  *url.URL
	method  string
	fields  []field
	buttons []button
	// options is the WebAuthn challenge that the form wants answered, or empty.
	options string
}

// field is one value of a form.
type field struct {
	name, value, kind string
}

// button submits a form.
type button struct {
	id, name, value string
	// action is where it sends the form instead, or empty.
	action string
}

// parsePage reads a page. The parser is a browser's, so that both read the same.
func parsePage(at *url.URL, text []byte) (*page, error) {
	doc, err := html.Parse(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	p := &page{at: at, texts: map[string]string{}}
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if err := p.element(n); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *page) element(n *html.Node) error {
	id := attribute(n, "id")
	if id != "" && n.DataAtom != atom.Html && len(p.texts) < maxFields {
		p.texts[id] = strings.TrimSpace(textOf(n))
	}
	switch n.DataAtom {
	case atom.Script:
		return p.script(textOf(n))
	case atom.Form:
		return p.form(n)
	default:
		return nil
	}
}

// script finds $Config. The decoder stops behind its one value, so what follows in
// the script does not matter.
func (p *page) script(text string) error {
	_, rest, found := strings.Cut(text, "$Config=")
	if !found {
		return nil
	}
	return json.NewDecoder(strings.NewReader(rest)).Decode(&p.config)
}

func (p *page) form(n *html.Node) error {
	to, err := p.at.Parse(attribute(n, "action"))
	if err != nil || len(p.forms) == maxForms {
		return errors.New("a form leads nowhere, or there are too many")
	}
	f := &form{action: to, method: http.MethodGet, options: attribute(n, "data-options")}
	if strings.EqualFold(attribute(n, "method"), "post") {
		f.method = http.MethodPost
	}
	for c := range n.Descendants() {
		if c.Type != html.ElementNode {
			continue
		}
		f.control(c)
		if len(f.fields)+len(f.buttons) > maxFields {
			return errors.New("a form has too many fields")
		}
	}
	p.forms = append(p.forms, f)
	return nil
}

// control adds what a form sends (HTML, section 4.10.22.4).
func (f *form) control(n *html.Node) {
	kind := strings.ToLower(attribute(n, "type"))
	name, value := attribute(n, "name"), attribute(n, "value")
	switch n.DataAtom {
	case atom.Button:
		if kind == "" || kind == "submit" {
			f.buttons = append(f.buttons, button{attribute(n, "id"), name, value, attribute(n, "formaction")})
		}
	case atom.Textarea:
		f.fields = append(f.fields, field{name, textOf(n), "textarea"})
	case atom.Input:
		switch kind {
		case "submit":
			f.buttons = append(f.buttons, button{attribute(n, "id"), name, value, attribute(n, "formaction")})
		case "button", "reset", "image", "file":
		case "checkbox", "radio":
			if !has(n, "checked") {
				kind = "unchecked"
			}
			f.fields = append(f.fields, field{name, value, kind})
		default:
			f.fields = append(f.fields, field{name, value, kind})
		}
	default:
	}
}

// values are what the form sends when these are typed. Nothing is typed into a field
// that is hidden, and no box is ticked that is not named.
func (f *form) values(typed map[string]string) url.Values {
	out := url.Values{}
	for _, d := range f.fields {
		text, types := typed[d.name]
		switch {
		case d.name == "":
		case d.kind == "unchecked":
			if types {
				out.Set(d.name, d.value)
			}
		case types && d.kind != "hidden":
			out.Set(d.name, text)
		default:
			out.Set(d.name, d.value)
		}
	}
	return out
}

// set puts a value into a hidden field, as a script of the page does.
func (f *form) set(name, value string) {
	for i := range f.fields {
		if f.fields[i].name == name && f.fields[i].kind == "hidden" {
			f.fields[i].value = value
		}
	}
}

// field says whether the form has a field of this name that people see.
func (f *form) field(name string) bool {
	for _, d := range f.fields {
		if d.name == name && d.kind != "hidden" {
			return true
		}
	}
	return false
}

// hidden is the value of a hidden field, and whether there is one of the name.
func (f *form) hidden(name string) (string, bool) {
	for _, d := range f.fields {
		if d.name == name && d.kind == "hidden" {
			return d.value, true
		}
	}
	return "", false
}

// button finds a button by its element's id; without one by that id, nil.
func (f *form) button(id string) *button {
	for i := range f.buttons {
		if f.buttons[i].id == id {
			return &f.buttons[i]
		}
	}
	return nil
}

// with is the first form that has a field people see, or nil.
func (p *page) with(name string) *form {
	for _, f := range p.forms {
		if f.field(name) {
			return f
		}
	}
	return nil
}

// pressing is the first form with a button of this id, and the button.
func (p *page) pressing(id string) (*form, *button) {
	for _, f := range p.forms {
		if b := f.button(id); b != nil {
			return f, b
		}
	}
	return nil, nil
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, key string) bool {
	for _, a := range n.Attr {
		if a.Key == key {
			return true
		}
	}
	return false
}

func textOf(n *html.Node) string {
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			b.WriteString(c.Data)
		}
	}
	return b.String()
}
