package front

import (
	"crypto/x509"
	"encoding/base64"

	"github.com/beevik/etree"

	"github.com/lockstep-sso/lockstep/pkg/wstrust"
	"github.com/lockstep-sso/lockstep/services/adfs/internal/org"
	"github.com/lockstep-sso/lockstep/services/adfs/internal/sts"
)

// federationMetadata is the metadata of WS-Federation (1.2 section 3.1): who
// signs, with which certificate, and where the two kinds of sign-in are. It is
// not signed; whoever takes the certificate from it trusts TLS.
func federationMetadata(o *org.Organisation, cert *x509.Certificate) ([]byte, error) {
	doc := etree.NewDocument()
	doc.CreateProcInst("xml", `version="1.0" encoding="utf-8"`)
	root := doc.CreateElement("EntityDescriptor")
	root.CreateAttr("xmlns", "urn:oasis:names:tc:SAML:2.0:metadata")
	root.CreateAttr("entityID", o.Issuer())
	role := root.CreateElement("RoleDescriptor")
	role.CreateAttr("xmlns:xsi", "http://www.w3.org/2001/XMLSchema-instance")
	role.CreateAttr("xmlns:fed", "http://docs.oasis-open.org/wsfed/federation/200706")
	role.CreateAttr("xsi:type", "fed:SecurityTokenServiceType")
	role.CreateAttr("protocolSupportEnumeration", "http://docs.oasis-open.org/ws-sx/ws-trust/200512 http://schemas.xmlsoap.org/ws/2005/02/trust http://docs.oasis-open.org/wsfed/federation/200706")

	key := role.CreateElement("KeyDescriptor")
	key.CreateAttr("use", "signing")
	info := key.CreateElement("KeyInfo")
	info.CreateAttr("xmlns", "http://www.w3.org/2000/09/xmldsig#")
	info.CreateElement("X509Data").CreateElement("X509Certificate").SetText(base64.StdEncoding.EncodeToString(cert.Raw))

	role.CreateElement("fed:TokenTypesOffered").CreateElement("fed:TokenType").CreateAttr("Uri", wstrust.TokenSAML11)
	endpoint(role, "fed:SecurityTokenServiceEndpoint", o.BaseURL()+sts.PathWSTrust13)
	endpoint(role, "fed:SecurityTokenServiceEndpoint", o.BaseURL()+sts.PathWSTrust2005)
	if len(o.ReplyURLs()) > 0 {
		endpoint(role, "fed:PassiveRequestorEndpoint", o.BaseURL()+pathPassive)
	}
	return doc.WriteToBytes()
}

func endpoint(role *etree.Element, name, url string) {
	reference := role.CreateElement(name).CreateElement("EndpointReference")
	reference.CreateAttr("xmlns", "http://www.w3.org/2005/08/addressing")
	reference.CreateElement("Address").SetText(url)
}
