package entrawire

import (
	"crypto/rsa"
	"encoding/hex"
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

func hexOf(b []byte) string { return hex.EncodeToString(b) }

func TestSessionKeyRoundTrip(t *testing.T) {
	tk, key := newRSA(t), newSessionKey()
	s, err := SealSessionKey(&tk.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	got, err := UnwrapSessionKey(tk, s)
	if err != nil || !got.Equal(key) {
		t.Fatalf("unwrap: %v", err)
	}
	if strings.Contains(s, jose.EncodeSegment(key.Reveal())) {
		t.Error("the key stands in the clear")
	}
	if _, err := UnwrapSessionKey(newRSA(t), s); !errors.Is(err, ErrSessionKeyJWE) {
		t.Errorf("another transport key: %v", err)
	}
	j, err := ParseSessionKeyJWE(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Check(newSessionKey()); !errors.Is(err, ErrSessionKeyJWE) {
		t.Errorf("another session key: %v", err)
	}
	for name, part := range map[string][]byte{"iv": j.IV, "ciphertext": j.Ciphertext, "tag": j.Tag} {
		for i := range part {
			part[i] ^= 1
			if err := j.Check(key); !errors.Is(err, ErrSessionKeyJWE) {
				t.Errorf("%s byte %d changed: %v", name, i, err)
			}
			part[i] ^= 1
		}
	}
}

// A tag that verifies over another byte is not what Entra sends.
func TestSessionKeyFillerIsChecked(t *testing.T) {
	key := fixedKey()
	gcm, err := sessionGCM(key)
	if err != nil {
		t.Fatal(err)
	}
	for b, want := range map[byte]error{sessionKeyFiller: nil, 0x21: ErrSessionKeyJWE} {
		iv := make([]byte, gcmIVSize)
		sealed := gcm.Seal(nil, iv, []byte{b}, nil)
		j := &SessionKeyJWE{IV: iv, Ciphertext: sealed[:1], Tag: sealed[1:]}
		if err := j.Check(key); !errors.Is(err, want) {
			t.Errorf("plaintext %#x: %v", b, err)
		}
	}
}

func TestSealSessionKeyRefuses(t *testing.T) {
	tk := newRSA(t)
	for _, n := range []int{0, 16, 31, 33} {
		if _, err := SealSessionKey(&tk.PublicKey, secret.NewBytes(make([]byte, n))); !errors.Is(err, ErrSessionKey) {
			t.Errorf("key of %d bytes: %v", n, err)
		}
	}
	for name, pub := range map[string]*rsa.PublicKey{
		"nil":        nil,
		"exponent 3": {N: tk.N, E: 3},
		"2047 bits":  {N: new(big.Int).Rsh(tk.N, 1), E: rsaExponent},
		"even":       {N: new(big.Int).Sub(tk.N, big.NewInt(1)), E: rsaExponent},
	} {
		if _, err := SealSessionKey(pub, fixedKey()); !errors.Is(err, ErrRSAKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestT14_OtherSessionKeyJWEsAreRefused(t *testing.T) {
	good := load(t, "captured_exchange.json")["session_key_jwe"]
	p := strings.Split(good, ".")
	with := func(i int, s string) string {
		q := append([]string(nil), p...)
		q[i] = s
		return strings.Join(q, ".")
	}
	header := func(h string) string { return with(0, jose.EncodeSegment([]byte(h))) }
	if _, err := ParseSessionKeyJWE(header(`{"alg":"RSA-OAEP","enc":"A256GCM"}`)); err != nil {
		t.Errorf("header in the other order: %v", err)
	}
	for name, s := range map[string]string{
		"empty":                      "",
		"alg RSA1_5":                 header(`{"enc":"A256GCM","alg":"RSA1_5"}`),
		"alg RSA-OAEP-256":           header(`{"enc":"A256GCM","alg":"RSA-OAEP-256"}`),
		"alg dir":                    header(`{"enc":"A256GCM","alg":"dir"}`),
		"enc A128GCM":                header(`{"enc":"A128GCM","alg":"RSA-OAEP"}`),
		"no enc":                     header(`{"alg":"RSA-OAEP"}`),
		"zip":                        header(`{"enc":"A256GCM","alg":"RSA-OAEP","zip":"DEF"}`),
		"alg twice":                  header(`{"enc":"A256GCM","alg":"RSA-OAEP","alg":"dir"}`),
		"alg in upper case":          header(`{"enc":"A256GCM","ALG":"RSA-OAEP"}`),
		"null alg":                   header(`{"enc":"A256GCM","alg":null}`),
		"encrypted key of 255 bytes": with(1, jose.EncodeSegment(make([]byte, 255))),
		"iv of 16 bytes":             with(2, jose.EncodeSegment(make([]byte, 16))),
		"ciphertext of 2 bytes":      with(3, jose.EncodeSegment(make([]byte, 2))),
		"tag of 12 bytes":            with(4, jose.EncodeSegment(make([]byte, 12))),
		"line break in the tag":      with(4, p[4][:4]+"\n"+p[4][4:]),
		"six segments":               good + ".",
		"more than 64 KiB":           good + strings.Repeat("A", 64<<10),
	} {
		if _, err := ParseSessionKeyJWE(s); !errors.Is(err, ErrSessionKeyJWE) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
