package entrawire

import "github.com/lockstep-sso/lockstep/pkg/secret"

const shapeTokenAnswer = "token answer"

// TokenAnswer answers an app-token request, encrypted (app token, steps B and C).
// Durations are JSON strings on the wire, but for those of refresh tokens.
type TokenAnswer struct {
	// TokenType is Bearer, or pop as the specification has it.
	TokenType string
	// Scope is the granted scopes, separated by spaces.
	Scope string
	// ExpiresIn and ExtExpiresIn are seconds.
	ExpiresIn, ExtExpiresIn int64
	// ExpiresOn is seconds since 1970.
	ExpiresOn int64
	// Resource the access token is for.
	Resource string
	// AccessToken is empty when no resource was asked for.
	AccessToken secret.Text
	// RefreshToken of the application.
	RefreshToken secret.Text
	// RefreshTokenExpiresIn is its lifetime in seconds, or 0 when not told.
	RefreshTokenExpiresIn int64
	// IDToken of the user.
	IDToken secret.Text
	// ClientInfo is from EncodeClientInfo.
	ClientInfo string
	// Foci is "1" for a client of the family, and else empty.
	Foci string
	// PRT is a new PRT, when scope aza asked for one and one was due. Public
	// clients never show both tokens in one answer, so the names are ours.
	PRT secret.Text
	// PRTExpiresIn is the lifetime of the new PRT in seconds.
	PRTExpiresIn int64
}

func (a *TokenAnswer) members() []member {
	return []member{
		{name: "token_type", value: &a.TokenType},
		{name: "scope", value: &a.Scope},
		{name: "expires_in", value: &a.ExpiresIn, how: quoted | always},
		{name: "ext_expires_in", value: &a.ExtExpiresIn, how: quoted | always},
		{name: "expires_on", value: &a.ExpiresOn, how: quoted | always},
		{name: "resource", value: &a.Resource},
		{name: "access_token", value: &a.AccessToken},
		{name: "refresh_token", value: &a.RefreshToken},
		{name: "refresh_token_expires_in", value: &a.RefreshTokenExpiresIn},
		{name: "id_token", value: &a.IDToken},
		{name: "client_info", value: &a.ClientInfo},
		{name: "foci", value: &a.Foci},
		{name: "primary_refresh_token", value: &a.PRT},
		{name: "primary_refresh_token_expires_in", value: &a.PRTExpiresIn},
	}
}

// Encode writes the answer, secrets included.
func (a TokenAnswer) Encode() ([]byte, error) { return encode(shapeTokenAnswer, a.members()) }

// UnmarshalJSON reads the answer strictly.
func (a *TokenAnswer) UnmarshalJSON(data []byte) error { return decodeAs(shapeTokenAnswer, data, a) }

func (a *TokenAnswer) adopt(plain []byte) error {
	var fresh TokenAnswer
	if err := fresh.UnmarshalJSON(plain); err != nil {
		return err
	}
	if err := fresh.Validate(); err != nil {
		return err
	}
	*a = fresh
	return nil
}

// Validate checks the form.
func (a TokenAnswer) Validate() error {
	c := checker{shape: shapeTokenAnswer}
	c.require(isTokenType(a.TokenType), "token_type", "is neither Bearer nor pop")
	c.opaque("refresh_token", a.RefreshToken)
	c.require(!a.AccessToken.Empty() || !a.IDToken.Empty(), "access_token", "is missing, and so is id_token")
	c.require(a.AccessToken.Empty() || a.ExpiresIn > 0, "expires_in", "is missing or zero")
	c.require(a.PRT.Empty() == (a.PRTExpiresIn == 0), "primary_refresh_token_expires_in", "does not go with primary_refresh_token")
	if !a.PRT.Empty() {
		c.opaque("primary_refresh_token", a.PRT)
	}
	return c.err
}
