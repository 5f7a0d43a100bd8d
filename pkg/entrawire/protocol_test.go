package entrawire

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

func newECDH(t *testing.T) *ecdh.PrivateKey {
	t.Helper()
	k, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestConcatKDFVector is RFC 7518 appendix C.
func TestConcatKDFVector(t *testing.T) {
	key := func(d, x, y string) *ecdh.PrivateKey {
		raw, err := jose.DecodeSegment(d)
		if err != nil {
			t.Fatal(err)
		}
		k, err := ecdh.P256().NewPrivateKey(raw)
		if err != nil {
			t.Fatal(err)
		}
		pub, err := ParseJWK([]byte(`{"kty":"EC","crv":"P-256","x":"` + x + `","y":"` + y + `"}`))
		if err != nil || !pub.EC.Equal(k.PublicKey()) {
			t.Fatalf("the two halves of the vector differ: %v", err)
		}
		return k
	}
	alice := key("0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo", "gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0", "SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps")
	bob := key("VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw", "weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ", "e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck")
	z, err := alice.ECDH(bob.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	got := concatKDF(secret.NewBytes(z), "A128GCM", []byte("Alice"), []byte("Bob"), 16)
	if s := jose.EncodeSegment(got.Reveal()); s != "VqqN6vgjbSBcIijNcacQGg" {
		t.Errorf("derived %s", s)
	}
}

func TestDeviceAnswer(t *testing.T) {
	tk, plain := newECDH(t), []byte(`{"token_type":"Bearer"}`)
	for _, apv := range []string{"HOI", "", jose.EncodeSegment(bytes.Repeat([]byte{7}, 200)), "AAA="} {
		s, err := SealDeviceAnswer(tk.PublicKey(), apv, plain)
		if err != nil {
			t.Fatal(err)
		}
		got, err := OpenDeviceAnswer(tk, apv, s)
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("apv %q: %v", apv, err)
		}
	}
	s, err := SealDeviceAnswer(tk.PublicKey(), "HOI", plain)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenDeviceAnswer(newECDH(t), "HOI", s); !errors.Is(err, ErrAnswer) {
		t.Errorf("another key: %v", err)
	}
	if _, err := OpenDeviceAnswer(tk, "AAAA", s); !errors.Is(err, ErrAnswer) {
		t.Errorf("another apv: %v", err)
	}
	for i := range 5 {
		parts := strings.Split(s, ".")
		b, _ := jose.DecodeSegment(parts[i])
		if len(b) == 0 {
			continue
		}
		b[len(b)-2] ^= 1 // in the header: the last byte but one, which is a brace of the key
		parts[i] = jose.EncodeSegment(b)
		if _, err := OpenDeviceAnswer(tk, "HOI", strings.Join(parts, ".")); !errors.Is(err, ErrAnswer) {
			t.Errorf("part %d changed: %v", i, err)
		}
	}
	if _, err := SealDeviceAnswer(nil, "HOI", plain); err == nil {
		t.Error("sealed for nobody")
	}
}

func TestParseJWK(t *testing.T) {
	rsaKey, ec := newRSA(t), newECDH(t).PublicKey()
	n := rsaKey.N.Bytes()
	raw := ec.Bytes()
	std, url := base64.StdEncoding.EncodeToString, jose.EncodeSegment
	padded := base64.URLEncoding.EncodeToString
	for name, text := range map[string]string{
		"RSA, standard base64":    fmt.Sprintf(`{"kty":"RSA","e":"AQAB","n":%q,"alg":"RS256","kid":"X"}`, std(n)),
		"RSA, base64url":          fmt.Sprintf(`{"kty":"RSA","e":"AQAB","n":%q}`, url(n)),
		"RSA, padded base64url":   fmt.Sprintf(`{"kty":"RSA","e":"AQAB","n":%q}`, padded(n)),
		"RSA, with leading zeros": fmt.Sprintf(`{"kty":"RSA","e":"AAEAAQ","n":%q}`, url(append([]byte{0}, n...))),
	} {
		got, err := ParseJWK([]byte(text))
		if err != nil || !got.RSA.Equal(&rsaKey.PublicKey) || got.EC != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	got, err := ParseJWK([]byte(fmt.Sprintf(`{"kty":"EC","crv":"P-256","x":%q,"y":%q,"kid":"X"}`, std(raw[1:33]), std(raw[33:]))))
	if err != nil || !got.EC.Equal(ec) || got.RSA != nil {
		t.Errorf("P-256: %v", err)
	}
	again, err := MarshalECJWK(ec)
	if err != nil {
		t.Fatal(err)
	}
	if got, err = ParseJWK(again); err != nil || !got.EC.Equal(ec) {
		t.Errorf("written and read: %v", err)
	}
	for name, text := range map[string]string{
		"nothing":       ``,
		"no object":     `[]`,
		"another kind":  `{"kty":"oct","k":"AAAA"}`,
		"private RSA":   fmt.Sprintf(`{"kty":"RSA","e":"AQAB","n":%q,"d":"AQAB"}`, std(n)),
		"private EC":    fmt.Sprintf(`{"kty":"EC","crv":"P-256","x":%q,"y":%q,"d":"AAAA"}`, url(raw[1:33]), url(raw[33:])),
		"exponent 3":    fmt.Sprintf(`{"kty":"RSA","e":"Aw","n":%q}`, std(n)),
		"short modulus": fmt.Sprintf(`{"kty":"RSA","e":"AQAB","n":%q}`, std(n[:128])),
		"another curve": fmt.Sprintf(`{"kty":"EC","crv":"P-384","x":%q,"y":%q}`, url(raw[1:33]), url(raw[33:])),
		"off the curve": fmt.Sprintf(`{"kty":"EC","crv":"P-256","x":%q,"y":%q}`, url(raw[1:33]), url(raw[1:33])),
		"too long":      fmt.Sprintf(`{"kty":"EC","crv":"P-256","x":%q,"y":%q}`, url(append([]byte{1}, raw[1:33]...)), url(raw[33:])),
		"no numbers":    `{"kty":"EC","crv":"P-256"}`,
		"name twice":    fmt.Sprintf(`{"kty":"RSA","kty":"RSA","e":"AQAB","n":%q}`, std(n)),
		"bomb":          `{"kty":"RSA","n":"` + strings.Repeat("A", 5000) + `"}`,
	} {
		if _, err := ParseJWK([]byte(text)); !errors.Is(err, ErrJWK) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestParseJWKShortCoordinate is a point whose x has a leading zero, which some
// clients leave out.
func TestParseJWKShortCoordinate(t *testing.T) {
	for range 100_000 {
		raw := newECDH(t).PublicKey().Bytes()
		if raw[1] != 0 {
			continue
		}
		got, err := ParseJWK([]byte(fmt.Sprintf(`{"kty":"EC","crv":"P-256","x":%q,"y":%q}`, jose.EncodeSegment(raw[2:33]), jose.EncodeSegment(raw[33:]))))
		if err != nil || !bytes.Equal(got.EC.Bytes(), raw) {
			t.Fatalf("%v", err)
		}
		return
	}
	t.Skip("no such key in 100,000")
}

func TestECCertificates(t *testing.T) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := CreateECCSR(k)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := ParseECCSR(der)
	if err != nil || !k.PublicKey.Equal(csr.PublicKey) {
		t.Fatal(err)
	}
	if _, err := ParseCSR(der); !errors.Is(err, ErrRSAKey) {
		t.Errorf("the request of version 2 took a curve: %v", err)
	}
	rsaCSR, err := CreateCSR(newRSA(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseECCSR(rsaCSR); !errors.Is(err, ErrECKey) {
		t.Errorf("the request of version 4 took RSA: %v", err)
	}
	const id = "11111111-2222-3333-4444-555555555555"
	exts, err := DeviceExtensions(id, id, id, JoinJoined)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: id}, NotAfter: time.Now().Add(time.Hour), ExtraExtensions: exts}
	raw, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ParseECDeviceCertificate(cert); err != nil || got.DeviceID != id {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := ParseDeviceCertificate(cert); !errors.Is(err, ErrRSAKey) {
		t.Errorf("the certificate of version 2 took a curve: %v", err)
	}
}

func TestValidateFor(t *testing.T) {
	const roadtx = `{"refresh_token":"0.a.b","grant_type":"refresh_token","client_id":"` + BrokerClientID + `","scope":"https://graph.windows.net/.default",` +
		`"redirect_uri":"msauth://Microsoft.AAD.BrokerPlugin","aud":"https://login.windows.net/common/oauth2/v2.0/token","iss":"` + BrokerClientID + `","request_nonce":"n"`
	read := func(s string) (r SessionRequest) {
		t.Helper()
		if err := r.UnmarshalJSON([]byte(s)); err != nil {
			t.Fatal(err)
		}
		return r
	}
	three := read(roadtx + `}`)
	if err := three.ValidateFor(Protocol3); err != nil {
		t.Error(err)
	}
	if three.ValidateFor(Protocol2) == nil || three.ValidateFor(Protocol4) == nil {
		t.Error("a request of version 3 passes for one of another version")
	}
	four := read(roadtx + `,"jwe_crypto":{"apv":"HOI","alg":"ECDH-ES","enc":"A256GCM"},"purpose":"prt_usage","iat":"1","nbf":"1","exp":"3601"}`)
	if err := four.ValidateFor(Protocol4); err != nil || four.JWECrypto.APV != "HOI" {
		t.Errorf("%+v, %v", four.JWECrypto, err)
	}
	for name, change := range map[string]func(*SessionRequest){
		"aud":        func(r *SessionRequest) { r.Aud = "http://login.windows.net/common/oauth2/v2.0/token" },
		"iss":        func(r *SessionRequest) { r.Iss = BrokerIssuer },
		"scope":      func(r *SessionRequest) { r.Scope = " " },
		"purpose":    func(r *SessionRequest) { r.Purpose = "" },
		"jwe_crypto": func(r *SessionRequest) { r.JWECrypto.Alg = "dir" },
	} {
		bad := four
		change(&bad)
		var f *FieldError
		if err := bad.ValidateFor(Protocol4); !errors.As(err, &f) || f.Field != name {
			t.Errorf("%s: %v", name, err)
		}
	}
	four.JWECrypto.APV = "not base64url!"
	if four.ValidateFor(Protocol4) == nil {
		t.Error("any apv is taken")
	}
	prt := PRTRequest{ClientID: BrokerClientID, Scope: "openid aza", GrantType: GrantRefreshToken, RefreshToken: secret.NewText("0.a.b")}
	if prt.ValidateFor(Protocol3) != nil || prt.ValidateFor(Protocol4) == nil {
		t.Error("jwe_crypto is demanded by version 4, and by no other")
	}
	prt.JWECrypto = NewJWECrypto("HOI")
	if err := prt.ValidateFor(Protocol4); err != nil {
		t.Error(err)
	}
	var nothing PRTRequest
	if err := nothing.UnmarshalJSON([]byte(`{"jwe_crypto":null,"resource":null,"win_ver":null}`)); err != nil {
		t.Errorf("null: %v", err)
	}
	if err := nothing.UnmarshalJSON([]byte(`{"jwe_crypto":"x"}`)); err == nil {
		t.Error("a string for jwe_crypto was taken")
	}
}
