package jose_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

const payload = `{"client_id":"38aa3b87-a06d-4817-b275-7a316988d93b","request_nonce":"n0nce"}`

func newKey() secret.Bytes { return secret.NewBytes(bytes.Repeat([]byte{0x5A}, 32)) }

func newRSA(t testing.TB, bits int) *rsa.PrivateKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestRoundTrip(t *testing.T) {
	key, dk := newKey(), newRSA(t, 2048)
	h := jose.Header{Typ: "JWT", Kid: "k<1>", Use: "ngc", Ctx: bytes.Repeat([]byte{0xFB}, 24), KDFVer: 2, X5C: [][]byte{{1, 2, 3}}}
	hs, err := jose.SignHS256(h, []byte(payload), key)
	if err != nil {
		t.Fatal(err)
	}
	rs, err := jose.SignRS256(h, []byte(payload), dk)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, token, alg string
		verify           func(*jose.Token) error
	}{
		{"HS256", hs, jose.HS256, func(k *jose.Token) error { return k.VerifyHS256(key) }},
		{"RS256", rs, jose.RS256, func(k *jose.Token) error { return k.VerifyRS256(&dk.PublicKey) }},
	} {
		tok, err := jose.Parse(c.token)
		if err != nil {
			t.Fatal(c.name, err)
		}
		if err := c.verify(tok); err != nil {
			t.Error(c.name, err)
		}
		want := h
		want.Alg = c.alg
		if fmt.Sprint(tok.Header) != fmt.Sprint(want) {
			t.Errorf("%s: header %+v, want %+v", c.name, tok.Header, want)
		}
		if string(tok.Payload) != payload || tok.Compact() != c.token || !strings.HasPrefix(c.token, tok.SigningInput()+".") {
			t.Errorf("%s: token does not come back as it was", c.name)
		}
		var claims struct {
			Nonce string `json:"request_nonce"`
		}
		if err := tok.Claims(&claims); err != nil || claims.Nonce != "n0nce" {
			t.Errorf("%s: claims %+v, %v", c.name, claims, err)
		}
	}
}

func TestHeaderMembers(t *testing.T) {
	b64 := func(n int) string { return strings.Repeat("AAAA", n/3) } // n divisible by 3
	for _, c := range []struct {
		name, member string
		ok           bool
	}{
		{"x5c as a string, as Windows sends it", `"x5c":"AQID"`, true},
		{"x5c as an array, as RFC 7515 has it", `"x5c":["AQID"]`, true},
		{"x5c with a chain", `"x5c":["AQID","AQID"]`, false},
		{"x5c empty array", `"x5c":[]`, false},
		{"x5c empty string", `"x5c":""`, false},
		{"x5c null", `"x5c":null`, false},
		{"x5c number in array", `"x5c":[1]`, false},
		{"x5c base64url", `"x5c":"-_-_"`, false},
		{"x5c with a line feed", `"x5c":"AQ\nID"`, false},
		{"x5c without padding", `"x5c":"AQI"`, false},
		{"ctx of 15 bytes", `"ctx":"` + b64(15) + `"`, false},
		{"ctx of 16 bytes", `"ctx":"` + b64(15) + `AA=="`, true},
		{"ctx of 24 bytes", `"ctx":"` + b64(24) + `"`, true},
		{"ctx of 64 bytes", `"ctx":"` + b64(63) + `AA=="`, true},
		{"ctx of 66 bytes", `"ctx":"` + b64(66) + `"`, false},
		{"ctx with stray bits", `"ctx":"` + b64(15) + `AB=="`, false},
		{"ctx with a carriage return", `"ctx":"` + b64(24) + `\r"`, false},
		{"ctx number", `"ctx":1`, false},
		{"kdf_ver 1", `"kdf_ver":1`, true},
		{"kdf_ver 2", `"kdf_ver":2`, true},
		{"kdf_ver 0", `"kdf_ver":0`, false},
		{"kdf_ver 3", `"kdf_ver":3`, true},
		{"kdf_ver 4", `"kdf_ver":4`, false},
		{"kdf_ver 03", `"kdf_ver":03`, false},
		{"kdf_ver 3.0", `"kdf_ver":3.0`, false},
		{"kdf_ver 33", `"kdf_ver":33`, false},
		{"kdf_ver 2.0", `"kdf_ver":2.0`, false},
		{"kdf_ver 2e0", `"kdf_ver":2e0`, false},
		{"kdf_ver -2", `"kdf_ver":-2`, false},
		{"kdf_ver string", `"kdf_ver":"2"`, false},
		{"kdf_ver null", `"kdf_ver":null`, false},
		{"typ", `"typ":"JWT"`, true},
		{"typ null", `"typ":null`, false},
		{"kid number", `"kid":7`, false},
	} {
		h := `{"alg":"HS256",` + c.member + `}`
		_, err := jose.Parse(jose.EncodeSegment([]byte(h)) + "." + jose.EncodeSegment([]byte(payload)) + ".AA")
		if (err == nil) != c.ok || err != nil && !errors.Is(err, jose.ErrMalformed) {
			t.Errorf("%s: error %v", c.name, err)
		}
	}
}

func TestA33_AlgorithmConfusion(t *testing.T) {
	dk, key := newRSA(t, 2048), newKey()
	spki, err := x509.MarshalPKIXPublicKey(&dk.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	forged, err := jose.SignHS256(jose.Header{}, []byte(payload), secret.NewBytes(spki))
	if err != nil {
		t.Fatal(err)
	}
	tok, err := jose.Parse(forged)
	if err != nil {
		t.Fatal(err)
	}
	if err := tok.VerifyRS256(&dk.PublicKey); !errors.Is(err, jose.ErrAlgorithm) {
		t.Errorf("HS256 keyed with the public key, where RS256 is due: %v", err)
	}
	if err := tok.VerifyHS256(key); !errors.Is(err, jose.ErrSignature) {
		t.Errorf("HS256 keyed with the public key, where a session key is due: %v", err)
	}
	unsigned, err := jose.Unsigned([]byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := jose.Parse(unsigned); !errors.Is(err, jose.ErrAlgorithm) {
		t.Errorf("Parse of an unsigned token: %v", err)
	}
	shown, err := jose.ParseUnsigned(unsigned)
	if err != nil {
		t.Fatal(err)
	}
	if err := shown.VerifyHS256(key); !errors.Is(err, jose.ErrAlgorithm) {
		t.Errorf("VerifyHS256 of an unsigned token: %v", err)
	}
	if err := shown.VerifyRS256(&dk.PublicKey); !errors.Is(err, jose.ErrAlgorithm) {
		t.Errorf("VerifyRS256 of an unsigned token: %v", err)
	}
	if _, err := jose.ParseUnsigned(unsigned + "AA"); !errors.Is(err, jose.ErrMalformed) {
		t.Errorf("unsigned token with a signature: %v", err)
	}
	if _, err := jose.ParseUnsigned(forged); !errors.Is(err, jose.ErrAlgorithm) {
		t.Errorf("ParseUnsigned of a signed token: %v", err)
	}
}

func TestA33_UnfitKeys(t *testing.T) {
	tok, err := jose.SignHS256(jose.Header{}, []byte(payload), newKey())
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := jose.Parse(tok)
	if err != nil {
		t.Fatal(err)
	}
	if err := parsed.VerifyHS256(secret.Bytes{}); !errors.Is(err, jose.ErrKey) {
		t.Errorf("empty key verifies: %v", err)
	}
	if _, err := jose.SignHS256(jose.Header{}, []byte(payload), secret.NewBytes(make([]byte, 31))); !errors.Is(err, jose.ErrKey) {
		t.Errorf("short key signs: %v", err)
	}
	small := newRSA(t, 1024)
	if _, err := jose.SignRS256(jose.Header{}, []byte(payload), small); !errors.Is(err, jose.ErrKey) {
		t.Errorf("RSA-1024 signs: %v", err)
	}
	in, err := jose.SigningInput(jose.Header{Alg: jose.RS256}, []byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte(in))
	sig, err := rsa.SignPKCS1v15(nil, small, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	weak, err := jose.Parse(jose.Assemble(in, sig))
	if err != nil {
		t.Fatal(err)
	}
	for name, pub := range map[string]*rsa.PublicKey{"RSA-1024": &small.PublicKey, "nil": nil, "zero": {}} {
		if err := weak.VerifyRS256(pub); !errors.Is(err, jose.ErrKey) {
			t.Errorf("%s verifies: %v", name, err)
		}
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := jose.SignRS256(jose.Header{}, []byte(payload), ec); !errors.Is(err, jose.ErrKey) {
		t.Errorf("EC key signs RS256: %v", err)
	}
}

func TestA35_PSSRefused(t *testing.T) {
	dk := newRSA(t, 2048)
	for _, alg := range []string{"PS256", jose.RS256} {
		in := jose.EncodeSegment([]byte(`{"alg":"`+alg+`"}`)) + "." + jose.EncodeSegment([]byte(payload))
		digest := sha256.Sum256([]byte(in))
		sig, err := rsa.SignPSS(rand.Reader, dk, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		if err != nil {
			t.Fatal(err)
		}
		tok, err := jose.Parse(jose.Assemble(in, sig))
		if err == nil {
			err = tok.VerifyRS256(&dk.PublicKey)
		}
		if !errors.Is(err, jose.ErrAlgorithm) && !errors.Is(err, jose.ErrSignature) {
			t.Errorf("PSS signature under alg %s: %v", alg, err)
		}
	}
}
