package entrawire

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/kdf"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

// TestPRO06_Vectors holds every row of testdata/vectors.json against this package.
func TestPRO06_Vectors(t *testing.T) {
	v := load(t, "vectors.json")
	key, ctx := secret.NewBytes(unhex(t, v["session_key_hex"])), unhex(t, v["ctx_hex"])
	payload := []byte(v["payload"])

	got, err := Cookie{RefreshToken: secret.NewText("0.prt.test"), IsPrimary: true, RequestNonce: "n0nce"}.Encode()
	if err != nil || !bytes.Equal(got, payload) {
		t.Errorf("payload: got %s, %v", got, err)
	}
	if decoded, err := jose.DecodeStd(v["ctx_b64"]); err != nil || !bytes.Equal(decoded, ctx) {
		t.Errorf("ctx: got %x, %v", decoded, err)
	}
	for _, ver := range []struct {
		name    string
		kdfVer  int
		context []byte
	}{{"v1", 0, ctx}, {"v2", 2, kdf.ContextV2(ctx, payload)}} {
		h := jose.Header{Alg: jose.HS256, Ctx: ctx, KDFVer: ver.kdfVer}
		if c := SessionContext(h, payload); !bytes.Equal(c, ver.context) {
			t.Errorf("context %s: got %x", ver.name, c)
		}
		derived := kdf.Derive(key, ver.context)
		if !bytes.Equal(derived.Reveal(), unhex(t, v["derived_"+ver.name+"_hex"])) {
			t.Errorf("derived %s: got %x", ver.name, derived.Reveal())
		}
		want := jose.EncodeSegment([]byte(v["jwt_"+ver.name+"_header"])) + "." + jose.EncodeSegment(payload) + "." + v["jwt_"+ver.name+"_signature"]
		if tok, err := jose.SignHS256(h, payload, derived); err != nil || tok != want {
			t.Errorf("JWT %s: got %s, %v", ver.name, tok, err)
		}
		tok, err := jose.Parse(want)
		if err != nil {
			t.Fatal(err)
		}
		if err := VerifySession(tok, key); err != nil {
			t.Errorf("JWT %s does not verify: %v", ver.name, err)
		}
	}
	if c := kdf.ContextV2(ctx, payload); !bytes.Equal(c, unhex(t, v["context_v2_hex"])) {
		t.Errorf("context v2: got %x", c)
	}
}

func TestPRO15_AnswerVector(t *testing.T) {
	v := load(t, "vectors.json")
	key, ctx := secret.NewBytes(unhex(t, v["session_key_hex"])), unhex(t, v["ctx_hex"])
	jwe, err := sealAnswer(key, []byte(v["answer_plaintext"]), ctx, unhex(t, v["answer_iv_hex"]))
	if err != nil || jwe != v["answer_jwe"] {
		t.Errorf("seal: got %s, %v", jwe, err)
	}
	plain, err := OpenAnswer(v["answer_jwe"], key)
	if err != nil || string(plain) != v["answer_plaintext"] {
		t.Errorf("open: got %q, %v", plain, err)
	}
}

func TestPRO15_SessionKeyVector(t *testing.T) {
	v := load(t, "vectors.json")
	key := secret.NewBytes(unhex(t, v["session_key_hex"]))
	j := SessionKeyJWE{IV: unhex(t, v["session_key_gcm_iv_hex"])}
	var err error
	if j.Ciphertext, err = jose.DecodeSegment(v["session_key_gcm_ciphertext"]); err != nil {
		t.Fatal(err)
	}
	if j.Tag, err = jose.DecodeSegment(v["session_key_gcm_tag"]); err != nil {
		t.Fatal(err)
	}
	if err := j.Check(key); err != nil {
		t.Errorf("vector does not verify: %v", err)
	}
	if j.Check(fixedKey()) == nil {
		t.Error("vector verifies under another key")
	}
}

// TestPRO15_CapturedExchange opens a real exchange with Entra: unwrap the
// session key, open the answer, read it.
func TestPRO15_CapturedExchange(t *testing.T) {
	c := load(t, "captured_exchange.json")
	key, err := UnwrapSessionKey(capturedTransportKey(t, c), c["session_key_jwe"])
	if err != nil {
		t.Fatal(err)
	}
	if !key.Equal(secret.NewBytes(unhex(t, c["session_key_hex"]))) {
		t.Fatal("unwrapped key is not the session key")
	}
	a, err := ParseAnswer(c["answer_jwe"])
	if err != nil {
		t.Fatal(err)
	}
	derived := kdf.Derive(key, a.Ctx)
	plain, err := a.Open(derived)
	if err != nil {
		t.Fatal(err)
	}
	if got := sha256Hex(plain); got != c["answer_plaintext_sha256"] {
		t.Fatalf("plaintext has SHA-256 %s, want %s", got, c["answer_plaintext_sha256"])
	}
	var answer PRTAnswer
	if err := a.OpenInto(derived, &answer); err != nil {
		t.Fatal(err)
	}
	if answer.RefreshTokenExpiresIn != 1209599 || answer.ExpiresIn != 1209599 || answer.ExpiresOn != 1708017084 || answer.TokenType != TokenType {
		t.Errorf("answer %+v", answer)
	}
	tok, err := jose.ParseUnsigned(answer.IDToken.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	var id IDToken
	if err := tok.Claims(&id); err != nil {
		t.Fatal(err)
	}
	if err := id.Validate(); err != nil || id.Aud != SignInClientID || id.TID != someTenant || id.OID != someUser || len(id.AMR) != 2 {
		t.Errorf("id_token %+v, %v", id, err)
	}
	if sealed, err := sealAnswer(key, plain, a.Ctx, a.IV); err != nil || sealed != c["answer_jwe"] {
		t.Errorf("sealing the same does not give the captured answer, byte for byte: %v", err)
	}
}

// TestPRO15_TagHasEmptyAAD shows where Entra leaves RFC 7516: the tag is over
// nothing, not over the protected header.
func TestPRO15_TagHasEmptyAAD(t *testing.T) {
	c := load(t, "captured_exchange.json")
	j, err := ParseSessionKeyJWE(c["session_key_jwe"])
	if err != nil {
		t.Fatal(err)
	}
	key := unhex(t, c["session_key_hex"])
	if err := j.Check(secret.NewBytes(key)); err != nil {
		t.Errorf("empty additional data: %v", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	header := c["session_key_jwe"][:bytes.IndexByte([]byte(c["session_key_jwe"]), '.')]
	if _, err := gcm.Open(nil, j.IV, append(bytes.Clone(j.Ciphertext), j.Tag...), []byte(header)); err == nil {
		t.Error("the tag verifies over the protected header")
	}
	if header != jose.EncodeSegment([]byte(sessionKeyHeader)) {
		t.Errorf("our header is not the captured one, %s", header)
	}
}
