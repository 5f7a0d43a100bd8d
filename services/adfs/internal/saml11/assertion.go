package saml11

import (
	"time"

	"github.com/beevik/etree"
)

// assertion is the tree without its signature.
func (i *Issuer) assertion(s Subject) *etree.Element {
	root := etree.NewElement(prefix + ":Assertion")
	root.CreateAttr("xmlns:"+prefix, nsAssertion)
	root.CreateAttr("MajorVersion", "1")
	root.CreateAttr("MinorVersion", "1")
	root.CreateAttr(idAttribute, s.ID)
	root.CreateAttr("Issuer", i.issuer)
	root.CreateAttr("IssueInstant", stamp(s.At))

	conditions := child(root, "Conditions")
	conditions.CreateAttr("NotBefore", stamp(s.At))
	conditions.CreateAttr("NotOnOrAfter", stamp(s.At.Add(Lifetime)))
	child(child(conditions, "AudienceRestrictionCondition"), "Audience").SetText(i.audience)

	attributes := child(root, "AttributeStatement")
	addSubject(attributes, s)
	addAttribute(attributes, nsUPN, "UPN", string(s.UPN))
	addAttribute(attributes, nsImmutableID, "ImmutableID", s.ImmutableID)
	if s.MultipleAuthn {
		addAttribute(attributes, nsClaims, "authnmethodsreferences", multipleAuthn)
	}

	authentication := child(root, "AuthenticationStatement")
	method := methodPassword
	if s.Certificate {
		method = methodCertificate
	}
	authentication.CreateAttr("AuthenticationMethod", method)
	authentication.CreateAttr("AuthenticationInstant", stamp(s.At))
	addSubject(authentication, s)
	return root
}

// addSubject writes who the statement is about. The name is the ImmutableID:
// it is what the cloud finds its user by, a UPN may be given to someone else.
func addSubject(statement *etree.Element, s Subject) {
	subject := child(statement, "Subject")
	name := child(subject, "NameIdentifier")
	name.CreateAttr("Format", formatUnspecified)
	name.SetText(s.ImmutableID)
	child(child(subject, "SubjectConfirmation"), "ConfirmationMethod").SetText(confirmBearer)
}

func addAttribute(statement *etree.Element, namespace, name, value string) {
	a := child(statement, "Attribute")
	a.CreateAttr("AttributeName", name)
	a.CreateAttr("AttributeNamespace", namespace)
	child(a, "AttributeValue").SetText(value)
}

func child(parent *etree.Element, tag string) *etree.Element {
	return parent.CreateElement(prefix + ":" + tag)
}

func stamp(t time.Time) string { return t.UTC().Format(timeFormat) }
