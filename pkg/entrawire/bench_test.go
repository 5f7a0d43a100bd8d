package entrawire

import (
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/kdf"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

func BenchmarkVerifySession(b *testing.B) {
	key := fixedKey()
	r := renewal()
	r.RefreshToken = secret.NewText("0." + strings.Repeat("A", 1500))
	claims, err := r.Encode()
	if err != nil {
		b.Fatal(err)
	}
	s, err := SignSession(claims, key, 2)
	if err != nil {
		b.Fatal(err)
	}
	tok := mustParse(b, s)
	b.Run("HMAC", func(b *testing.B) {
		for b.Loop() {
			if err := VerifySession(tok, key); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("ParseClaimsHMAC", func(b *testing.B) {
		for b.Loop() {
			tok := mustParse(b, s)
			var r SessionRequest
			if err := tok.Claims(&r); err != nil {
				b.Fatal(err)
			}
			if err := VerifySession(tok, key); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkAnswer(b *testing.B) {
	key := fixedKey()
	answer := somePRTAnswer()
	answer.RefreshToken = secret.NewText("0." + strings.Repeat("A", 1500))
	plain, err := answer.Encode()
	if err != nil {
		b.Fatal(err)
	}
	s, err := SealAnswer(key, plain)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("Seal", func(b *testing.B) {
		for b.Loop() {
			if _, err := SealAnswer(key, plain); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("ParseOpenInto", func(b *testing.B) {
		for b.Loop() {
			a, err := ParseAnswer(s)
			if err != nil {
				b.Fatal(err)
			}
			var into PRTAnswer
			if err := a.OpenInto(kdf.Derive(key, a.Ctx), &into); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkSealSessionKey(b *testing.B) {
	tk, key := newRSA(b), fixedKey()
	for b.Loop() {
		if _, err := SealSessionKey(&tk.PublicKey, key); err != nil {
			b.Fatal(err)
		}
	}
}
