package wstrust

import (
	"bytes"
	"time"

	"github.com/beevik/etree"

	"github.com/lockstep-sso/lockstep/pkg/secret"
)

// Response is a RequestSecurityTokenResponse: 1.3 has it in a Collection, 2005
// has it bare (WS-Trust 1.3 section 4.4.1).
type Response struct {
	Version Version
	// RelatesTo is the MessageID of the request, "" when it had none.
	RelatesTo string
	// Created and Expires are the token's lifetime; zero in an answer without one.
	Created, Expires time.Time
	// AppliesTo is who the token is for; "" in an answer that does not say.
	AppliesTo string
	// TokenType is one of the Token... names.
	TokenType string
	// Assertion is the token, byte for byte: an XML document in itself, without a
	// declaration. Nobody has looked at its signature.
	Assertion secret.Text
}

// Encode writes the answer in its SOAP envelope.
func (r Response) Encode() (secret.Text, error) { return r.encode(false) }

// EncodeAlone writes the RequestSecurityTokenResponse alone: the wresult of
// WS-Federation (1.2 section 13.2.4), where 2005 is the version in use.
func (r Response) EncodeAlone() (secret.Text, error) { return r.encode(true) }

func (r Response) encode(alone bool) (secret.Text, error) {
	w, ok := r.Version.words()
	switch {
	case !ok:
		return secret.Text{}, shape("Version is not known")
	case r.AppliesTo == "" || r.TokenType == "":
		return secret.Text{}, shape("AppliesTo and TokenType are both needed")
	case !r.Created.Before(r.Expires):
		return secret.Text{}, shape("Expires is not after Created")
	}
	// The assertion is written as it is, so it must be one element whole.
	if err := standsAlone([]byte(r.Assertion.Reveal())); err != nil {
		return secret.Text{}, err
	}
	prefix := "trust"
	if r.Version == Trust2005 {
		prefix = "t"
	}
	xml, err := render("token.xml", struct {
		Response
		P, Trust, AnswerAction, KeyType, RequestType string
		Alone, Bare                                  bool
	}{r, prefix, w.namespace, w.answerAction, w.keyType, w.requestType, alone, alone || r.Version == Trust2005})
	return secret.NewText(string(xml)), err
}

// ReadAnswer reads what a provider answered to a request: a Response, or as
// error a *Fault when it is one, or what is wrong with the message.
func ReadAnswer(raw []byte) (Response, error) {
	doc, err := parse(raw, messageLimits())
	if err != nil {
		return Response{}, err
	}
	header, content, err := envelope(doc.root)
	if err != nil {
		return Response{}, err
	}
	if is(content, nsSOAP, "Fault") {
		return Response{}, readFault(content)
	}
	v, ok := versionOf(content.NamespaceURI())
	if !ok {
		return Response{}, shape("the Body holds no answer of WS-Trust 1.3 or 2005")
	}
	r := Response{Version: v}
	r.RelatesTo, _ = value(child(header, nsAddress, "RelatesTo"))
	rstr := content
	if v == Trust13 {
		inside := content.ChildElements()
		if content.Tag != "RequestSecurityTokenResponseCollection" || len(inside) != 1 || !blank(content) {
			return Response{}, shape("the answer is not a Collection of one token")
		}
		rstr = inside[0]
	}
	w, _ := v.words()
	if !is(rstr, w.namespace, "RequestSecurityTokenResponse") {
		return Response{}, shape("the answer holds no RequestSecurityTokenResponse")
	}
	if err := r.readToken(rstr, w.namespace); err != nil {
		return Response{}, err
	}
	if err := r.take(doc, rstr, w.namespace); err != nil {
		return Response{}, err
	}
	return r, nil
}

func (r *Response) readToken(rstr *etree.Element, namespace string) (err error) {
	seen := map[string]bool{}
	for _, e := range rstr.ChildElements() {
		trust, ok := e.NamespaceURI() == namespace, true
		switch {
		case trust && e.Tag == "Lifetime":
			r.Created, r.Expires, err = window(e)
		case trust && e.Tag == "TokenType":
			r.TokenType, ok = value(e)
		case is(e, nsPolicy, "AppliesTo"):
			r.AppliesTo, ok = address(e)
		case trust && !harmless(e.Tag):
			// A proof key, entropy: the token would not be one for its bearer.
			return notUnderstood("RequestSecurityTokenResponse has a part that a bearer token has not")
		case !trust:
			continue // an extension of somebody's
		}
		if err != nil || !ok || seen[e.Tag] {
			return shape("an element of RequestSecurityTokenResponse stands twice or has not the form it should have")
		}
		seen[e.Tag] = true
	}
	if !seen["RequestedSecurityToken"] || r.TokenType == "" {
		return shape("RequestedSecurityToken or TokenType is missing")
	}
	return nil
}

// harmless are the parts that say nothing which a bearer of the token needs.
func harmless(tag string) bool {
	switch tag {
	case "RequestedSecurityToken", "RequestType", "KeyType",
		"RequestedAttachedReference", "RequestedUnattachedReference", "RequestedTokenReference":
		return true
	}
	return false
}

// take cuts the assertion out of the bytes as they came.
func (r *Response) take(doc document, rstr *etree.Element, namespace string) error {
	holder := child(rstr, namespace, "RequestedSecurityToken")
	if len(doc.tokens) != 1 || !blank(holder) {
		return shape("RequestedSecurityToken has not exactly one element")
	}
	raw := doc.raw[doc.tokens[0].from:doc.tokens[0].to]
	if err := standsAlone(raw); err != nil {
		return err
	}
	r.Assertion = secret.NewText(string(raw))
	return nil
}

// standsAlone refuses an assertion that is none, or that leans on namespaces
// which are declared around it: cut out, it would mean something else.
func standsAlone(raw []byte) error {
	doc, err := parse(raw, messageLimits())
	if err != nil {
		return err
	}
	ns := doc.root.NamespaceURI()
	if doc.root.Tag != "Assertion" || ns != nsSAML11 && ns != nsSAML20 || !bytes.HasPrefix(raw, []byte("<"+doc.root.FullTag())) {
		return shape("the token is not a SAML assertion")
	}
	if !declared(doc.root) {
		return shape("the assertion has a prefix that it does not declare itself")
	}
	return nil
}

func declared(e *etree.Element) bool {
	if e.Space != "" && e.NamespaceURI() == "" {
		return false
	}
	for _, a := range e.Attr {
		if a.Space != "" && a.Space != "xmlns" && a.Space != "xml" && a.NamespaceURI() == "" {
			return false
		}
	}
	for _, c := range e.ChildElements() {
		if !declared(c) {
			return false
		}
	}
	return true
}
