package entrawire_test

import (
	"bytes"
	"testing"

	"github.com/google/go-tpm/tpm2/transport"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/entrawire/nativetest"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

// TestNative_SessionInATPM is a whole session whose key is in a TPM: imported from
// its text form, it signs what this package verifies and opens what it sealed.
func TestNative_SessionInATPM(t *testing.T) {
	nativetest.OnEvery(t, func(t *testing.T, tpm transport.TPM) {
		holder, key := nativetest.NewHolder(t, tpm), count(0, 32)
		text, err := nativetest.Wrap(t, holder.StorageKey(), nativetest.Parent(), key).Encode()
		if err != nil {
			t.Fatal(err)
		}
		session, err := holder.Import(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, claims := range []string{renewalClaims, `{"win_ver":"` + string(bytes.Repeat([]byte{'x'}, 5000)) + `"}`} {
			signed, err := session.SignSession([]byte(claims))
			if err != nil {
				t.Fatal(err)
			}
			tok, err := jose.Parse(signed)
			if err != nil {
				t.Fatal(err)
			}
			if err := entrawire.VerifySession(tok, secret.NewBytes(key)); err != nil || tok.Header.KDFVer != entrawire.KDF3 || len(tok.Header.Ctx) != entrawire.ContextSize {
				t.Errorf("%d bytes of claims: header %+v: %v", len(claims), tok.Header, err)
			}
			if err := entrawire.VerifySession(tok, secret.NewBytes(count(1, 32))); err == nil {
				t.Error("the signature verifies under another session key")
			}
		}
		for _, size := range []int{1, 15, 16, 17, 1007, 1008, 1009, 9000} {
			plain := count(7, size)
			sealed, err := entrawire.SealNativeAnswer(secret.NewBytes(key), plain)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := session.OpenAnswer(sealed); err != nil || !bytes.Equal(got, plain) {
				t.Errorf("%d bytes come back as %d: %v", size, len(got), err)
			}
		}
		sealed, err := entrawire.SealNativeAnswer(secret.NewBytes(count(1, 32)), []byte("{}"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := session.OpenAnswer(sealed); err != entrawire.ErrAnswer { //nolint:errorlint // the very same error
			t.Errorf("an answer of another session: %v", err)
		}
	})
}
