package jose_test

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

type jwsCase struct{ Name, Key, Token, Result string }

// TestA33_JWSCases runs tokens that were made outside of this program through
// the check that the key calls for.
func TestA33_JWSCases(t *testing.T) {
	hmacKey, rsaKey, cases := loadCases(t)
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			tok, err := jose.Parse(c.Token)
			if err == nil {
				switch c.Key {
				case "hmac":
					err = tok.VerifyHS256(hmacKey)
				case "rsa":
					err = tok.VerifyRS256(rsaKey)
				default:
					t.Fatalf("no key %q", c.Key)
				}
			}
			want, ok := map[string]error{
				"valid": nil, "signature": jose.ErrSignature, "malformed": jose.ErrMalformed, "algorithm": jose.ErrAlgorithm,
			}[c.Result]
			if !ok {
				t.Fatalf("no result %q", c.Result)
			}
			if !errors.Is(err, want) {
				t.Fatalf("got %v, want %v", err, want)
			}
		})
	}
}

func loadCases(t testing.TB) (secret.Bytes, *rsa.PublicKey, []jwsCase) {
	t.Helper()
	raw, err := os.ReadFile("testdata/jws_cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var f struct {
		HMACKeyHex string `json:"hmac_key_hex"`
		RSASPKIB64 string `json:"rsa_spki_b64"`
		Cases      []jwsCase
	}
	if err := json.Unmarshal(raw, &f); err != nil {
		t.Fatal(err)
	}
	key, err := hex.DecodeString(f.HMACKeyHex)
	if err != nil {
		t.Fatal(err)
	}
	der, err := base64.StdEncoding.DecodeString(f.RSASPKIB64)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		t.Fatal(err)
	}
	rsaPub, ok := pub.(*rsa.PublicKey)
	if !ok || len(f.Cases) < 50 {
		t.Fatalf("case file is not whole: %T, %d cases", pub, len(f.Cases))
	}
	return secret.NewBytes(key), rsaPub, f.Cases
}
