package entrawire

import "github.com/lockstep-sso/lockstep/pkg/secret"

const shapeSessionRequest = "session-signed request"

// SessionRequest is the claim set of a request signed with the session key: a
// renewal of the PRT (renewal, step D) and an app-token request (app token, steps
// B and C) differ only in what they fill in (MS-OAPXBC 3.1.5.1.3).
type SessionRequest struct {
	// ClientID is SignInClientID for a renewal, else the application.
	ClientID string
	// Scope has aza when a new PRT is asked for.
	Scope string
	// Resource the access token is for; empty in a renewal.
	Resource string
	// RefreshToken is the PRT, or the application's own refresh token.
	RefreshToken secret.Text
	// PreviousRefreshToken is the PRT again in some clients' renewals.
	PreviousRefreshToken secret.Text
	// GrantType is GrantRefreshToken.
	GrantType string
	// Iss is BrokerIssuer.
	Iss string
	// Aud is SessionAudience or empty.
	Aud string
	// RedirectURI of the application.
	RedirectURI string
	// RequestNonce of the identity provider.
	RequestNonce string
	// Iat and Exp are seconds since 1970, or 0; strings on the wire.
	Iat, Exp int64
	// WinVer is free text.
	WinVer string
	// Username goes with Password or Assertion in a renewal with the user at the
	// keyboard.
	Username string
	// Password of a managed user.
	Password secret.Text
	// Assertion of a federated user, base64 of the XML.
	Assertion secret.Text
	// Purpose and JWECrypto are of version 4 of the protocol.
	Purpose   string
	JWECrypto JWECrypto
}

func (r *SessionRequest) members() []member {
	return []member{
		{name: "client_id", value: &r.ClientID},
		{name: "scope", value: &r.Scope},
		{name: "resource", value: &r.Resource},
		{name: "refresh_token", value: &r.RefreshToken},
		{name: "previous_refresh_token", value: &r.PreviousRefreshToken},
		{name: "grant_type", value: &r.GrantType},
		{name: "iss", value: &r.Iss},
		{name: "aud", value: &r.Aud},
		{name: "redirect_uri", value: &r.RedirectURI},
		{name: "request_nonce", value: &r.RequestNonce},
		{name: "iat", value: &r.Iat, how: quoted},
		{name: "exp", value: &r.Exp, how: quoted},
		{name: "win_ver", value: &r.WinVer},
		{name: "username", value: &r.Username},
		{name: "password", value: &r.Password},
		{name: "assertion", value: &r.Assertion},
		{name: "purpose", value: &r.Purpose},
		{name: "jwe_crypto", value: &r.JWECrypto},
	}
}

// Encode writes the claim set, secrets included.
func (r SessionRequest) Encode() ([]byte, error) { return encode(shapeSessionRequest, r.members()) }

// UnmarshalJSON reads the claim set strictly; jose.Token.Claims calls it.
func (r *SessionRequest) UnmarshalJSON(data []byte) error {
	return decodeAs(shapeSessionRequest, data, r)
}

// WantsPRT reports whether the scope asks for a new PRT.
func (r SessionRequest) WantsPRT() bool { return HasScope(r.Scope, scopeAZA) }

// HasCredential reports whether the user proves who they are once more.
func (r SessionRequest) HasCredential() bool { return !r.Password.Empty() || !r.Assertion.Empty() }

// Validate checks the form. Nonce, audience and times are the caller's to judge.
func (r SessionRequest) Validate() error {
	c := checker{shape: shapeSessionRequest}
	c.require(HasScope(r.Scope, scopeOpenID), "scope", "does not have openid")
	c.require(r.Iss == BrokerIssuer, "iss", "is not aad:brokerplugin")
	r.checkCommon(&c)
	return c.err
}

// checkCommon is what all versions of the protocol have in common.
func (r SessionRequest) checkCommon(c *checker) {
	c.client("client_id", r.ClientID)
	c.short("scope", r.Scope)
	c.short("resource", r.Resource)
	c.require(!r.RefreshToken.Empty(), "refresh_token", "is missing")
	c.require(r.GrantType == GrantRefreshToken, "grant_type", "is not refresh_token")
	c.short("aud", r.Aud)
	c.short("redirect_uri", r.RedirectURI)
	c.short("request_nonce", r.RequestNonce)
	c.require(r.Iat == 0 || r.Exp == 0 || r.Exp > r.Iat, "exp", "is not after iat")
	c.short("win_ver", r.WinVer)
	c.short("username", r.Username)
	c.require(r.Password.Empty() || r.Username != "", "username", "is missing: a password needs it")
	c.require(r.Password.Empty() || r.Assertion.Empty(), "assertion", "does not go with a password")
}
