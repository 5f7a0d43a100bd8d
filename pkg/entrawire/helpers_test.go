package entrawire

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/kdf"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

// load reads a JSON file of testdata whose members are strings.
func load(t testing.TB, name string) map[string]string {
	t.Helper()
	raw, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]string
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil || len(b) == 0 {
		t.Fatalf("bad vector %q: %v", s, err)
	}
	return b
}

// capturedTransportKey is the transport key of the captured exchange.
func capturedTransportKey(t testing.TB, captured map[string]string) *rsa.PrivateKey {
	t.Helper()
	der, err := base64.StdEncoding.DecodeString(captured["transport_key_pkcs1_der_b64"])
	if err != nil {
		t.Fatal(err)
	}
	k, err := x509.ParsePKCS1PrivateKey(der)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newSessionKey() secret.Bytes {
	b := make([]byte, kdf.KeySize)
	_, _ = rand.Read(b)
	return secret.NewBytes(b)
}

func fixedKey() secret.Bytes { return secret.NewBytes(bytes.Repeat([]byte{0x42}, kdf.KeySize)) }

func newRSA(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

const (
	someTenant = "68355c6e-0a63-442d-a2ec-71cc6bb3e24b"
	someUser   = "90d675df-bfa8-4d78-8f8f-7b1043181bb6"
	someDevice = "0b1d3c5e-7f90-4a2b-8c4d-6e8f0a1b2c3d"
)

func somePRTAnswer() PRTAnswer {
	return PRTAnswer{
		TokenType: TokenType, ExpiresIn: 1209599, ExpiresOn: 1708017084, RefreshToken: secret.NewText("0.AbcA.prt-body_1"),
		RefreshTokenExpiresIn: 1209599, IDToken: secret.NewText("eyJhbGciOiJub25lIn0.e30."), ClientInfo: EncodeClientInfo(someUser, someTenant),
	}
}
