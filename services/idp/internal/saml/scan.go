package saml

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"unicode/utf8"
)

const (
	nsSAML = "urn:oasis:names:tc:SAML:1.0:assertion"
	nsDSig = "http://www.w3.org/2000/09/xmldsig#"

	// Bounds on the tree. An AD FS assertion has some 35 elements, 8 deep.
	maxElements   = 256
	maxDepth      = 16
	maxAttributes = 16
)

// scan looks at the outside bytes before a tree is built of them, and refuses
// what no honest assertion has and every XML attack needs.
func scan(raw []byte) error {
	if len(raw) == 0 || len(raw) > MaxAssertion {
		return whySize
	}
	if !utf8.Valid(raw) || bytes.IndexByte(raw, 0) >= 0 {
		return whyEncoding
	}
	// In well-formed XML a bare < is always markup, so two searches are enough
	// to find every DTD (and with it every entity), comment, CDATA section and
	// processing instruction. What is left is elements and text, which all
	// parsers read alike.
	if bytes.Contains(raw, []byte("<!")) || bytes.Contains(raw, []byte("<?")) {
		return whyMarkup
	}
	return scanTokens(xml.NewDecoder(bytes.NewReader(raw)))
}

// census counts what must be there exactly once, under any prefix and in any
// namespace, so that no other reader could take a different one for the real.
type census struct {
	depth, elements, roots             int
	assertions, signatures, identities int
}

func scanTokens(dec *xml.Decoder) error {
	var c census
	for {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return c.verdict()
		}
		if err != nil {
			return whyMalformed
		}
		switch t := tok.(type) {
		case xml.StartElement:
			err = c.open(t)
		case xml.EndElement:
			c.depth--
		case xml.CharData:
			if c.depth == 0 && len(bytes.TrimSpace(t)) > 0 {
				err = whyMalformed
			}
		default:
			err = whyMarkup
		}
		if err != nil {
			return err
		}
	}
}

func (c *census) open(t xml.StartElement) error {
	if c.depth == 0 {
		if c.roots++; c.roots > 1 {
			return whyMalformed
		}
		if t.Name != (xml.Name{Space: nsSAML, Local: "Assertion"}) {
			return whyRoot
		}
	}
	c.depth++
	c.elements++
	if c.depth > maxDepth || c.elements > maxElements || len(t.Attr) > maxAttributes {
		return whyBounds
	}
	switch t.Name.Local {
	case "Assertion":
		c.assertions++
	case "Signature":
		c.signatures++
	}
	// The decoder lets doubled attributes pass, and readers differ in which
	// they take.
	seen := make(map[xml.Name]bool, len(t.Attr))
	for _, a := range t.Attr {
		if seen[a.Name] {
			return whyDuplicate
		}
		seen[a.Name] = true
		if a.Name.Local == idAttribute {
			c.identities++
		}
	}
	return nil
}

func (c *census) verdict() error {
	switch {
	case c.roots != 1:
		return whyMalformed
	case c.assertions != 1, c.identities != 1:
		return whyAssertions
	case c.signatures != 1:
		return whySignatures
	}
	return nil
}
