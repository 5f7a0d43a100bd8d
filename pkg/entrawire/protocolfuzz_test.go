package entrawire

import (
	"crypto/ecdh"
	"crypto/rand"
	"testing"
)

// FuzzParseJWK: what is taken is a key, and P-256 comes out the same when it is
// written and read again.
func FuzzParseJWK(f *testing.F) {
	k, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	good, err := MarshalECJWK(k.PublicKey())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"kty":"EC","crv":"P-256","x":"AA==","y":"AA=="}`))
	f.Add([]byte(`{"kty":"RSA","e":"AQAB","n":"AAAA"}`))
	f.Add([]byte(`{"kty":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := ParseJWK(data)
		if (err == nil) != (got.RSA != nil || got.EC != nil) || got.RSA != nil && got.EC != nil {
			t.Fatalf("%+v, %v", got, err)
		}
		if got.EC == nil {
			return
		}
		again, err := MarshalECJWK(got.EC)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := ParseJWK(again); err != nil || !back.EC.Equal(got.EC) {
			t.Fatalf("%s: %v", again, err)
		}
	})
}

// FuzzOpenDeviceAnswer: nobody who does not know the key makes an answer.
func FuzzOpenDeviceAnswer(f *testing.F) {
	k, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	good, err := SealDeviceAnswer(k.PublicKey(), "HOI", []byte(`{"token_type":"Bearer"}`))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add("....")
	f.Add("eyJhbGciOiJFQ0RILUVTIiwiZW5jIjoiQTI1NkdDTSJ9..AAAA.AAAA.AAAA")
	f.Fuzz(func(t *testing.T, s string) {
		if plain, err := OpenDeviceAnswer(k, "HOI", s); (err == nil) != (s == good) || err != nil && plain != nil {
			t.Fatalf("%q: %v", s, err)
		}
	})
}
