package saml

import "github.com/beevik/etree"

// claim is the full name of an attribute: namespace, NUL, name. No XML holds a
// NUL, so two different names never become one.
type claim string

// The claims that are read, as AD FS names them.
const (
	claimUPN          claim = "http://schemas.xmlsoap.org/claims\x00UPN"
	claimImmutableID  claim = "http://schemas.microsoft.com/LiveID/Federation/2008/05\x00ImmutableID"
	claimAuthnMethods claim = "http://schemas.microsoft.com/claims\x00authnmethodsreferences"
	claimAccountType  claim = "http://schemas.microsoft.com/ws/2012/01\x00accounttype"
)

const multipleAuthn = "http://schemas.microsoft.com/claims/multipleauthn"

// claims are the attributes of the one attribute statement.
type claims map[claim][]string

// readClaims takes all attributes, also those that are not read later: a
// doubled one refuses the whole.
func readClaims(statement *etree.Element) (claims, error) {
	if !blankText(statement) {
		return nil, whyContent
	}
	c := claims{}
	for _, e := range statement.ChildElements() {
		if inSAML(e, "Subject") {
			continue
		}
		local := plainAttr(e, "AttributeName")
		name := claim(plainAttr(e, "AttributeNamespace") + "\x00" + local)
		if !inSAML(e, "Attribute") || local == "" || c[name] != nil || !blankText(e) {
			return nil, whyContent
		}
		values := []string{}
		for _, ve := range e.ChildElements() {
			text, ok := value(ve)
			if !inSAML(ve, "AttributeValue") || !ok {
				return nil, whyContent
			}
			values = append(values, text)
		}
		c[name] = values
	}
	// Computers have assertions too, for device registration. They carry this
	// claim and must not pass for users.
	if c[claimAccountType] != nil {
		return nil, whyNotAUser
	}
	return c, nil
}

// single is the value of a claim that has exactly one.
func (c claims) single(name claim) (string, bool) {
	if v := c[name]; len(v) == 1 {
		return v[0], true
	}
	return "", false
}

// immutableID is the claim, which must be the name that the statements are
// about as well.
func (c claims) immutableID(name string) (string, error) {
	if c[claimImmutableID] == nil {
		return "", whyNoImmutableID
	}
	id, ok := c.single(claimImmutableID)
	switch {
	case !ok:
		return "", whyContent
	case id == "":
		return "", whyNoImmutableID
	case len(id) > maxImmutableID:
		return "", whyContent
	case id != name:
		return "", whySubject
	}
	for _, r := range id {
		if r <= ' ' || r > '~' {
			return "", whyContent
		}
	}
	return id, nil
}

func (c claims) multipleAuthn() bool {
	for _, v := range c[claimAuthnMethods] {
		if v == multipleAuthn {
			return true
		}
	}
	return false
}
