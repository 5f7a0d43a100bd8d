package entrawire

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/kdf"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

func sha256Hex(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func claimsWithNonce(t testing.TB, nonce string) []byte {
	t.Helper()
	b, err := Cookie{RefreshToken: secret.NewText("0.AbcA.prt"), IsPrimary: true, RequestNonce: nonce}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustParse(t testing.TB, s string) *jose.Token {
	t.Helper()
	tok, err := jose.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestSignSessionVerifies(t *testing.T) {
	key := newSessionKey()
	for ver := range 4 {
		s, err := SignSession(claimsWithNonce(t, "n0nce"), key, ver)
		if err != nil {
			t.Fatal(err)
		}
		tok := mustParse(t, s)
		if err := VerifySession(tok, key); err != nil || tok.Header.KDFVer != ver || len(tok.Header.Ctx) != ContextSize {
			t.Errorf("kdf_ver %d: header %+v, error %v", ver, tok.Header, err)
		}
		if err := VerifySession(tok, newSessionKey()); !errors.Is(err, jose.ErrSignature) {
			t.Errorf("kdf_ver %d under another session key: %v", ver, err)
		}
	}
	if _, err := SignSession([]byte(`{}`), key, 4); err == nil {
		t.Error("kdf_ver 4 signs")
	}
	if _, err := SignSession([]byte(`{}`), secret.NewBytes(make([]byte, 31)), 2); !errors.Is(err, ErrSessionKey) {
		t.Errorf("session key of 31 bytes: %v", err)
	}
}

// The TPM's part is one HMAC under the session key over kdfInput; a plain HMAC
// stands for it here.
func TestPRO06_SigningInputForTPM(t *testing.T) {
	key := newSessionKey()
	claims := claimsWithNonce(t, "n0nce")
	input, kdfInput, err := SessionSigningInput(claims)
	if err != nil {
		t.Fatal(err)
	}
	tpm := hmac.New(sha256.New, key.Reveal())
	tpm.Write(kdfInput)
	s, err := FinishSession(input, secret.NewBytes(tpm.Sum(nil)))
	if err != nil {
		t.Fatal(err)
	}
	tok := mustParse(t, s)
	if err := VerifySession(tok, key); err != nil {
		t.Errorf("does not verify: %v", err)
	}
	if tok.Header.KDFVer != 2 || !bytes.Equal(tok.Payload, claims) {
		t.Errorf("header %+v, payload %s", tok.Header, tok.Payload)
	}
	again, _, err := SessionSigningInput(claims)
	if err != nil || again == input {
		t.Errorf("two requests share a ctx: %v", err)
	}
	if _, _, err := SessionSigningInput([]byte(`"text"`)); err == nil {
		t.Error("text that is no claim set can be signed")
	}
}

func TestPRO06_KDFv2BindsPayload(t *testing.T) {
	key := newSessionKey()
	a, b := claimsWithNonce(t, "nonce-a"), claimsWithNonce(t, "nonce-b")
	ctx := bytes.Repeat([]byte{9}, ContextSize)
	for _, c := range []struct {
		kdfVer int
		want   error
	}{{1, nil}, {2, jose.ErrSignature}, {3, jose.ErrSignature}} {
		h := jose.Header{Alg: jose.HS256, Ctx: ctx, KDFVer: c.kdfVer}
		stolen := sessionDerived(key, h, a)         // derived for payload A
		forged, err := jose.SignHS256(h, b, stolen) // used on payload B
		if err != nil {
			t.Fatal(err)
		}
		if err := VerifySession(mustParse(t, forged), key); !errors.Is(err, c.want) {
			t.Errorf("kdf_ver %d: a key derived for A on B: %v, want %v", c.kdfVer, err, c.want)
		}
	}
}

// A thousand keys minted ahead of time sign nothing that carries a new nonce,
// whichever version the thief claims.
func TestA06_PreMintedKeysAreUseless(t *testing.T) {
	key := newSessionKey()
	target := claimsWithNonce(t, "nonce-that-came-later")
	for i := range 1000 {
		ctx := bytes.Repeat([]byte{byte(i), byte(i >> 8)}, 12)
		early := kdf.ContextV2(ctx, claimsWithNonce(t, fmt.Sprintf("nonce-%d", i)))
		minted := []secret.Bytes{kdf.Derive(key, early), kdf.DeriveV3(key, early)}[i%2]
		for ver := range 4 {
			forged, err := jose.SignHS256(jose.Header{Ctx: ctx, KDFVer: ver}, target, minted)
			if err != nil {
				t.Fatal(err)
			}
			if err := VerifySession(mustParse(t, forged), key); !errors.Is(err, jose.ErrSignature) {
				t.Fatalf("key %d as kdf_ver %d: %v", i, ver, err)
			}
		}
	}
}

// Taking kdf_ver off, or changing it, changes both the key and the signed header.
func TestA06_DowngradeBreaksSignature(t *testing.T) {
	key := newSessionKey()
	all := []string{``, `,"kdf_ver":1`, `,"kdf_ver":2`, `,"kdf_ver":3`}
	for ver := range all {
		s, err := SignSession(claimsWithNonce(t, "n0nce"), key, ver)
		if err != nil {
			t.Fatal(err)
		}
		head, rest, _ := strings.Cut(s, ".")
		raw, err := jose.DecodeSegment(head)
		if err != nil {
			t.Fatal(err)
		}
		for to := range all {
			if to == ver {
				continue
			}
			changed := strings.Replace(string(raw), all[ver]+`}`, all[to]+`}`, 1)
			tok := mustParse(t, jose.EncodeSegment([]byte(changed))+"."+rest)
			if err := VerifySession(tok, key); tok.Header.KDFVer != to || !errors.Is(err, jose.ErrSignature) {
				t.Errorf("%q turned into %q: %v", all[ver], all[to], err)
			}
		}
	}
}

func TestNative_SigningInPieces(t *testing.T) {
	key, claims := newSessionKey(), claimsWithNonce(t, "n0nce")
	input, context, err := NativeSigningInput(claims)
	if err != nil || len(context) != 32 {
		t.Fatalf("context of %d bytes, %v", len(context), err)
	}
	m := hmac.New(sha256.New, kdf.DeriveV3(key, context).Reveal())
	m.Write([]byte(input))
	s, err := FinishNative(input, m.Sum(nil))
	if err != nil {
		t.Fatal(err)
	}
	if err := VerifySession(mustParse(t, s), key); err != nil {
		t.Error(err)
	}
	for _, n := range []int{0, 31, 33} {
		if _, err := FinishNative(input, make([]byte, n)); !errors.Is(err, ErrMAC) {
			t.Errorf("an HMAC of %d bytes: %v", n, err)
		}
	}
	if _, _, err := NativeSigningInput([]byte("[]")); err == nil {
		t.Error("claims that are no object")
	}
}

func TestPRO04_EveryPayloadByteIsSigned(t *testing.T) {
	key := newSessionKey()
	s, err := SignSession(claimsWithNonce(t, "n0nce"), key, 2)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(s, ".")
	payload := mustParse(t, s).Payload
	parsed := 0
	for i := range payload {
		p := bytes.Clone(payload)
		p[i] ^= 1
		tok, err := jose.Parse(parts[0] + "." + jose.EncodeSegment(p) + "." + parts[2])
		if err != nil {
			continue // no longer a JSON object
		}
		parsed++
		if err := VerifySession(tok, key); !errors.Is(err, jose.ErrSignature) {
			t.Fatalf("byte %d changed: %v", i, err)
		}
	}
	if parsed < len(payload)/2 {
		t.Errorf("only %d of %d changed payloads got as far as the signature", parsed, len(payload))
	}
}

func TestVerifySessionNeedsContext(t *testing.T) {
	key := newSessionKey()
	s, err := jose.SignHS256(jose.Header{}, []byte(`{}`), kdf.Derive(key, nil))
	if err != nil {
		t.Fatal(err)
	}
	if err := VerifySession(mustParse(t, s), key); !errors.Is(err, ErrNoContext) {
		t.Errorf("no ctx: %v", err)
	}
	s, err = jose.SignRS256(jose.Header{Ctx: make([]byte, 24)}, []byte(`{}`), newRSA(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := VerifySession(mustParse(t, s), key); !errors.Is(err, jose.ErrAlgorithm) {
		t.Errorf("RS256 where the session key is due: %v", err)
	}
}
