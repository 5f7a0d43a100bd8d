package entrawire

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/jose"
)

func someNativeKey() NativeSessionKey {
	return NativeSessionKey{Public: bytes.Repeat([]byte{1}, 60), Seed: bytes.Repeat([]byte{2}, 68), Duplicate: bytes.Repeat([]byte{3}, 108)}
}

// nativeForm is the text form made by hand.
func nativeForm(header string, segments ...string) string {
	return jose.EncodeSegment([]byte(header)) + "." + strings.Join(segments, ".")
}

func TestNative_KeyComesBack(t *testing.T) {
	want := someNativeKey()
	s, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if by := nativeForm(`{"alg":"TPM2-Import","pub":"`+jose.EncodeSegment(want.Public)+`"}`, jose.EncodeSegment(want.Seed), "", jose.EncodeSegment(want.Duplicate), ""); s != by {
		t.Errorf("encoded as %s, want %s", s, by)
	}
	got, err := ParseNativeSessionKey(s)
	if err != nil || !bytes.Equal(got.Public, want.Public) || !bytes.Equal(got.Seed, want.Seed) || !bytes.Equal(got.Duplicate, want.Duplicate) {
		t.Errorf("read as %+v: %v", got, err)
	}
	swapped := nativeForm(`{"pub":"`+jose.EncodeSegment(want.Public)+`","alg":"TPM2-Import"}`, jose.EncodeSegment(want.Seed), "", jose.EncodeSegment(want.Duplicate), "")
	if _, err := ParseNativeSessionKey(swapped); err != nil {
		t.Errorf("members in the other order: %v", err)
	}
	for name, change := range map[string]func(*NativeSessionKey){
		"no public": func(k *NativeSessionKey) { k.Public = nil }, "no seed": func(k *NativeSessionKey) { k.Seed = nil },
		"no duplicate": func(k *NativeSessionKey) { k.Duplicate = nil }, "long public": func(k *NativeSessionKey) { k.Public = make([]byte, 513) },
		"long seed": func(k *NativeSessionKey) { k.Seed = make([]byte, 513) }, "long duplicate": func(k *NativeSessionKey) { k.Duplicate = make([]byte, 513) },
	} {
		k := someNativeKey()
		change(&k)
		if _, err := k.Encode(); !errors.Is(err, ErrNativeKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNative_KeyHasOneForm(t *testing.T) {
	pub, seed, dup := jose.EncodeSegment(someNativeKey().Public), jose.EncodeSegment(someNativeKey().Seed), jose.EncodeSegment(someNativeKey().Duplicate)
	head := `{"alg":"TPM2-Import","pub":"` + pub + `"}`
	rsa, err := SealSessionKey(&newRSA(t).PublicKey, newSessionKey())
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]string{
		"four segments":     nativeForm(head, seed, "", dup),
		"six segments":      nativeForm(head, seed, "", dup, "", ""),
		"an IV":             nativeForm(head, seed, "AAAA", dup, ""),
		"a tag":             nativeForm(head, seed, "", dup, "AAAA"),
		"no seed":           nativeForm(head, "", "", dup, ""),
		"no duplicate":      nativeForm(head, seed, "", "", ""),
		"long seed":         nativeForm(head, jose.EncodeSegment(make([]byte, 513)), "", dup, ""),
		"long duplicate":    nativeForm(head, seed, "", jose.EncodeSegment(make([]byte, 513)), ""),
		"long public":       nativeForm(`{"alg":"TPM2-Import","pub":"`+jose.EncodeSegment(make([]byte, 513))+`"}`, seed, "", dup, ""),
		"padding":           nativeForm(head, seed+"=", "", dup, ""),
		"line break":        nativeForm(head, seed[:4]+"\n"+seed[4:], "", dup, ""),
		"standard base64":   nativeForm(head, "++++"+seed, "", dup, ""),
		"stray bits":        nativeForm(head, seed[:len(seed)-1]+"D", "", dup, ""),
		"no pub":            nativeForm(`{"alg":"TPM2-Import"}`, seed, "", dup, ""),
		"empty pub":         nativeForm(`{"alg":"TPM2-Import","pub":""}`, seed, "", dup, ""),
		"pub standard":      nativeForm(`{"alg":"TPM2-Import","pub":"+/AA"}`, seed, "", dup, ""),
		"pub number":        nativeForm(`{"alg":"TPM2-Import","pub":1}`, seed, "", dup, ""),
		"pub twice":         nativeForm(`{"alg":"TPM2-Import","pub":"`+pub+`","pub":"`+pub+`"}`, seed, "", dup, ""),
		"another alg":       nativeForm(`{"alg":"RSA-OAEP","pub":"`+pub+`"}`, seed, "", dup, ""),
		"alg in lower case": nativeForm(`{"alg":"tpm2-import","pub":"`+pub+`"}`, seed, "", dup, ""),
		"enc":               nativeForm(`{"alg":"TPM2-Import","enc":"A256GCM","pub":"`+pub+`"}`, seed, "", dup, ""),
		"kid":               nativeForm(`{"alg":"TPM2-Import","kid":"x","pub":"`+pub+`"}`, seed, "", dup, ""),
		"header no object":  nativeForm(`[]`, seed, "", dup, ""),
		"empty":             "",
		"the form of Entra": rsa,
	} {
		if k, err := ParseNativeSessionKey(s); !errors.Is(err, ErrNativeKey) || k != nil {
			t.Errorf("%s: %v, %v", name, k, err)
		}
	}
	if good, err := someNativeKey().Encode(); err != nil {
		t.Error(err)
	} else if _, err := ParseSessionKeyJWE(good); !errors.Is(err, ErrSessionKeyJWE) {
		t.Errorf("a native key where one of Entra's form is due: %v", err)
	}
}

func FuzzParseNativeSessionKey(f *testing.F) {
	good, err := someNativeKey().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add("eyJhbGciOiJUUE0yLUltcG9ydCJ9....")
	f.Fuzz(func(t *testing.T, s string) {
		k, err := ParseNativeSessionKey(s)
		if err != nil {
			if !errors.Is(err, ErrNativeKey) {
				t.Fatalf("error %v", err)
			}
			return
		}
		again, err := k.Encode()
		if err != nil {
			t.Fatalf("%q is read and not written: %v", s, err)
		}
		_, want, _ := strings.Cut(s, ".")
		if _, got, _ := strings.Cut(again, "."); got != want {
			t.Fatalf("%q comes back as %q", want, got)
		}
	})
}
