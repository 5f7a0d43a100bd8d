package entrawire

import (
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

// The shapes with which a device obtains the key that the identity provider keeps for
// one user on it. They are ours: that there is such a key, and that it comes under the
// session key, is told of Windows; how it looks on the wire is not.

const (
	shapeDataKeyRequest = "data key request"
	shapeDataKeyAnswer  = "data key answer"
)

// DataKeySize is the size of the provider's key, in bytes.
const DataKeySize = 32

// DataKeyRequest is the claim set of a request for that key, signed with the session
// key as an app-token request is (MS-OAPXBC 3.1.5.1.3).
type DataKeyRequest struct {
	// ClientID is the sign-in client or the broker: whoever PRTs are issued to.
	ClientID string
	// GrantType is GrantDataKey.
	GrantType string
	// RefreshToken is the PRT.
	RefreshToken secret.Text
	// Iss is BrokerIssuer.
	Iss string
	// Aud is SessionAudience or empty.
	Aud string
	// RequestNonce of the identity provider.
	RequestNonce string
	// Iat and Exp are seconds since 1970, or 0; strings on the wire.
	Iat, Exp int64
	// WinVer is free text.
	WinVer string
}

func (r *DataKeyRequest) members() []member {
	return []member{
		{name: "client_id", value: &r.ClientID},
		{name: "grant_type", value: &r.GrantType},
		{name: "refresh_token", value: &r.RefreshToken},
		{name: "iss", value: &r.Iss},
		{name: "aud", value: &r.Aud},
		{name: "request_nonce", value: &r.RequestNonce},
		{name: "iat", value: &r.Iat, how: quoted},
		{name: "exp", value: &r.Exp, how: quoted},
		{name: "win_ver", value: &r.WinVer},
	}
}

// Encode writes the claim set, the PRT included.
func (r DataKeyRequest) Encode() ([]byte, error) { return encode(shapeDataKeyRequest, r.members()) }

// UnmarshalJSON reads the claim set strictly; jose.Token.Claims calls it.
func (r *DataKeyRequest) UnmarshalJSON(data []byte) error {
	return decodeAs(shapeDataKeyRequest, data, r)
}

// Validate checks the form. Nonce and times are the caller's to judge.
func (r DataKeyRequest) Validate() error {
	c := checker{shape: shapeDataKeyRequest}
	c.client("client_id", r.ClientID)
	c.require(r.GrantType == GrantDataKey, "grant_type", "is not that of a data key request")
	c.require(!r.RefreshToken.Empty(), "refresh_token", "is missing")
	c.require(r.Iss == BrokerIssuer, "iss", "is not aad:brokerplugin")
	c.require(r.Aud == "" || r.Aud == SessionAudience, "aud", "is not this identity provider")
	c.short("request_nonce", r.RequestNonce)
	c.require(r.Iat == 0 || r.Exp == 0 || r.Exp > r.Iat, "exp", "is not after iat")
	c.short("win_ver", r.WinVer)
	return c.err
}

// DataKeyAnswer answers it, encrypted under the session key.
type DataKeyAnswer struct {
	// DataProtectionKey is the key, 32 bytes in base64url without padding.
	DataProtectionKey secret.Text
	// KeyID tells the key from one that came in its place, a GUID.
	KeyID string
}

func (a *DataKeyAnswer) members() []member {
	return []member{
		{name: "data_protection_key", value: &a.DataProtectionKey},
		{name: "key_id", value: &a.KeyID},
	}
}

// NewDataKeyAnswer is the answer with a key of 32 bytes.
func NewDataKeyAnswer(keyID string, key secret.Bytes) DataKeyAnswer {
	return DataKeyAnswer{DataProtectionKey: secret.NewText(jose.EncodeSegment(key.Reveal())), KeyID: keyID}
}

// Key is the key itself, 32 bytes; the caller wipes it.
func (a DataKeyAnswer) Key() (secret.Bytes, error) {
	b, err := jose.DecodeSegment(a.DataProtectionKey.Reveal())
	if err != nil || len(b) != DataKeySize {
		clear(b)
		return secret.Bytes{}, &FieldError{shapeDataKeyAnswer, "data_protection_key", "is not 32 bytes in base64url"}
	}
	return secret.NewBytes(b), nil
}

// Encode writes the answer, the key included.
func (a DataKeyAnswer) Encode() ([]byte, error) { return encode(shapeDataKeyAnswer, a.members()) }

// UnmarshalJSON reads the answer strictly.
func (a *DataKeyAnswer) UnmarshalJSON(data []byte) error {
	return decodeAs(shapeDataKeyAnswer, data, a)
}

func (a *DataKeyAnswer) adopt(plain []byte) error {
	var fresh DataKeyAnswer
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
func (a DataKeyAnswer) Validate() error {
	c := checker{shape: shapeDataKeyAnswer}
	key, err := a.Key()
	key.Wipe()
	c.require(err == nil, "data_protection_key", "is not 32 bytes in base64url")
	c.client("key_id", a.KeyID)
	return c.err
}
