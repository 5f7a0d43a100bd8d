package jose

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"math/big"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/pkg/wycheprooftest"
)

// The vectors sign bytes of their own, where Parse takes a header and a payload
// only. So these tests make the Token that Parse would have made.

type (
	group  = wycheprooftest.Group
	vector = wycheprooftest.Vector
)

func point(t *testing.T, uncompressed []byte) *ecdsa.PublicKey {
	t.Helper()
	k, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), uncompressed)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestWycheproofRS256(t *testing.T) {
	wycheprooftest.Judge(t, "rsa_signature_2048_sha256", func(t *testing.T, g *group, v *vector) error {
		key, err := x509.ParsePKCS1PublicKey(g.PublicKeyASN)
		if err != nil {
			t.Fatal(err)
		}
		token := Token{Header: Header{Alg: RS256}, signingInput: string(v.Msg), signature: v.Sig}
		return token.VerifyRS256(key)
	})
}

func TestWycheproofES256(t *testing.T) {
	wycheprooftest.Judge(t, "ecdsa_secp256r1_sha256_p1363", func(t *testing.T, g *group, v *vector) error {
		token := Token{Header: Header{Alg: ES256}, signingInput: string(v.Msg), signature: v.Sig}
		return token.VerifyES256(point(t, g.PublicKey.Uncompressed))
	})
}

func TestWycheproofHS256(t *testing.T) {
	wycheprooftest.Judge(t, "hmac_sha256", func(_ *testing.T, _ *group, v *vector) error {
		token := Token{Header: Header{Alg: HS256}, signingInput: string(v.Msg), signature: v.Tag}
		return token.VerifyHS256(secret.NewBytes(v.Key))
	},
		wycheprooftest.Deviation{
			If:   func(g *group, _ *vector) bool { return g.KeySize < 8*minHMACKey },
			Does: "refuses keys of less than 256 bits", Why: "RFC 7518 3.2 does, and every key of ours has 256",
		},
		wycheprooftest.Deviation{
			If:   func(g *group, _ *vector) bool { return g.KeySize >= 8*minHMACKey && g.TagSize < 256 },
			Does: "refuses tags that were cut short", Why: "a signature of a token is whole",
		})
}

// jwk is what the vectors' keys have of RFC 7517.
type jwk struct{ KTY, Crv, N, E, X, Y, K string }

// open reads a token as parse does, but for the rule that a payload is a JSON
// object: the vectors' payloads are text.
func open(compact string) (*Token, error) {
	parts, err := Split(compact, 3)
	if err != nil {
		return nil, err
	}
	var decoded [3][]byte
	for i := range parts {
		if decoded[i], err = DecodeSegment(parts[i]); err != nil {
			return nil, err
		}
	}
	h, err := parseHeader(decoded[0])
	if err != nil {
		return nil, err
	}
	return &Token{Header: h, Payload: decoded[1], signingInput: parts[0] + "." + parts[1], signature: decoded[2]}, nil
}

func TestWycheproofJWS(t *testing.T) {
	wycheprooftest.Judge(t, "json_web_signature", func(t *testing.T, g *group, v *vector) error {
		raw := g.Public
		if raw == nil {
			raw = g.Private
		}
		var k jwk
		if err := json.Unmarshal(raw, &k); err != nil {
			t.Fatal(err)
		}
		num := func(s string) []byte {
			b, err := DecodeSegment(s)
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		token, err := open(v.JWS)
		if err != nil {
			return err
		}
		switch {
		case k.KTY == "oct":
			return token.VerifyHS256(secret.NewBytes(num(k.K)))
		case k.KTY == "RSA":
			return token.VerifyRS256(&rsa.PublicKey{N: new(big.Int).SetBytes(num(k.N)), E: int(new(big.Int).SetBytes(num(k.E)).Int64())})
		case k.Crv == "P-256":
			return token.VerifyES256(point(t, append(append([]byte{4}, num(k.X)...), num(k.Y)...)))
		}
		return ErrKey
	}, jwsDeviations()...)
}

func jwsDeviations() []wycheprooftest.Deviation {
	from := func(from, to int) (ids []int) {
		for id := from; id <= to; id++ {
			ids = append(ids, id)
		}
		return ids
	}
	const few = "the protocol has RS256 and HS256, and ES256 in one version (the package comment)"
	return []wycheprooftest.Deviation{
		{IDs: from(264, 271), Does: "refuses RS384 and RS512", Why: few},
		{IDs: append(from(272, 275), 287, 288, 320, 321, 322, 323, 325, 326, 327, 328, 346, 350), Does: "refuses PS256, PS384 and PS512", Why: few},
		{IDs: []int{347, 351}, Does: "refuses ES512", Why: few},
		{
			IDs: []int{332, 353, 354, 355, 356}, Does: "takes a key that its JWK gives to another algorithm, to encryption or to other operations",
			Why: "no JWK brings a key to these checks: the caller names key and algorithm, and a certificate or the directory vouches for the key",
		},
		{
			IDs: []int{367, 370}, Does: "takes them",
			Why: "they are letter by letter the valid vector 357: the wrong padding that their comments name is not in them",
		},
		{
			IDs: []int{372, 373}, Does: "refuses characters outside base64url",
			Why: "RFC 7515 2 and RFC 4648 3.3 want it so, and a token has one spelling here; the vectors pass over the character",
		},
	}
}
