package wstrust

import (
	"time"

	"github.com/beevik/etree"

	"github.com/lockstep-sso/lockstep/pkg/secret"
)

// Request is a RequestSecurityToken with a user name and a password: what goes
// to a usernamemixed endpoint (WS-Trust 1.3 section 4.1, WSS UsernameToken
// profile 1.1, password as text). With a proof in place of the password it goes to a
// certificatemixed endpoint.
type Request struct {
	Version Version
	// MessageID is a URI, urn:uuid:... by custom. To is the endpoint's address.
	// Both may be missing in a request that is read.
	MessageID, To string
	// Created and Expires are the sender's; zero in a request without a Timestamp.
	// To judge them is for whoever has a clock.
	Created, Expires time.Time
	Username         string
	Password         secret.Text
	// Certificate stands in place of Password.
	Certificate *CertificateProof
	// AppliesTo is who the token is for.
	AppliesTo string
	// TokenType that is wanted; "" leaves it to the provider.
	TokenType string
}

// Encode writes the request. Errors: ErrShape when a field is missing,
// ErrCharacter when one cannot be written in XML.
func (r Request) Encode() (secret.Text, error) {
	w, ok := r.Version.words()
	switch {
	case !ok:
		return secret.Text{}, shape("Version is not known")
	case r.MessageID == "" || r.To == "" || r.Username == "" || r.AppliesTo == "":
		return secret.Text{}, shape("MessageID, To, Username and AppliesTo are all needed")
	case r.Certificate != nil && (!r.Password.Empty() || len(r.Certificate.Chain) == 0 || len(r.Certificate.Chain) > maxChain || len(r.Certificate.Signature) == 0):
		return secret.Text{}, shape("Certificate has 1 to 8 certificates and a signature, and stands alone")
	case !r.Created.Before(r.Expires):
		return secret.Text{}, shape("Expires is not after Created")
	}
	xml, err := render("request.xml", struct {
		Request
		Trust, Action, KeyType, RequestType string
	}{r, w.namespace, w.action, w.keyType, w.requestType})
	return secret.NewText(string(xml)), err
}

// ReadRequest reads a request.
func ReadRequest(raw []byte) (Request, error) {
	doc, err := parse(raw, messageLimits())
	if err != nil {
		return Request{}, err
	}
	header, body, err := envelope(doc.root)
	if err != nil {
		return Request{}, err
	}
	var r Request
	if err := r.readBody(body); err != nil {
		return Request{}, err
	}
	if err := r.readHeader(header); err != nil {
		return Request{}, err
	}
	return r, nil
}

// envelope returns the header, nil when there is none, and the one element in
// the body (SOAP 1.2 part 1, section 5).
func envelope(root *etree.Element) (header, content *etree.Element, err error) {
	if !is(root, nsSOAP, "Envelope") {
		return nil, nil, shape("the root is not a SOAP 1.2 Envelope")
	}
	parts := root.ChildElements()
	if len(parts) == 2 && is(parts[0], nsSOAP, "Header") {
		header, parts = parts[0], parts[1:]
	}
	if len(parts) != 1 || !is(parts[0], nsSOAP, "Body") || !blank(root) {
		return nil, nil, shape("the Envelope has not one Header at most and one Body after it")
	}
	inside := parts[0].ChildElements()
	if len(inside) != 1 || !blank(parts[0]) {
		return nil, nil, shape("the Body has not exactly one element")
	}
	return header, inside[0], nil
}

func (r *Request) readBody(rst *etree.Element) error {
	v, ok := versionOf(rst.NamespaceURI())
	if !ok || rst.Tag != "RequestSecurityToken" {
		return shape("the Body holds no RequestSecurityToken of WS-Trust 1.3 or 2005")
	}
	w, _ := v.words()
	r.Version = v
	var requestType, keyType string
	seen := map[string]bool{}
	for _, e := range rst.ChildElements() {
		if seen[e.Tag] {
			return shape("an element of RequestSecurityToken stands twice")
		}
		seen[e.Tag] = true
		var ok bool
		switch {
		case is(e, w.namespace, "RequestType"):
			requestType, ok = value(e)
		case is(e, w.namespace, "KeyType"):
			keyType, ok = value(e)
		case is(e, w.namespace, "TokenType"):
			r.TokenType, ok = value(e)
		case is(e, nsPolicy, "AppliesTo"):
			r.AppliesTo, ok = address(e)
		default:
			return notUnderstood("RequestSecurityToken may have RequestType, KeyType, TokenType and AppliesTo")
		}
		if !ok {
			return shape("an element of RequestSecurityToken has not the form it should have")
		}
	}
	switch {
	case !blank(rst):
		return shape("RequestSecurityToken has text")
	case requestType != w.requestType:
		return notUnderstood("RequestType is not Issue of the same version")
	case keyType != "" && keyType != w.keyType:
		return notUnderstood("KeyType is not that of a bearer token (1.3 Bearer, 2005 NoProofKey)")
	case r.AppliesTo == "":
		return shape("AppliesTo is missing")
	}
	return nil
}

// address is the one wsa:Address in an AppliesTo.
func address(appliesTo *etree.Element) (string, bool) {
	inside := appliesTo.ChildElements()
	if len(inside) != 1 || !is(inside[0], nsAddress, "EndpointReference") {
		return "", false
	}
	a, ok := value(child(inside[0], nsAddress, "Address"))
	return a, ok && a != ""
}

func (r *Request) readHeader(header *etree.Element) error {
	if header == nil {
		return shape("Header is missing")
	}
	var action string
	var security *etree.Element
	seen := map[string]bool{}
	for _, e := range header.ChildElements() {
		known, ok := true, true
		switch {
		case is(e, nsAddress, "Action"):
			action, ok = value(e)
		case is(e, nsAddress, "MessageID"):
			r.MessageID, ok = value(e)
		case is(e, nsAddress, "To"):
			r.To, ok = value(e)
		case is(e, nsAddress, "ReplyTo"):
			ok = anonymous(e)
		case is(e, nsSecurity, "Security"):
			security = e
		default: // MSAL for Go writes wsa:messageID, which is no header of WS-Addressing
			known = false
		}
		switch m := attrIn(e, nsSOAP, "mustUnderstand"); {
		case !known && m != "" && m != "0" && m != "false":
			return ErrMustUnderstand
		case !ok || known && seen[e.Tag]:
			return shape("a header stands twice or has not the form it should have")
		}
		seen[e.Tag] = known
	}
	if action != r.Version.Action() {
		return shape("wsa:Action is not RST/Issue of the version of the body")
	}
	if security == nil {
		return shape("wsse:Security is missing")
	}
	return r.readSecurity(security)
}

const anonymousAddress = nsAddress + "/anonymous"

// anonymous reports whether the answer is to come on the same connection: no
// other way is served, and a token sent elsewhere would be a token lost.
func anonymous(replyTo *etree.Element) bool {
	a, ok := value(child(replyTo, nsAddress, "Address"))
	return ok && a == anonymousAddress && len(replyTo.ChildElements()) == 1
}

func (r *Request) readSecurity(security *etree.Element) error {
	var token, proof *etree.Element
	var chain []*etree.Element
	for _, e := range security.ChildElements() {
		switch {
		case is(e, nsUtility, "Timestamp") && r.Created.IsZero():
			var err error
			if r.Created, r.Expires, err = window(e); err != nil {
				return err
			}
		case is(e, nsSecurity, "UsernameToken") && token == nil:
			token = e
		case is(e, nsSecurity, "BinarySecurityToken") && len(chain) < maxChain:
			chain = append(chain, e)
		case is(e, nsProof, "CertificateProof") && proof == nil:
			proof = e
		default:
			return notUnderstood("wsse:Security may have one Timestamp, and one UsernameToken or certificates with one proof")
		}
	}
	switch {
	case !blank(security):
		return notUnderstood("wsse:Security has text")
	case token != nil && (proof != nil || len(chain) > 0):
		return notUnderstood("wsse:Security may have a password or a certificate")
	case proof != nil || len(chain) > 0:
		return r.readProof(chain, proof)
	}
	return r.readPassword(token)
}

func (r *Request) readPassword(token *etree.Element) error {
	if token == nil {
		return shape("UsernameToken is missing")
	}
	if len(token.ChildElements()) != 2 || !blank(token) {
		return notUnderstood("UsernameToken may have Username and Password alone")
	}
	name, ok1 := value(child(token, nsSecurity, "Username"))
	password := child(token, nsSecurity, "Password")
	text, ok2 := verbatim(password)
	if !ok1 || !ok2 || name == "" {
		return shape("UsernameToken has not one Username and one Password, each a text")
	}
	if t := attr(password, "Type"); t != "" && t != passwordText {
		return notUnderstood("Password is not of the type PasswordText")
	}
	r.Username, r.Password = name, secret.NewText(text)
	return nil
}

const passwordText = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText"

// window reads Created and Expires, which a Timestamp and a Lifetime have.
func window(e *etree.Element) (from, until time.Time, err error) {
	created, ok1 := value(child(e, nsUtility, "Created"))
	expires, ok2 := value(child(e, nsUtility, "Expires"))
	if !ok1 || !ok2 || len(created) > maxTime || len(expires) > maxTime || len(e.ChildElements()) != 2 {
		return from, until, shape("Created and Expires do not stand once each")
	}
	from, err1 := time.Parse(time.RFC3339Nano, created)
	until, err2 := time.Parse(time.RFC3339Nano, expires)
	if err1 != nil || err2 != nil || !from.Before(until) {
		return time.Time{}, time.Time{}, shape("Created and Expires are not times, one after the other")
	}
	return from.UTC(), until.UTC(), nil
}

const maxTime = len("2006-01-02T15:04:05.999999999+00:00")
