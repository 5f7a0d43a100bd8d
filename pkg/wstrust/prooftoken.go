package wstrust

import (
	"encoding/base64"
	"strconv"
	"time"

	"github.com/beevik/etree"
)

// nsProof is ours: AD FS has an XML signature in its place.
const nsProof = "urn:lockstep:wstrust:certificate-proof:1"

// Types of a certificate in a message (WSS X.509 token profile 1.1, section 3.1).
const (
	certificateType = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3"
	base64Type      = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary"
)

// maxUnix is the end of the year 9999.
const maxUnix = 253402300799

// Binary is what the template writes of bytes.
func (Request) Binary(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func (r *Request) readProof(chain []*etree.Element, proof *etree.Element) error {
	if len(chain) == 0 || proof == nil {
		return shape("certificates and CertificateProof go together")
	}
	p := CertificateProof{}
	for _, e := range chain {
		der, ok := binary(e)
		if !ok || attr(e, "ValueType") != certificateType || attr(e, "EncodingType") != base64Type {
			return shape("BinarySecurityToken is not an X.509 certificate in base64")
		}
		p.Chain = append(p.Chain, der)
	}
	name, ok1 := value(child(proof, nsProof, "UserPrincipalName"))
	created, ok2 := value(child(proof, nsProof, "CreatedAt"))
	signature, ok3 := binary(child(proof, nsProof, "Signature"))
	seconds, err := strconv.ParseInt(created, 10, 64)
	if !ok1 || !ok2 || !ok3 || name == "" || err != nil || seconds < 0 || seconds > maxUnix || len(proof.ChildElements()) != 3 || !blank(proof) {
		return shape("CertificateProof has not one UserPrincipalName, CreatedAt and Signature each")
	}
	p.Created, p.Signature = time.Unix(seconds, 0).UTC(), signature
	r.Username, r.Certificate = name, &p
	return nil
}

func binary(e *etree.Element) ([]byte, bool) {
	text, ok := value(e)
	if !ok {
		return nil, false
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	return raw, err == nil && len(raw) > 0
}
