package wstrust

import (
	"strings"

	"github.com/beevik/etree"
)

// Endpoint is where a user name and a password, or a certificate, are changed for a
// token.
type Endpoint struct {
	Version Version
	// URL as the document has it; the writer takes any, and whether it may be
	// asked is for the caller to decide.
	URL string
}

// Metadata is what a metadata document says of endpoints.
type Metadata struct {
	// Endpoints for passwords, all of 1.3 before all of 2005.
	Endpoints []Endpoint
	// Certificates are the endpoints for certificates, in the same order.
	Certificates []Endpoint
}

// maxEndpoints bounds what one document may list.
const maxEndpoints = 16

// binding is one endpoint in the words of the WSDL.
type binding struct {
	Name, Operation, Answer, SP, Supporting, Trust, Action, AnswerAction, URL string
	// Old is the policy language of 2005, which has an attribute where the later
	// one has a policy.
	Old bool
	// Prefix of the names of binding and policy; Certificate is what it is for.
	Prefix      string
	Certificate bool
}

// Encode writes the metadata document, with one binding for each version; the
// error is ErrShape when a version is not known or stands twice.
//
// The prefix sp is declared on each TransportBinding again: MSAL for Go looks for
// the declaration there.
func (m Metadata) Encode() ([]byte, error) {
	var all, contracts []binding
	met := map[string]bool{}
	for _, kind := range []struct {
		endpoints   []Endpoint
		certificate bool
	}{{m.Endpoints, false}, {m.Certificates, true}} {
		seen := map[Version]bool{}
		for _, e := range kind.endpoints {
			if _, ok := e.Version.words(); !ok || seen[e.Version] {
				return nil, shape("an endpoint's version is not known or stands twice")
			}
			seen[e.Version] = true
			b := bindingOf(e, kind.certificate)
			all = append(all, b)
			if !met[b.Name] {
				met[b.Name] = true
				contracts = append(contracts, b)
			}
		}
	}
	return render("mex.xml", struct{ Bindings, Contracts []binding }{all, contracts})
}

func bindingOf(e Endpoint, certificate bool) binding {
	w, _ := e.Version.words()
	b := binding{
		Name: "IWSTrust13Async", Operation: "Trust13IssueAsync", Answer: "RequestSecurityTokenResponseCollection",
		SP: nsSP13, Supporting: "SignedEncryptedSupportingTokens", Prefix: "UserNameWSTrustBinding", Certificate: certificate,
		Trust: w.namespace, Action: w.action, AnswerAction: w.answerAction, URL: e.URL,
	}
	if e.Version == Trust2005 {
		b.Name, b.Operation, b.Answer = "IWSTrustFeb2005Async", "TrustFeb2005IssueAsync", "RequestSecurityTokenResponse"
		b.SP, b.Supporting, b.Old = nsSP2005, "SignedSupportingTokens", true
	}
	if certificate {
		b.Supporting, b.Prefix = "EndorsingSupportingTokens", "CertificateWSTrustBinding"
	}
	return b
}

// ReadMetadata reads a metadata document and keeps what a client needs: the
// endpoints for a user name and a password, and those for a certificate. Others
// (Kerberos, certificates in TLS) are passed over. An empty list is no error.
func ReadMetadata(raw []byte) (Metadata, error) {
	doc, err := parse(raw, metadataLimits())
	if err != nil {
		return Metadata{}, err
	}
	if !is(doc.root, nsWSDL, "definitions") {
		return Metadata{}, shape("the root is not wsdl:definitions")
	}
	passwords, certificates, err := policies(doc.root)
	if err != nil {
		return Metadata{}, err
	}
	var m Metadata
	for _, kind := range []struct {
		policies map[string]bool
		into     *[]Endpoint
	}{{passwords, &m.Endpoints}, {certificates, &m.Certificates}} {
		found, err := bindings(doc.root, kind.policies)
		if err != nil {
			return Metadata{}, err
		}
		if *kind.into, err = endpoints(doc.root, found); err != nil {
			return Metadata{}, err
		}
	}
	return m, nil
}

// policies are the ids of the policies that ask for a user name and a password over
// TLS, and of those that ask for a certificate in the message, each with # before it,
// as it is referred to.
func policies(root *etree.Element) (passwords, certificates map[string]bool, err error) {
	passwords, certificates = map[string]bool{}, map[string]bool{}
	met := map[string]bool{}
	for _, p := range children(root, nsPolicy, "Policy") {
		id := attrIn(p, nsUtility, "Id")
		if id == "" {
			continue
		}
		if met[id] {
			return nil, nil, shape("two policies have one wsu:Id")
		}
		met[id] = true
		all := at(p, nsPolicy, "ExactlyOne", "All")
		switch {
		case all == nil:
		case asksPassword(all, nsSP13, "SignedEncryptedSupportingTokens") || asksPassword(all, nsSP2005, "SignedSupportingTokens"):
			passwords["#"+id] = true
		case asksCertificate(all, nsSP13) || asksCertificate(all, nsSP2005):
			certificates["#"+id] = true
		}
	}
	return passwords, certificates, nil
}

func asksCertificate(all *etree.Element, sp string) bool {
	token := at(child(child(all, sp, "EndorsingSupportingTokens"), nsPolicy, "Policy"), sp, "X509Token")
	return at(child(token, nsPolicy, "Policy"), sp, "WssX509V3Token10") != nil && child(all, sp, "TransportBinding") != nil
}

func asksPassword(all *etree.Element, sp, supporting string) bool {
	token := at(child(child(all, sp, supporting), nsPolicy, "Policy"), sp, "UsernameToken")
	return at(child(token, nsPolicy, "Policy"), sp, "WssUsernameToken10") != nil && child(all, sp, "TransportBinding") != nil
}

const transportHTTP = "http://schemas.xmlsoap.org/soap/http"

// bindings maps the names of bindings that follow such a policy to their version.
func bindings(root *etree.Element, policies map[string]bool) (map[string]Version, error) {
	found := map[string]Version{}
	met := map[string]bool{}
	for _, b := range children(root, nsWSDL, "binding") {
		name := attr(b, "name")
		if name == "" || met[name] {
			return nil, shape("a binding has no name, or another one's")
		}
		met[name] = true
		soap, policy := child(b, nsSOAPBind, "binding"), child(b, nsPolicy, "PolicyReference")
		operation := child(child(b, nsWSDL, "operation"), nsSOAPBind, "operation")
		if soap == nil || policy == nil || operation == nil || attr(soap, "transport") != transportHTTP || !policies[attr(policy, "URI")] {
			continue
		}
		if v, ok := versionOfAction(attr(operation, "soapAction")); ok {
			found[name] = v
		}
	}
	return found, nil
}

func endpoints(root *etree.Element, bindings map[string]Version) ([]Endpoint, error) {
	byVersion := map[Version][]Endpoint{}
	n := 0
	for _, service := range children(root, nsWSDL, "service") {
		for _, port := range children(service, nsWSDL, "port") {
			name := attr(port, "binding")
			v, ok := bindings[name[strings.LastIndexByte(name, ':')+1:]]
			if !ok {
				continue
			}
			url, ok := value(at(port, nsAddress, "EndpointReference", "Address"))
			if !ok || url == "" {
				return nil, shape("a port has no wsa:Address")
			}
			if n++; n > maxEndpoints {
				return nil, ErrBounds
			}
			byVersion[v] = append(byVersion[v], Endpoint{Version: v, URL: url})
		}
	}
	return append(byVersion[Trust13], byVersion[Trust2005]...), nil
}
