// Package wstrust is the wire of a federation provider as AD FS and its clients
// speak it: metadata exchange (MEX: a WSDL with policies),
// and WS-Trust 1.3 and February 2005 in SOAP 1.2 with a user name and a password, or
// with a proof by the key of a certificate.
//
// What lives here: writers and readers of these messages. What never may: a
// decision, a clock, HTTP, or code that trusts an assertion; an assertion goes
// through byte for byte, because its signature is over its bytes. Every message
// is read as from a stranger: bounded, without a DTD, comments or processing
// instructions, and nothing is taken that is not understood. services/adfs reads
// requests and writes answers, pkg/adfscarrier does the opposite.
package wstrust

// Version is a version of WS-Trust.
type Version string

// The two versions in use. Clients prefer 1.3.
const (
	Trust13   Version = "1.3"
	Trust2005 Version = "2005"
)

// Namespaces, as the documents of their makers give them.
const (
	nsSOAP      = "http://www.w3.org/2003/05/soap-envelope"
	nsAddress   = "http://www.w3.org/2005/08/addressing"
	nsUtility   = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
	nsSecurity  = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
	nsPolicy    = "http://schemas.xmlsoap.org/ws/2004/09/policy"
	nsTrust13   = "http://docs.oasis-open.org/ws-sx/ws-trust/200512"
	nsTrust2005 = "http://schemas.xmlsoap.org/ws/2005/02/trust"
	nsWSDL      = "http://schemas.xmlsoap.org/wsdl/"
	nsSOAPBind  = "http://schemas.xmlsoap.org/wsdl/soap12/"
	nsSP13      = "http://docs.oasis-open.org/ws-sx/ws-securitypolicy/200702"
	nsSP2005    = "http://schemas.xmlsoap.org/ws/2005/07/securitypolicy"
	nsSAML11    = "urn:oasis:names:tc:SAML:1.0:assertion"
	nsSAML20    = "urn:oasis:names:tc:SAML:2.0:assertion"
)

// Types of token, in the spellings that are in use.
const (
	TokenSAML11        = nsSAML11
	TokenSAML11Profile = "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV1.1"
	TokenSAML20        = nsSAML20
	TokenSAML20Profile = "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV2.0"
)

// ContentType of a SOAP 1.2 message, and MetadataType of the metadata document.
const (
	ContentType  = "application/soap+xml; charset=utf-8"
	MetadataType = "text/xml; charset=utf-8"
)

// words is what is different between the versions.
type words struct {
	namespace, action, answerAction, requestType, keyType string
}

func (v Version) words() (words, bool) {
	switch v {
	case Trust13:
		return words{
			namespace: nsTrust13, action: nsTrust13 + "/RST/Issue", answerAction: nsTrust13 + "/RSTRC/IssueFinal",
			requestType: nsTrust13 + "/Issue", keyType: nsTrust13 + "/Bearer",
		}, true
	case Trust2005:
		return words{
			namespace: nsTrust2005, action: nsTrust2005 + "/RST/Issue", answerAction: nsTrust2005 + "/RSTR/Issue",
			requestType: nsTrust2005 + "/Issue", keyType: "http://schemas.xmlsoap.org/ws/2005/05/identity/NoProofKey",
		}, true
	}
	return words{}, false
}

// Action is the address of the operation, in wsa:Action and the SOAPAction
// header; "" for a version that is not known.
func (v Version) Action() string {
	w, _ := v.words()
	return w.action
}

func versionOf(namespace string) (Version, bool) {
	switch namespace {
	case nsTrust13:
		return Trust13, true
	case nsTrust2005:
		return Trust2005, true
	}
	return "", false
}

func versionOfAction(action string) (Version, bool) {
	for _, v := range []Version{Trust13, Trust2005} {
		if v.Action() == action {
			return v, true
		}
	}
	return "", false
}
