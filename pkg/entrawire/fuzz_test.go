package entrawire

import (
	"bytes"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/kdf"
)

func FuzzParseAnswer(f *testing.F) {
	f.Add(load(f, "vectors.json")["answer_jwe"])
	f.Add(load(f, "captured_exchange.json")["answer_jwe"])
	f.Add(`{"token_type":"Bearer"}`)
	f.Add("eyJhbGciOiJkaXIifQ....")
	key := fixedKey()
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAnswer(s)
		if err != nil {
			if err != ErrAnswer { //nolint:errorlint // the very same error
				t.Fatalf("error %v", err)
			}
			return
		}
		if tail := ".." + jose.EncodeSegment(a.IV) + "." + jose.EncodeSegment(a.Ciphertext) + "."; !strings.HasSuffix(s, tail) {
			t.Fatalf("%q does not end in %q", s, tail)
		}
		derived := kdf.Derive(key, a.Ctx)
		if plain, err := a.Open(derived); err == nil && len(plain) >= len(a.Ciphertext) {
			t.Fatalf("%d bytes out of %d", len(plain), len(a.Ciphertext))
		}
		var into TokenAnswer
		if err := a.OpenInto(derived, &into); err != nil && err != ErrAnswer { //nolint:errorlint // as above
			t.Fatalf("error %v", err)
		}
	})
}

func FuzzParseSessionKeyJWE(f *testing.F) {
	f.Add(load(f, "captured_exchange.json")["session_key_jwe"])
	f.Add("eyJlbmMiOiJBMjU2R0NNIiwiYWxnIjoiUlNBLU9BRVAifQ....")
	key := fixedKey()
	f.Fuzz(func(t *testing.T, s string) {
		j, err := ParseSessionKeyJWE(s)
		if err != nil {
			return
		}
		if len(j.EncryptedKey) != 256 || len(j.IV) != 12 || len(j.Ciphertext) != 1 || len(j.Tag) != 16 {
			t.Fatalf("sizes %d %d %d %d", len(j.EncryptedKey), len(j.IV), len(j.Ciphertext), len(j.Tag))
		}
		_ = j.Check(key) // must not panic; a made-up blob may fit any key
	})
}

func FuzzParseCSR(f *testing.F) {
	der, err := CreateCSR(capturedTransportKey(f, load(f, "captured_exchange.json")))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(der)
	f.Add(der[:40])
	f.Fuzz(func(t *testing.T, der []byte) {
		csr, err := ParseCSR(der)
		if err != nil {
			return
		}
		if csr.Subject.String() != "CN="+CSRSubject || csr.CheckSignature() != nil {
			t.Fatalf("took a request of %s", csr.Subject)
		}
	})
}

func FuzzParseRSA1(f *testing.F) {
	blob, err := MarshalRSA1(&capturedTransportKey(f, load(f, "captured_exchange.json")).PublicKey)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(blob)
	f.Add(blob[:27])
	f.Fuzz(func(t *testing.T, b []byte) {
		pub, err := ParseRSA1(b)
		if err != nil {
			return
		}
		if again, err := MarshalRSA1(pub); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x comes back as %x, %v", b, again, err)
		}
	})
}

// FuzzClaims reads strangers' claims into every shape: no panic, and what is
// read can be written and read again.
func FuzzClaims(f *testing.F) {
	f.Add([]byte(load(f, "vectors.json")["payload"]))
	f.Add([]byte(`{"client_id":null,"iat":"1","exp":2,"is_primary":true,"amr":["pwd"],"password":"\u0000"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, s := range []interface {
			UnmarshalJSON([]byte) error
			Encode() ([]byte, error)
			Validate() error
		}{new(PRTRequest), new(SessionRequest), new(Cookie), new(DeviceProof), new(KeyReplacement), new(HelloAssertion), new(PRTAnswer), new(TokenAnswer), new(IDToken)} {
			if s.UnmarshalJSON(data) != nil {
				continue
			}
			_ = s.Validate() // must not panic
			out, err := s.Encode()
			if err != nil {
				t.Fatalf("%T read %q and cannot write it: %v", s, data, err)
			}
			if err := s.UnmarshalJSON(out); err != nil && len(out) <= jose.MaxToken {
				t.Fatalf("%T wrote %q and cannot read it: %v", s, out, err)
			}
		}
	})
}
