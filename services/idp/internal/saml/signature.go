package saml

import (
	"crypto/x509"
	"strings"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
)

const (
	idAttribute = "AssertionID"

	// The only algorithms. They are compared, never looked up.
	algC14N      = "http://www.w3.org/2001/10/xml-exc-c14n#"
	algSignature = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
	algDigest    = "http://www.w3.org/2001/04/xmlenc#sha256"
	algEnveloped = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
)

// verified checks the signature and returns the root of a tree that was built
// anew from exactly the bytes that the signature covers. The tree of raw is
// not used further.
func verified(raw []byte, pinned *x509.Certificate, now time.Time) (*etree.Element, error) {
	if now.Before(pinned.NotBefore) || now.After(pinned.NotAfter) {
		return nil, whyCertExpiry
	}
	doc := etree.NewDocument()
	doc.ReadSettings = etree.ReadSettings{MaxDepth: maxDepth, PreserveDuplicateAttrs: true}
	if err := doc.ReadFromBytes(raw); err != nil || doc.Root() == nil {
		return nil, whyMalformed
	}
	root := doc.Root()
	sig, err := soleSignature(root)
	if err != nil {
		return nil, err
	}
	// The key is pinned. Without KeyInfo the library has nothing to choose a
	// key by; it is outside of what the signature covers.
	for _, k := range sig.ChildElements() {
		if k.Tag == "KeyInfo" && k.NamespaceURI() == nsDSig {
			sig.RemoveChild(k)
			break
		}
	}
	id := plainAttr(root, idAttribute)
	if id == "" || !signatureForm(id).matches(sig) {
		return nil, whyShape
	}
	ctx := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{pinned}})
	ctx.IdAttribute = idAttribute
	ctx.Clock = dsig.NewFakeClockAt(now)
	signed, err := ctx.Validate(root)
	if err != nil || signed == nil {
		return nil, whySignature
	}
	return signed, nil
}

// soleSignature is the signature as a direct child of the root. scan has
// counted that there is one element of that name in the whole document.
func soleSignature(root *etree.Element) (*etree.Element, error) {
	for _, e := range root.ChildElements() {
		if e.Tag == "Signature" {
			return e, nil
		}
	}
	return nil, whyShape
}

// form is the one shape that an element of a signature may have.
type form struct {
	tag         string
	attr, value string // the one attribute, "" for none
	text        bool   // holds a value; otherwise only white space between children
	children    []form
}

// signatureForm leaves nothing open: algorithms, transforms and the one
// reference are part of the shape, so nothing in a signature can choose them.
func signatureForm(id string) form {
	return form{tag: "Signature", children: []form{
		{tag: "SignedInfo", children: []form{
			{tag: "CanonicalizationMethod", attr: "Algorithm", value: algC14N},
			{tag: "SignatureMethod", attr: "Algorithm", value: algSignature},
			{tag: "Reference", attr: "URI", value: "#" + id, children: []form{
				{tag: "Transforms", children: []form{
					{tag: "Transform", attr: "Algorithm", value: algEnveloped},
					{tag: "Transform", attr: "Algorithm", value: algC14N},
				}},
				{tag: "DigestMethod", attr: "Algorithm", value: algDigest},
				{tag: "DigestValue", text: true},
			}},
		}},
		{tag: "SignatureValue", text: true},
	}}
}

func (f form) matches(e *etree.Element) bool {
	if e.Tag != f.tag || e.NamespaceURI() != nsDSig || !f.attrMatches(e) {
		return false
	}
	if !f.text && !blankText(e) {
		return false
	}
	children := e.ChildElements()
	if len(children) != len(f.children) {
		return false
	}
	for i, c := range f.children {
		if !c.matches(children[i]) {
			return false
		}
	}
	return true
}

func (f form) attrMatches(e *etree.Element) bool {
	found := f.attr == ""
	for _, a := range e.Attr {
		switch {
		case declaresNamespace(a):
		case a.Space == "" && a.Key == f.attr && a.Value == f.value:
			found = true
		default:
			return false
		}
	}
	return found
}

func declaresNamespace(a etree.Attr) bool {
	return a.Space == "xmlns" || a.Space == "" && a.Key == "xmlns"
}

// plainAttr is an attribute without a prefix, "" when missing. The tree's own
// look-up takes any prefix.
func plainAttr(e *etree.Element, key string) string {
	for _, a := range e.Attr {
		if a.Space == "" && a.Key == key {
			return a.Value
		}
	}
	return ""
}

func blankText(e *etree.Element) bool {
	for _, t := range e.Child {
		if c, ok := t.(*etree.CharData); ok && strings.TrimSpace(c.Data) != "" {
			return false
		}
	}
	return true
}
