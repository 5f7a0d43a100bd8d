package entrawire

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
)

const shapeKeyReplacement = "key replacement"

// GrantKeyReplacement is ours: the protocol has no way to change the keys of a
// device but to register it anew. It is a value of its own, so that neither a
// sign-in header nor a removal doubles as a replacement.
const GrantKeyReplacement = "urn:lockstep:device-key-replacement"

// KeyReplacement is the claim set with which a device has new keys put in the place
// of its own, signed with the old device key. It names the new keys by thumbprint,
// so that nobody on the way can put others there; that the device holds the new
// device key is for the certificate request beside it to prove.
type KeyReplacement struct {
	// GrantType is GrantKeyReplacement.
	GrantType string
	// Iss is BrokerIssuer.
	Iss string
	// RequestNonce of the identity provider.
	RequestNonce string
	// WinVer is free text.
	WinVer string
	// DK is KeyThumbprint of the new device key, a DER SubjectPublicKeyInfo.
	DK string
	// TK is KeyThumbprint of the new transport key, an RSA1 blob.
	TK string
}

func (k *KeyReplacement) members() []member {
	return []member{
		{name: "grant_type", value: &k.GrantType},
		{name: "iss", value: &k.Iss},
		{name: "request_nonce", value: &k.RequestNonce},
		{name: "win_ver", value: &k.WinVer},
		{name: "dk", value: &k.DK},
		{name: "tk", value: &k.TK},
	}
}

// Encode writes the claim set.
func (k KeyReplacement) Encode() ([]byte, error) { return encode(shapeKeyReplacement, k.members()) }

// MarshalJSON is Encode.
func (k KeyReplacement) MarshalJSON() ([]byte, error) { return k.Encode() }

// UnmarshalJSON reads the claim set strictly; jose.Token.Claims calls it.
func (k *KeyReplacement) UnmarshalJSON(data []byte) error {
	return decodeAs(shapeKeyReplacement, data, k)
}

// Validate checks the form. The nonce is the caller's to judge, and so is whether
// the thumbprints are those of the keys at hand (Names).
func (k KeyReplacement) Validate() error {
	c := checker{shape: shapeKeyReplacement}
	c.require(k.GrantType == GrantKeyReplacement, "grant_type", "is not the one for the replacement of keys")
	c.require(k.Iss == BrokerIssuer, "iss", "is not aad:brokerplugin")
	c.short("request_nonce", k.RequestNonce)
	c.short("win_ver", k.WinVer)
	c.thumbprint("dk", k.DK)
	c.thumbprint("tk", k.TK)
	return c.err
}

// Names reports whether the claims are about these keys: a DER SubjectPublicKeyInfo
// and an RSA1 blob.
func (k KeyReplacement) Names(device, transport []byte) bool {
	dk := subtle.ConstantTimeCompare([]byte(k.DK), []byte(KeyThumbprint(device)))
	tk := subtle.ConstantTimeCompare([]byte(k.TK), []byte(KeyThumbprint(transport)))
	return dk&tk == 1
}

// KeyThumbprint is base64url without padding of the SHA-256 of an encoded public
// key, 43 characters.
func KeyThumbprint(key []byte) string {
	sum := sha256.Sum256(key)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func (c *checker) thumbprint(field, s string) {
	c.require(s != "", field, "is missing")
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
	c.require(err == nil && len(raw) == sha256.Size, field, "is not a SHA-256 in base64url")
}
