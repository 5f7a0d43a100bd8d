package entrawire

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"os/exec"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/kdf"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

func TestAnswerRoundTrip(t *testing.T) {
	key := newSessionKey()
	for n := range 49 {
		want := bytes.Repeat([]byte{'x'}, n)
		s, err := SealAnswer(key, want)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := OpenAnswer(s, key); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: got %q, %v", n, got, err)
		}
		if again, err := SealAnswer(key, want); err != nil || again == s {
			t.Errorf("%d bytes: sealed twice alike, %v", n, err)
		}
	}
}

// TestA31_Attack11_EveryFlippedByteIsOneError flips each bit of IV and ciphertext. CBC
// has no tag, so some flips give padding that fits; the shape catches those. No
// flip is told from another.
func TestA31_Attack11_EveryFlippedByteIsOneError(t *testing.T) {
	key := fixedKey()
	plain, err := somePRTAnswer().Encode()
	if err != nil {
		t.Fatal(err)
	}
	s, err := sealAnswer(key, plain, make([]byte, ContextSize), bytes.Repeat([]byte{3}, aes.BlockSize))
	if err != nil {
		t.Fatal(err)
	}
	a, err := ParseAnswer(s)
	if err != nil {
		t.Fatal(err)
	}
	derived := kdf.Derive(key, a.Ctx)
	var into PRTAnswer
	if err := a.OpenInto(derived, &into); err != nil {
		t.Fatalf("unchanged answer: %v", err)
	}
	padded := 0
	for name, part := range map[string][]byte{"iv": a.IV, "ciphertext": a.Ciphertext} {
		for i := range part {
			for bit := range 8 {
				part[i] ^= 1 << bit
				if _, err := a.Open(derived); err == nil {
					padded++
				} else if err != ErrAnswer { //nolint:errorlint // the very same error, not one that wraps it
					t.Fatalf("%s byte %d bit %d: Open: %v", name, i, bit, err)
				}
				var got PRTAnswer
				if err := a.OpenInto(derived, &got); err != ErrAnswer { //nolint:errorlint // as above
					t.Fatalf("%s byte %d bit %d: OpenInto: %v", name, i, bit, err)
				}
				if !got.RefreshToken.Empty() {
					t.Fatalf("%s byte %d bit %d: something was adopted", name, i, bit)
				}
				part[i] ^= 1 << bit
			}
		}
	}
	if padded == 0 {
		t.Error("no flip left the padding whole, so the shape was never what refused it")
	}
}

func TestA31_Attack11_PaddingIsChecked(t *testing.T) {
	derived := fixedKey()
	for _, c := range []struct {
		name string
		tail []byte
		ok   bool
	}{
		{"one byte", []byte{1}, true},
		{"two bytes", []byte{2, 2}, true},
		{"a whole block", bytes.Repeat([]byte{16}, 16), true},
		{"zero", []byte{0}, false},
		{"seventeen", bytes.Repeat([]byte{17}, 16), false},
		{"255", []byte{255}, false},
		{"last of two differs", []byte{3, 2}, false},
		{"first of sixteen differs", append([]byte{15}, bytes.Repeat([]byte{16}, 15)...), false},
	} {
		text := append(bytes.Repeat([]byte{'x'}, 32-len(c.tail)), c.tail...)
		a := &Answer{IV: make([]byte, 16), Ciphertext: cbc(t, derived, text)}
		got, err := a.Open(derived)
		if (err == nil) != c.ok {
			t.Errorf("%s: error %v", c.name, err)
		}
		if c.ok && len(got) != 32-len(c.tail) {
			t.Errorf("%s: %d bytes left", c.name, len(got))
		}
	}
}

func cbc(t *testing.T, key secret.Bytes, text []byte) []byte {
	t.Helper()
	block, err := aes.NewCipher(key.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	out := make([]byte, len(text))
	cipher.NewCBCEncrypter(block, make([]byte, 16)).CryptBlocks(out, text)
	return out
}

func TestA31_Attack11_OtherFormsAreOneError(t *testing.T) {
	key := fixedKey()
	good, err := SealAnswer(key, []byte(`{"token_type":"Bearer"}`))
	if err != nil {
		t.Fatal(err)
	}
	p := strings.Split(good, ".")
	ctx := `"ctx":"` + strings.Repeat("A", 32) + `"`
	with := func(header string) string {
		return jose.EncodeSegment([]byte(header)) + "." + strings.Join(p[1:], ".")
	}
	if _, err := ParseAnswer(with(`{"alg":"dir","enc":"A256GCM",` + ctx + `,"kid":"session"}`)); err != nil {
		t.Errorf("kid session: %v", err)
	}
	for name, s := range map[string]string{
		"plain JSON (downgrade)": `{"token_type":"Bearer"}`,
		"empty":                  "",
		"no ctx":                 with(`{"alg":"dir","enc":"A256GCM"}`),
		"short ctx":              with(`{"alg":"dir","enc":"A256GCM","ctx":"AAAA"}`),
		"long ctx":               with(`{"alg":"dir","enc":"A256GCM","ctx":"` + strings.Repeat("A", 88) + `"}`),
		"ctx number":             with(`{"alg":"dir","enc":"A256GCM","ctx":1}`),
		"alg RSA-OAEP":           with(`{"alg":"RSA-OAEP","enc":"A256GCM",` + ctx + `}`),
		"enc A256CBC-HS512":      with(`{"alg":"dir","enc":"A256CBC-HS512",` + ctx + `}`),
		"enc twice":              with(`{"alg":"dir","enc":"A256GCM","enc":"A256GCM",` + ctx + `}`),
		"zip":                    with(`{"alg":"dir","enc":"A256GCM","zip":"DEF",` + ctx + `}`),
		"crit":                   with(`{"alg":"dir","enc":"A256GCM","crit":["x"],` + ctx + `}`),
		"kid of somebody":        with(`{"alg":"dir","enc":"A256GCM","kid":"other",` + ctx + `}`),
		"encrypted key":          strings.Join([]string{p[0], "AAAA", p[2], p[3], ""}, "."),
		"tag":                    good + "AAAAAAAAAAAAAAAAAAAAAA",
		"GCM-sized IV":           strings.Join([]string{p[0], "", "AAAAAAAAAAAAAAAA", p[3], ""}, "."),
		"no ciphertext":          strings.Join([]string{p[0], "", p[2], "", ""}, "."),
		"half a block":           strings.Join([]string{p[0], "", p[2], "AAAAAAAAAAA", ""}, "."),
		"four segments":          strings.TrimSuffix(good, "."),
		"six segments":           good + ".",
		"more than 64 KiB":       strings.Join([]string{p[0], "", p[2], strings.Repeat("A", 64<<10), ""}, "."),
		"a signed token":         "eyJhbGciOiJIUzI1NiJ9.e30.AA",
	} {
		if _, err := ParseAnswer(s); err != ErrAnswer { //nolint:errorlint // the very same error
			t.Errorf("%s: parse: %v", name, err)
		}
		if _, err := OpenAnswer(s, key); err != ErrAnswer { //nolint:errorlint // as above
			t.Errorf("%s: open: %v", name, err)
		}
	}
	if _, err := OpenAnswer(good, secret.Bytes{}); err != ErrAnswer { //nolint:errorlint // as above
		t.Errorf("empty session key: error %v", err)
	}
	a := &Answer{}
	if _, err := a.Open(key); err != ErrAnswer { //nolint:errorlint // as above
		t.Errorf("zero answer: error %v", err)
	}
}

func TestA34_AnswerInsertedCharacterRefused(t *testing.T) {
	s, err := SealAnswer(fixedKey(), []byte(`{"token_type":"Bearer"}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, ins := range []string{"\n", "\r", " ", "=", "."} {
		for i := 0; i <= len(s); i++ {
			if _, err := ParseAnswer(s[:i] + ins + s[i:]); err == nil {
				t.Fatalf("%q inserted at %d is taken", ins, i)
			}
		}
	}
}

// TestAnswerAgainstOpenSSL has OpenSSL decrypt what we sealed.
func TestAnswerAgainstOpenSSL(t *testing.T) {
	bin, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("no openssl in PATH to compare with")
	}
	key, want := newSessionKey(), `{"token_type":"Bearer","refresh_token":"0.x"}`
	s, err := SealAnswer(key, []byte(want))
	if err != nil {
		t.Fatal(err)
	}
	a, err := ParseAnswer(s)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, "enc", "-d", "-aes-256-cbc", "-K", hexOf(kdf.Derive(key, a.Ctx).Reveal()), "-iv", hexOf(a.IV))
	cmd.Stdin = bytes.NewReader(a.Ciphertext)
	if got, err := cmd.Output(); err != nil || string(got) != want {
		t.Errorf("openssl reads %q, %v", got, err)
	}
}
