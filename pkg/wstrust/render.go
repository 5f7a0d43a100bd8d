package wstrust

import (
	"bytes"
	"embed"
	"encoding/xml"
	"errors"
	"strings"
	"text/template"
	"time"
	"unicode/utf8"
)

// The messages as they are written, one element a line; the lines are joined, so
// that no white space stands between elements: clients take the content of
// RequestedSecurityToken as it is.
//
//go:embed shape
var shapes embed.FS

// timeFormat is XML Schema's dateTime as AD FS writes it, in UTC.
const timeFormat = "2006-01-02T15:04:05.000Z"

// render fills a shape. Every value is checked and escaped by the function x; raw
// is for an assertion alone, whose bytes must not change.
func render(name string, data any) ([]byte, error) {
	text, err := shapes.ReadFile("shape/" + name)
	if err != nil {
		return nil, err
	}
	var lines strings.Builder
	for line := range strings.Lines(string(text)) {
		lines.WriteString(strings.TrimSpace(line))
	}
	t, err := template.New(name).Funcs(template.FuncMap{
		"x":   escape,
		"at":  func(t time.Time) string { return t.UTC().Format(timeFormat) },
		"raw": func(s string) string { return s },
	}).Parse(lines.String())
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := t.Execute(&out, data); errors.Is(err, ErrCharacter) {
		return nil, ErrCharacter // without the library's words around it
	} else if err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func escape(s string) (string, error) {
	if !utf8.ValidString(s) || strings.ContainsFunc(s, notXML) {
		return "", ErrCharacter
	}
	var b strings.Builder
	err := xml.EscapeText(&b, []byte(s))
	return b.String(), err
}

// notXML reports a character that XML 1.0 does not have (section 2.2).
func notXML(r rune) bool {
	switch {
	case r == '\t', r == '\n', r == '\r':
		return false
	case r < ' ', r == 0xFFFE, r == 0xFFFF:
		return true
	}
	return false
}
