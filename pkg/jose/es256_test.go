package jose_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

func ecKey(t *testing.T, c elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestES256HasADoorOfItsOwn(t *testing.T) {
	k := ecKey(t, elliptic.P256())
	s, err := jose.SignES256(jose.Header{Typ: "JWT"}, []byte(`{"a":1}`), k)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := jose.Parse(s); !errors.Is(err, jose.ErrAlgorithm) {
		t.Errorf("Parse took ES256: %v", err)
	}
	token, err := jose.ParseES256(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := token.VerifyES256(&k.PublicKey); err != nil {
		t.Error(err)
	}
	if err := token.VerifyES256(&ecKey(t, elliptic.P256()).PublicKey); !errors.Is(err, jose.ErrSignature) {
		t.Errorf("another key: %v", err)
	}
	if err := token.VerifyES256(&ecKey(t, elliptic.P384()).PublicKey); !errors.Is(err, jose.ErrKey) {
		t.Errorf("another curve: %v", err)
	}
	if err := token.VerifyES256(nil); !errors.Is(err, jose.ErrKey) {
		t.Errorf("no key: %v", err)
	}
	hs, err := jose.SignHS256(jose.Header{}, []byte(`{"a":1}`), secret.NewBytes(make([]byte, 32)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := jose.ParseES256(hs); !errors.Is(err, jose.ErrAlgorithm) {
		t.Errorf("the door of ES256 took HS256: %v", err)
	}
	other, err := jose.Parse(hs)
	if err != nil {
		t.Fatal(err)
	}
	if err := other.VerifyES256(&k.PublicKey); !errors.Is(err, jose.ErrAlgorithm) {
		t.Errorf("HS256 verified as ES256: %v", err)
	}
	if _, err := jose.SignES256(jose.Header{}, []byte(`{}`), ecKey(t, elliptic.P384())); !errors.Is(err, jose.ErrKey) {
		t.Errorf("another curve signs: %v", err)
	}
}

// TestES256SecondSignature makes the twin of a signature: it verifies, and a
// replay cache must know it for the same token.
func TestES256SecondSignature(t *testing.T) {
	k := ecKey(t, elliptic.P256())
	one, err := jose.SignES256(jose.Header{Typ: "JWT"}, []byte(`{"a":1}`), k)
	if err != nil {
		t.Fatal(err)
	}
	at := strings.LastIndex(one, ".") + 1
	sig, err := jose.DecodeSegment(one[at:])
	if err != nil {
		t.Fatal(err)
	}
	s := new(big.Int).SetBytes(sig[32:])
	new(big.Int).Sub(elliptic.P256().Params().N, s).FillBytes(sig[32:])
	two := one[:at] + jose.EncodeSegment(sig)
	a, err := jose.ParseES256(one)
	if err != nil {
		t.Fatal(err)
	}
	b, err := jose.ParseES256(two)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.VerifyES256(&k.PublicKey); err != nil {
		t.Fatalf("the twin does not verify, so this proves nothing: %v", err)
	}
	if a.Digest() != b.Digest() {
		t.Error("the twin passes for another token")
	}
}
