package saml

import (
	"time"

	"github.com/beevik/etree"

	"github.com/lockstep-sso/lockstep/pkg/ids"
)

const (
	confirmBearer     = "urn:oasis:names:tc:SAML:1.0:cm:bearer"
	formatUnspecified = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
	maxIDBytes        = 128
	// methodX509 and methodTLS are how a provider says that the user proved the key of
	// a certificate (SAML 1.1 core, 7.1).
	methodX509     = "urn:oasis:names:tc:SAML:1.0:am:X509-PKI"
	methodTLS      = "urn:ietf:rfc:2246"
	maxImmutableID = 64
)

// read takes the signed tree apart. The shape is closed: an element that is
// not known, or stands twice, refuses the whole.
func (v *Verifier) read(root *etree.Element, fed Federation, now time.Time) (Subject, error) {
	if plainAttr(root, "MajorVersion") != "1" || plainAttr(root, "MinorVersion") != "1" {
		return Subject{}, whyVersion
	}
	if plainAttr(root, "Issuer") != fed.Issuer {
		return Subject{}, whyIssuer
	}
	id := plainAttr(root, idAttribute)
	parts, ok := only(root, "Conditions", "AttributeStatement", "AuthenticationStatement")
	if !ok || !validID(id) {
		return Subject{}, whyContent
	}
	until, err := v.conditions(parts[0], now)
	if err != nil {
		return Subject{}, err
	}
	name, err := soleSubject(parts[1], parts[2])
	if err != nil {
		return Subject{}, err
	}
	method := plainAttr(parts[2], "AuthenticationMethod")
	if method == "" {
		return Subject{}, whyContent
	}
	claims, err := readClaims(parts[1])
	if err != nil {
		return Subject{}, err
	}
	s := Subject{AssertionID: id, NotOnOrAfter: until, MultipleAuthn: claims.multipleAuthn(), Certificate: method == methodX509 || method == methodTLS}
	if s.UPN, err = claims.userOf(fed.Domain); err != nil {
		return Subject{}, err
	}
	if s.ImmutableID, err = claims.immutableID(name); err != nil {
		return Subject{}, err
	}
	return s, nil
}

// conditions checks audience and time and returns the end of the window.
// Conditions of other kinds would have to be understood to be met (SAML 1.1
// core, 2.3.2.1), so they refuse.
func (v *Verifier) conditions(e *etree.Element, now time.Time) (time.Time, error) {
	restriction, ok := only(e, "AudienceRestrictionCondition")
	if !ok {
		return time.Time{}, whyContent
	}
	audience, ok := only(restriction[0], "Audience")
	if !ok {
		return time.Time{}, whyAudience
	}
	if a, ok := value(audience[0]); !ok || a != v.audience {
		return time.Time{}, whyAudience
	}
	from, err1 := instant(plainAttr(e, "NotBefore"))
	until, err2 := instant(plainAttr(e, "NotOnOrAfter"))
	switch {
	case err1 != nil, err2 != nil, !from.Before(until), until.Sub(from) > maxLifetime:
		return time.Time{}, whyWindow
	case now.Add(v.skew).Before(from):
		return time.Time{}, whyEarly
	case !now.Add(-v.skew).Before(until):
		return time.Time{}, whyLate
	}
	return until, nil
}

// soleSubject is the name that both statements are about. A statement about
// one user beside attributes of another would let the reader pick.
func soleSubject(attributes, authentication *etree.Element) (string, error) {
	one, err := subjectOf(attributes)
	if err != nil {
		return "", err
	}
	other, err := subjectOf(authentication)
	if err != nil {
		return "", err
	}
	if one != other {
		return "", whySubject
	}
	return one, nil
}

func subjectOf(statement *etree.Element) (string, error) {
	var subject *etree.Element
	for _, e := range statement.ChildElements() {
		if !inSAML(e, "Subject") {
			continue
		}
		if subject != nil {
			return "", whySubject
		}
		subject = e
	}
	if subject == nil {
		return "", whySubject
	}
	parts, ok := only(subject, "NameIdentifier", "SubjectConfirmation")
	if !ok {
		return "", whySubject
	}
	if f := plainAttr(parts[0], "Format"); f != "" && f != formatUnspecified {
		return "", whySubject
	}
	method, ok := only(parts[1], "ConfirmationMethod")
	if !ok {
		return "", whyConfirm
	}
	if m, ok := value(method[0]); !ok || m != confirmBearer {
		return "", whyConfirm
	}
	name, ok := value(parts[0])
	if !ok {
		return "", whySubject
	}
	return name, nil
}

// only returns the children of e in the order of tags: exactly one of each,
// and nothing else but white space.
func only(e *etree.Element, tags ...string) ([]*etree.Element, bool) {
	children := e.ChildElements()
	if len(children) != len(tags) || !blankText(e) {
		return nil, false
	}
	found := make([]*etree.Element, len(tags))
	for _, c := range children {
		for i, tag := range tags {
			if inSAML(c, tag) && found[i] == nil {
				found[i] = c
				break
			}
		}
	}
	for _, f := range found {
		if f == nil {
			return nil, false
		}
	}
	return found, true
}

func inSAML(e *etree.Element, tag string) bool { return e.Tag == tag && e.NamespaceURI() == nsSAML }

// value is the text of an element that holds nothing but one piece of text. It
// is not trimmed: a value with white space around it is another value.
func value(e *etree.Element) (string, bool) {
	if len(e.Child) != 1 {
		return "", len(e.Child) == 0
	}
	c, ok := e.Child[0].(*etree.CharData)
	if !ok {
		return "", false
	}
	return c.Data, true
}

// instant reads xs:dateTime in UTC; local time and offsets are refused.
func instant(s string) (time.Time, error) {
	if len(s) > len("2006-01-02T15:04:05.999999999Z") {
		return time.Time{}, whyWindow
	}
	return time.Parse("2006-01-02T15:04:05.999999999Z", s)
}

// validID is an xs:ID of plain characters.
func validID(id string) bool {
	if id == "" || len(id) > maxIDBytes {
		return false
	}
	for i := range len(id) {
		c := id[i]
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c != '-' && c != '.' && (c < '0' || c > '9')) {
			return false
		}
	}
	return true
}

// userOf is the UPN, which must be of the federation's own domain: a
// federation speaks for its users only.
func (c claims) userOf(domain string) (ids.UPN, error) {
	text, ok := c.single(claimUPN)
	if !ok {
		return "", whyUPN
	}
	upn, err := ids.ParseUPN(text)
	if err != nil {
		return "", whyUPN
	}
	if upn.Domain() != domain {
		return "", whyUPNDomain
	}
	return upn, nil
}
