package entrawire

import "github.com/lockstep-sso/lockstep/pkg/secret"

const shapePRTAnswer = "PRT answer"

// PRTAnswer answers a request for a PRT, in the clear (MS-OAPXBC 3.2.5.1.2; first
// sign-in, step E), or a renewal, encrypted (renewal, step F). Durations are JSON
// strings on the wire, but for refresh_token_expires_in.
type PRTAnswer struct {
	// TokenType is Bearer, or pop as the specification has it.
	TokenType string
	// ExpiresIn and ExtExpiresIn are seconds.
	ExpiresIn, ExtExpiresIn int64
	// ExpiresOn is seconds since 1970.
	ExpiresOn int64
	// RefreshToken is the PRT.
	RefreshToken secret.Text
	// RefreshTokenExpiresIn is the lifetime of the PRT in seconds.
	RefreshTokenExpiresIn int64
	// SessionKeyJWE is the session key wrapped for the transport key; empty when
	// the existing session key stays.
	SessionKeyJWE string
	// IDToken is an unsigned JWT with the claims of IDToken.
	IDToken secret.Text
	// ClientInfo is from EncodeClientInfo.
	ClientInfo string
}

func (a *PRTAnswer) members() []member {
	return []member{
		{name: "token_type", value: &a.TokenType},
		{name: "expires_in", value: &a.ExpiresIn, how: quoted | always},
		{name: "ext_expires_in", value: &a.ExtExpiresIn, how: quoted | always},
		{name: "expires_on", value: &a.ExpiresOn, how: quoted | always},
		{name: "refresh_token", value: &a.RefreshToken},
		{name: "refresh_token_expires_in", value: &a.RefreshTokenExpiresIn, how: always},
		{name: "session_key_jwe", value: &a.SessionKeyJWE},
		{name: "id_token", value: &a.IDToken},
		{name: "client_info", value: &a.ClientInfo},
	}
}

// Encode writes the answer, secrets included.
func (a PRTAnswer) Encode() ([]byte, error) { return encode(shapePRTAnswer, a.members()) }

// UnmarshalJSON reads the answer strictly.
func (a *PRTAnswer) UnmarshalJSON(data []byte) error { return decodeAs(shapePRTAnswer, data, a) }

func (a *PRTAnswer) adopt(plain []byte) error {
	var fresh PRTAnswer
	if err := fresh.UnmarshalJSON(plain); err != nil {
		return err
	}
	if err := fresh.Validate(); err != nil {
		return err
	}
	*a = fresh
	return nil
}

// isTokenType takes what Entra sends and what the specification says.
func isTokenType(s string) bool { return s == TokenType || s == "pop" }

// Validate checks the form. Only an answer to a first request must have a
// session_key_jwe, so that is the caller's to judge.
func (a PRTAnswer) Validate() error {
	c := checker{shape: shapePRTAnswer}
	c.require(isTokenType(a.TokenType), "token_type", "is neither Bearer nor pop")
	c.opaque("refresh_token", a.RefreshToken)
	c.require(a.RefreshTokenExpiresIn > 0, "refresh_token_expires_in", "is missing or zero")
	c.require(!a.IDToken.Empty(), "id_token", "is missing")
	return c.err
}
