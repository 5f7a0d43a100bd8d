package entrawire

import (
	"encoding/base64"

	"github.com/lockstep-sso/lockstep/pkg/secret"
)

const shapePRTRequest = "PRT request"

// PRTRequest is the claim set of a request for a PRT, signed with the device key
// (MS-OAPXBC 3.1.5.1.2; first sign-in, step D).
type PRTRequest struct {
	// ClientID is SignInClientID, or BrokerClientID with a broker refresh token.
	ClientID string
	// RequestNonce of the identity provider.
	RequestNonce string
	// Scope is ScopePRT.
	Scope string
	// WinVer is free text.
	WinVer string
	// GrantType says which credential follows.
	GrantType string
	// Username is the user principal name.
	Username string
	// Password goes with GrantPassword.
	Password secret.Text
	// Assertion goes with the SAML grants (base64 of the XML) and GrantHello.
	Assertion secret.Text
	// RefreshToken of the broker client goes with GrantRefreshToken.
	RefreshToken secret.Text
	// JWECrypto is of version 4 of the protocol.
	JWECrypto JWECrypto
}

func (r *PRTRequest) members() []member {
	return []member{
		{name: "client_id", value: &r.ClientID},
		{name: "request_nonce", value: &r.RequestNonce},
		{name: "scope", value: &r.Scope},
		{name: "win_ver", value: &r.WinVer},
		{name: "grant_type", value: &r.GrantType},
		{name: "username", value: &r.Username},
		{name: "password", value: &r.Password},
		{name: "assertion", value: &r.Assertion},
		{name: "refresh_token", value: &r.RefreshToken},
		{name: "jwe_crypto", value: &r.JWECrypto},
	}
}

// Encode writes the claim set, secrets included.
func (r PRTRequest) Encode() ([]byte, error) { return encode(shapePRTRequest, r.members()) }

// UnmarshalJSON reads the claim set strictly; jose.Token.Claims calls it.
func (r *PRTRequest) UnmarshalJSON(data []byte) error { return decodeAs(shapePRTRequest, data, r) }

// Validate checks the form: what the grant type needs is there and nothing that
// contradicts it. A missing nonce is left to the nonce check, which has one
// answer for every nonce it does not take.
func (r PRTRequest) Validate() error {
	c := checker{shape: shapePRTRequest}
	c.client("client_id", r.ClientID)
	c.short("request_nonce", r.RequestNonce)
	c.short("scope", r.Scope)
	c.require(HasScope(r.Scope, scopeOpenID) && HasScope(r.Scope, scopeAZA), "scope", "does not have openid and aza")
	c.short("win_ver", r.WinVer)
	c.short("username", r.Username)
	password, assertion, token := !r.Password.Empty(), !r.Assertion.Empty(), !r.RefreshToken.Empty()
	switch r.GrantType {
	case GrantPassword:
		c.require(r.Username != "", "username", "is missing: grant type password needs it")
		c.require(password, "password", "is missing: grant type password needs it")
		password = false
	case GrantSAML1, GrantSAML2, GrantHello:
		c.require(assertion, "assertion", "is missing: the grant type needs it")
		assertion = false
	case GrantRefreshToken:
		c.require(token, "refresh_token", "is missing: the grant type needs it")
		token = false
	default:
		c.fail("grant_type", "is not one that gives a PRT")
	}
	c.require(!password, "password", "does not go with the grant type")
	c.require(!assertion, "assertion", "does not go with the grant type")
	c.require(!token, "refresh_token", "does not go with the grant type")
	return c.err
}

// EncodeSAML makes the assertion claim of a SAML assertion's XML.
func EncodeSAML(xml string) secret.Text {
	return secret.NewText(base64.StdEncoding.EncodeToString([]byte(xml)))
}

// DecodeSAML reads the XML of a SAML assertion out of the assertion claim, of
// PRTRequest or SessionRequest.
func DecodeSAML(assertion secret.Text) ([]byte, error) {
	xml, err := base64.StdEncoding.Strict().DecodeString(assertion.Reveal())
	if err != nil || len(xml) == 0 {
		return nil, &FieldError{shapePRTRequest, "assertion", "is not base64"}
	}
	return xml, nil
}
