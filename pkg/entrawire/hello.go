package entrawire

import (
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"

	"github.com/lockstep-sso/lockstep/pkg/jose"
)

const (
	shapeHello = "Hello assertion"
	// HelloUse is the header member use of a Hello assertion.
	HelloUse = "ngc"
)

// ErrHelloKey says that a Hello assertion does not name the key it is checked with.
var ErrHelloKey = errors.New("Hello assertion does not name this key")

// HelloAssertion is the claim set of a Windows Hello assertion, signed with the
// user's Hello key and carried in PRTRequest.Assertion (MS-OAPXBC 3.1.5.1.2).
type HelloAssertion struct {
	// Iss is the user principal name: it alone says who signs in.
	Iss string
	// Aud is "common" or a tenant id; clients differ, so nothing depends on it.
	Aud string
	// Iat and Exp are seconds since 1970.
	Iat, Exp int64
	// Scope is ScopePRT.
	Scope string
	// RequestNonce of the identity provider, which need not be that of the request.
	RequestNonce string
}

func (a *HelloAssertion) members() []member {
	return []member{
		{name: "iss", value: &a.Iss},
		{name: "aud", value: &a.Aud},
		{name: "iat", value: &a.Iat},
		{name: "exp", value: &a.Exp},
		{name: "scope", value: &a.Scope},
		{name: "request_nonce", value: &a.RequestNonce},
	}
}

// Encode writes the claim set.
func (a HelloAssertion) Encode() ([]byte, error) { return encode(shapeHello, a.members()) }

// MarshalJSON is Encode.
func (a HelloAssertion) MarshalJSON() ([]byte, error) { return a.Encode() }

// UnmarshalJSON reads the claim set strictly; jose.Token.Claims calls it.
func (a *HelloAssertion) UnmarshalJSON(data []byte) error { return decodeAs(shapeHello, data, a) }

// Validate checks the form. How long an assertion may be good for, and which
// nonces, is the caller's to judge; but it must say.
func (a HelloAssertion) Validate() error {
	c := checker{shape: shapeHello}
	c.require(a.Iss != "", "iss", "is missing")
	c.short("iss", a.Iss)
	c.short("aud", a.Aud)
	c.require(a.Iat > 0, "iat", "is missing")
	c.require(a.Exp > a.Iat, "exp", "is not after iat")
	c.short("scope", a.Scope)
	c.short("request_nonce", a.RequestNonce)
	return c.err
}

// HelloKeyID is the kid of a Hello key: base64 of the SHA-256 of its RSA1 blob.
func HelloKeyID(pub *rsa.PublicKey) (string, error) {
	blob, err := MarshalRSA1(pub)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(blob)
	return base64.StdEncoding.EncodeToString(sum[:]), nil
}

// VerifyHello checks the signature of a Hello assertion by the user's key: RS256,
// with use "ngc" and the key's own kid in the header, so that no other token that
// the key may have signed passes for an assertion.
func VerifyHello(t *jose.Token, pub *rsa.PublicKey) error {
	if t.Header.Alg != jose.RS256 {
		return jose.ErrAlgorithm
	}
	kid, err := HelloKeyID(pub)
	if err != nil {
		return err
	}
	if t.Header.Use != HelloUse || t.Header.Kid != kid {
		return ErrHelloKey
	}
	return t.VerifyRS256(pub)
}
