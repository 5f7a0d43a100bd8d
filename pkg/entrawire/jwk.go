package entrawire

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"math/big"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/jose"
)

const (
	// maxJWK bounds a JSON Web Key, in bytes.
	maxJWK = 4 << 10
	// coordinateSize is the size of a coordinate on P-256, in bytes.
	coordinateSize = 32
)

// ErrJWK says that a JSON Web Key is not a public key of the two kinds that are
// transport keys.
var ErrJWK = errors.New("not a public JSON Web Key that is RSA-2048 with exponent 65537, or on the curve P-256")

// PublicKeys is one public key: RSA or EC, the other is nil.
type PublicKeys struct {
	RSA *rsa.PublicKey
	EC  *ecdh.PublicKey
}

// ParseJWK reads a transport key as macOS and Android register it: RSA, or P-256
// in version 4 of the protocol. Numbers are base64 in any of its forms, and may
// lack leading zeros, because clients differ. One with a private part is refused.
func ParseJWK(data []byte) (PublicKeys, error) {
	var m map[string]json.RawMessage
	if len(data) > maxJWK || jose.DecodeObject(data, &m) != nil {
		return PublicKeys{}, ErrJWK
	}
	if _, private := m["d"]; private {
		return PublicKeys{}, ErrJWK
	}
	text := func(name string) string {
		s, _ := jose.Text(m[name])
		return s
	}
	switch text("kty") {
	case "RSA":
		n, e := number(text("n")), number(text("e"))
		pub := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: rsaExponent}
		if new(big.Int).SetBytes(e).Cmp(big.NewInt(rsaExponent)) != 0 || checkRSA2048(pub) != nil {
			return PublicKeys{}, ErrJWK
		}
		return PublicKeys{RSA: pub}, nil
	case "EC":
		if text("crv") != "P-256" {
			return PublicKeys{}, ErrJWK
		}
		pub, err := point(number(text("x")), number(text("y")))
		return PublicKeys{EC: pub}, err
	}
	return PublicKeys{}, ErrJWK
}

// MarshalECJWK writes a key on P-256 as a JSON Web Key, RFC 7517.
func MarshalECJWK(pub *ecdh.PublicKey) ([]byte, error) {
	raw := pub.Bytes()
	if pub.Curve() != ecdh.P256() || len(raw) != 1+2*coordinateSize {
		return nil, ErrJWK
	}
	x, y := raw[1:1+coordinateSize], raw[1+coordinateSize:]
	return []byte(`{"kty":"EC","crv":"P-256","x":"` + jose.EncodeSegment(x) + `","y":"` + jose.EncodeSegment(y) + `"}`), nil
}

// point refuses what is not on the curve, and infinity.
func point(x, y []byte) (*ecdh.PublicKey, error) {
	x, y = bytes.TrimLeft(x, "\x00"), bytes.TrimLeft(y, "\x00")
	if len(x) > coordinateSize || len(y) > coordinateSize {
		return nil, ErrJWK
	}
	raw := make([]byte, 1+2*coordinateSize)
	raw[0] = 4 // not compressed, SEC 1 2.3.3
	copy(raw[1+coordinateSize-len(x):], x)
	copy(raw[1+2*coordinateSize-len(y):], y)
	pub, err := ecdh.P256().NewPublicKey(raw)
	if err != nil {
		return nil, ErrJWK
	}
	return pub, nil
}

// number reads base64 of either alphabet, padded or not; nil when it is neither.
func number(s string) []byte {
	b, err := jose.DecodeSegment(strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(s, "=")))
	if err != nil {
		return nil
	}
	return b
}
