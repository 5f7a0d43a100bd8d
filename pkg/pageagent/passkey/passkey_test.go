package passkey_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/lockstep-sso/lockstep/pkg/pageagent/passkey"
)

const origin = "https://login.contoso.test"

func creation(rpID, more string) []byte {
	return []byte(`{"rp":{"id":"` + rpID + `"},"user":{"id":"AQID"},"challenge":"Y2hhbGxlbmdl","pubKeyCredParams":[{"type":"public-key","alg":-257},{"type":"public-key","alg":-7}]` + more + `}`)
}

type answer struct {
	ID, RawID, Type string
	Response        struct {
		ClientDataJSON, AttestationObject, AuthenticatorData, Signature, UserHandle string
	}
}

func read(t *testing.T, text []byte) answer {
	t.Helper()
	var a answer
	if err := json.Unmarshal(text, &a); err != nil {
		t.Fatal(err)
	}
	return a
}

func raw(t *testing.T, s string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// registered makes a credential and reads its public key as a relying party does
// (WebAuthn Level 3, section 7.1).
func registered(t *testing.T, a *passkey.Authenticator) (id string, pub *ecdsa.PublicKey) {
	t.Helper()
	text, err := a.Create(origin, creation("contoso.test", ""))
	if err != nil {
		t.Fatal(err)
	}
	got := read(t, text)
	clientData(t, got, "webauthn.create")
	var object struct {
		Fmt      string         `cbor:"fmt"`
		AttStmt  map[string]any `cbor:"attStmt"`
		AuthData []byte         `cbor:"authData"`
	}
	if err := cbor.Unmarshal(raw(t, got.Response.AttestationObject), &object); err != nil || object.Fmt != "none" || len(object.AttStmt) != 0 {
		t.Fatalf("%+v, %v", object, err)
	}
	data := object.AuthData
	hash := sha256.Sum256([]byte("contoso.test"))
	if !bytes.Equal(data[:32], hash[:]) || data[32] != 0x45 || got.Type != "public-key" || got.ID != got.RawID {
		t.Errorf("rpIdHash, flags or id: %x", data[:37])
	}
	n := int(binary.BigEndian.Uint16(data[53:55]))
	if !bytes.Equal(data[55:55+n], raw(t, got.ID)) {
		t.Error("another id is attested")
	}
	var key struct {
		Kty int    `cbor:"1,keyasint"`
		Alg int    `cbor:"3,keyasint"`
		Crv int    `cbor:"-1,keyasint"`
		X   []byte `cbor:"-2,keyasint"`
		Y   []byte `cbor:"-3,keyasint"`
	}
	if err := cbor.Unmarshal(data[55+n:], &key); err != nil || key.Kty != 2 || key.Alg != -7 || key.Crv != 1 {
		t.Fatalf("%+v, %v", key, err)
	}
	pub, err = ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, key.X...), key.Y...))
	if err != nil {
		t.Fatal(err)
	}
	return got.ID, pub
}

func clientData(t *testing.T, a answer, kind string) {
	t.Helper()
	var c struct{ Type, Challenge, Origin string }
	if err := json.Unmarshal(raw(t, a.Response.ClientDataJSON), &c); err != nil || c.Type != kind || c.Challenge != "Y2hhbGxlbmdl" || c.Origin != origin {
		t.Errorf("%+v, %v", c, err)
	}
}

func request(rpID string, allow ...string) []byte {
	var list []string
	for _, id := range allow {
		list = append(list, `{"type":"public-key","id":"`+id+`"}`)
	}
	return fmt.Appendf(nil, `{"challenge":"Y2hhbGxlbmdl","rpId":"%s","allowCredentials":[%s]}`, rpID, strings.Join(list, ","))
}

// TestAssertionsVerify checks them by the steps of a relying party (WebAuthn Level 3,
// section 7.2).
func TestAssertionsVerify(t *testing.T) {
	a := passkey.New(passkey.Config{})
	id, pub := registered(t, a)
	for count := uint32(1); count < 4; count++ {
		allow := [][]byte{request("contoso.test", id), request("contoso.test"), request("contoso.test", "AAAA", id)}[count%3]
		text, err := a.Get(origin, allow)
		if err != nil {
			t.Fatal(err)
		}
		got := read(t, text)
		clientData(t, got, "webauthn.get")
		data := raw(t, got.Response.AuthenticatorData)
		if len(data) != 37 || data[32] != 0x05 || binary.BigEndian.Uint32(data[33:]) != count || got.ID != id || got.Response.UserHandle != "AQID" {
			t.Errorf("%x, %+v", data, got)
		}
		hash := sha256.Sum256(raw(t, got.Response.ClientDataJSON))
		digest := sha256.Sum256(append(data, hash[:]...))
		if !ecdsa.VerifyASN1(pub, digest[:], raw(t, got.Response.Signature)) {
			t.Error("the signature does not verify")
		}
	}
}

// TestCredentialsStayWithTheirSite: a page gets an answer for its own name and for
// the domains it is in, never for another.
func TestCredentialsStayWithTheirSite(t *testing.T) {
	a := passkey.New(passkey.Config{})
	id, _ := registered(t, a)
	for what, f := range map[string]struct{ origin, rpID string }{
		"other site": {"https://login.evil.test", "contoso.test"}, "look-alike": {"https://evilcontoso.test", "contoso.test"},
		"top": {"https://login.contoso.test", "test"}, "plain": {"http://login.contoso.test", "contoso.test"}, "none": {"", "contoso.test"},
		"page's own name": {"https://login.contoso.test", ""},
	} {
		if got, err := a.Get(f.origin, request(f.rpID, id)); err == nil {
			t.Errorf("%s: %s", what, got)
		}
	}
	if _, err := a.Get(origin, request("contoso.test", "AAAA")); !errors.Is(err, passkey.ErrNone) {
		t.Errorf("%v", err)
	}
}

func TestCreateRefuses(t *testing.T) {
	a := passkey.New(passkey.Config{})
	id, _ := registered(t, a)
	for what, options := range map[string][]byte{
		"excluded":     creation("contoso.test", `,"excludeCredentials":[{"id":"`+id+`"}]`),
		"other site":   creation("fabrikam.test", ""),
		"RS256 alone":  []byte(`{"rp":{"id":"contoso.test"},"user":{"id":"AQ"},"challenge":"AA","pubKeyCredParams":[{"alg":-257}]}`),
		"no user":      []byte(`{"rp":{"id":"contoso.test"},"challenge":"AA"}`),
		"no challenge": []byte(`{"rp":{"id":"contoso.test"},"user":{"id":"AQ"}}`),
		"not JSON":     []byte(`{`),
		"long":         append(creation("contoso.test", ""), bytes.Repeat([]byte(" "), 64<<10)...),
	} {
		if got, err := a.Create(origin, options); err == nil {
			t.Errorf("%s: %s", what, got)
		}
	}
	if a.Count() != 1 {
		t.Errorf("%d credentials", a.Count())
	}
}
