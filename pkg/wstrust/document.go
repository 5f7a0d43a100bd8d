package wstrust

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/beevik/etree"
)

// limits bound a message. An AD FS metadata document has some 2000 elements, 20
// deep; a request some 25, an answer with its assertion some 70.
type limits struct {
	bytes, elements, depth, attributes int
	// singles says that the elements of isSingle stand at most once.
	singles bool
}

func messageLimits() limits {
	return limits{bytes: MaxMessage, elements: 512, depth: 32, attributes: 32, singles: true}
}

// In metadata the names of isSingle are those of policies, and stand often.
func metadataLimits() limits {
	return limits{bytes: MaxMetadata, elements: 16384, depth: 32, attributes: 32}
}

// MaxMessage bounds a request and an answer, MaxMetadata a metadata document, in
// bytes.
const (
	MaxMessage  = 64 << 10
	MaxMetadata = 1 << 20
)

// document is a message that was looked at before a tree was built of it.
type document struct {
	raw  []byte
	root *etree.Element
	// tokens are where the children of RequestedSecurityToken lie in raw.
	tokens []span
}

type span struct{ from, to int64 }

func parse(raw []byte, lim limits) (document, error) {
	if len(raw) == 0 || len(raw) > lim.bytes {
		return document{}, ErrSize
	}
	raw = bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf")) // a mark that .NET writes
	if !utf8.Valid(raw) || bytes.IndexByte(raw, 0) >= 0 {
		return document{}, ErrEncoding
	}
	tokens, err := scan(raw, lim)
	if err != nil {
		return document{}, err
	}
	doc := etree.NewDocument()
	doc.ReadSettings = etree.ReadSettings{MaxDepth: lim.depth + 1}
	if err := doc.ReadFromBytes(raw); err != nil || doc.Root() == nil {
		return document{}, ErrMalformed
	}
	return document{raw: raw, root: doc.Root(), tokens: tokens}, nil
}

// scanner walks over the tokens and keeps count.
type scanner struct {
	lim             limits
	dec             *xml.Decoder
	depth, elements int
	roots           int
	met             map[string]bool
	// inside is the depth of RequestedSecurityToken, 0 outside it.
	inside int
	open   int64
	tokens []span
}

func scan(raw []byte, lim limits) ([]span, error) {
	// Without a CharsetReader the decoder refuses a declaration of any encoding
	// but UTF-8.
	s := scanner{lim: lim, dec: xml.NewDecoder(bytes.NewReader(raw)), met: map[string]bool{}}
	for {
		at := s.dec.InputOffset()
		tok, err := s.dec.Token()
		if errors.Is(err, io.EOF) {
			if s.roots != 1 {
				return nil, ErrMalformed
			}
			return s.tokens, nil
		}
		if err != nil {
			return nil, ErrMalformed
		}
		if err := s.take(tok, at); err != nil {
			return nil, err
		}
	}
}

func (s *scanner) take(tok xml.Token, at int64) error {
	switch t := tok.(type) {
	case xml.StartElement:
		return s.start(t, at)
	case xml.EndElement:
		s.end()
	case xml.CharData:
		if s.depth == 0 && len(bytes.TrimSpace(t)) > 0 {
			return ErrMalformed
		}
	case xml.ProcInst:
		// The XML declaration, at the very start, is the one that is allowed.
		if t.Target != "xml" || at != 0 {
			return ErrMarkup
		}
	default:
		return ErrMarkup
	}
	return nil
}

// isSingle names the elements of which a message has one or none, under any
// prefix and in any namespace: two of them, and two readers could take a
// different one for the real.
func isSingle(local string) bool {
	switch local {
	case "Envelope", "Body", "Fault", "Security", "UsernameToken", "Username", "Password",
		"RequestSecurityToken", "RequestedSecurityToken", "definitions":
		return true
	}
	return false
}

func (s *scanner) start(t xml.StartElement, at int64) error {
	if s.depth == 0 {
		if s.roots++; s.roots > 1 {
			return ErrMalformed
		}
	}
	s.depth++
	s.elements++
	if s.depth > s.lim.depth || s.elements > s.lim.elements || len(t.Attr) > s.lim.attributes {
		return ErrBounds
	}
	// The decoder lets doubled attributes pass, and readers differ in which they
	// take.
	seen := make(map[xml.Name]bool, len(t.Attr))
	for _, a := range t.Attr {
		if seen[a.Name] {
			return ErrMalformed
		}
		seen[a.Name] = true
	}
	local := t.Name.Local
	if s.lim.singles && isSingle(local) {
		if s.met[local] {
			return shape("%s stands twice", local)
		}
		s.met[local] = true
	}
	switch {
	case s.inside != 0 && s.depth == s.inside+1:
		s.open = at
	case s.inside == 0 && local == "RequestedSecurityToken":
		s.inside = s.depth
	}
	return nil
}

func (s *scanner) end() {
	switch {
	case s.inside != 0 && s.depth == s.inside+1:
		s.tokens = append(s.tokens, span{s.open, s.dec.InputOffset()})
	case s.depth == s.inside:
		s.inside = 0
	}
	s.depth--
}

// is reports whether e is the element of this name.
func is(e *etree.Element, namespace, local string) bool {
	return e.Tag == local && e.NamespaceURI() == namespace
}

// child returns the one child of that name, or nil when there is none or more
// than one.
func child(e *etree.Element, namespace, local string) *etree.Element {
	if all := children(e, namespace, local); len(all) == 1 {
		return all[0]
	}
	return nil
}

func children(e *etree.Element, namespace, local string) []*etree.Element {
	if e == nil {
		return nil
	}
	var found []*etree.Element
	for _, c := range e.ChildElements() {
		if is(c, namespace, local) {
			found = append(found, c)
		}
	}
	return found
}

// at follows a path of single children.
func at(e *etree.Element, namespace string, path ...string) *etree.Element {
	for _, local := range path {
		if e = child(e, namespace, local); e == nil {
			return nil
		}
	}
	return e
}

// value is the text of an element that holds nothing but text, without the white
// space around it.
func value(e *etree.Element) (string, bool) {
	text, ok := verbatim(e)
	return strings.TrimSpace(text), ok
}

// verbatim is value with the white space, which in a password counts.
func verbatim(e *etree.Element) (string, bool) {
	if e == nil || len(e.ChildElements()) > 0 {
		return "", false
	}
	return e.Text(), true
}

// attr is the value of an attribute without a prefix, "" when it is missing.
func attr(e *etree.Element, key string) string {
	for _, a := range e.Attr {
		if a.Space == "" && a.Key == key {
			return a.Value
		}
	}
	return ""
}

// attrIn is the value of an attribute of a namespace, "" when it is missing.
func attrIn(e *etree.Element, namespace, key string) string {
	for _, a := range e.Attr {
		if a.Key == key && a.Space != "" && a.NamespaceURI() == namespace {
			return a.Value
		}
	}
	return ""
}

// blank reports whether there is no text between the children of e.
func blank(e *etree.Element) bool { return strings.TrimSpace(e.Text()) == "" && blankTails(e) }

func blankTails(e *etree.Element) bool {
	for _, c := range e.ChildElements() {
		if strings.TrimSpace(c.Tail()) != "" {
			return false
		}
	}
	return true
}
