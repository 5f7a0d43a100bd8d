package entrawire

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"

	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/kdf"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

// NativeAnswer is an encrypted answer for a session key in a TPM: a compact JWE that
// says A256GCM and is it (RFC 7516, RFC 7518 5.3), under a key derived by version 3
// from the session key and Ctx. The tag covers the header. It is GCM because a TPM
// does AES in counter mode and hands out neither the derived key nor a single block
// that a caller could not have asked for.
type NativeAnswer struct {
	// Ctx is the context of the derivation: 24 bytes and never 32, which is what a
	// request has. So no key of an answer is the key of a request.
	Ctx []byte
	// IV is 12 bytes, Ciphertext at least 1, Tag 16.
	IV, Ciphertext, Tag []byte

	header string // as transmitted: the additional data
}

// SealNativeAnswer encrypts an answer under a fresh ctx and IV.
func SealNativeAnswer(sessionKey secret.Bytes, plaintext []byte) (string, error) {
	var fresh [ContextSize + gcmIVSize]byte
	_, _ = rand.Read(fresh[:]) // never fails: crypto/rand ends the process instead
	return sealNativeAnswer(sessionKey, plaintext, fresh[:ContextSize], fresh[ContextSize:])
}

func sealNativeAnswer(sessionKey secret.Bytes, plaintext, ctx, iv []byte) (string, error) {
	if sessionKey.Len() != kdf.KeySize {
		return "", ErrSessionKey
	}
	derived := kdf.DeriveV3(sessionKey, ctx)
	defer derived.Wipe()
	gcm, err := sessionGCM(derived)
	if err != nil {
		return "", err
	}
	header := jose.EncodeSegment([]byte(`{"alg":"dir","enc":"A256GCM","ctx":"` + base64.StdEncoding.EncodeToString(ctx) + `"}`))
	sealed := gcm.Seal(nil, iv, plaintext, []byte(header))
	cut := len(sealed) - gcmTagSize
	return header + ".." + jose.EncodeSegment(iv) + "." + jose.EncodeSegment(sealed[:cut]) + "." + jose.EncodeSegment(sealed[cut:]), nil
}

// ParseNativeAnswer reads an answer of exactly the form that SealNativeAnswer
// writes; the header may have its three members in any order and has no other. It
// takes no answer in Entra's form, nor does ParseAnswer take this one: which form
// there must be is known from the session. Every failure is ErrAnswer.
func ParseNativeAnswer(s string) (*NativeAnswer, error) {
	parts, err := jose.Split(s, 5)
	if err != nil || parts[1] != "" {
		return nil, ErrAnswer
	}
	a := &NativeAnswer{header: parts[0]}
	err = checkHeader(parts[0], map[string]string{"alg": "dir", "enc": "A256GCM"}, func(name, value string) bool {
		if name != "ctx" {
			return false
		}
		a.Ctx, err = jose.DecodeStd(value)
		return err == nil
	})
	if err != nil || len(a.Ctx) != ContextSize {
		return nil, ErrAnswer
	}
	for i, into := range []*[]byte{&a.IV, &a.Ciphertext, &a.Tag} {
		if *into, err = jose.DecodeSegment(parts[i+2]); err != nil {
			return nil, ErrAnswer
		}
	}
	if !a.whole() {
		return nil, ErrAnswer
	}
	return a, nil
}

// IsAnswer reports whether s has the form of an encrypted answer, native or Entra's,
// for those who carry answers and open none.
func IsAnswer(s string) bool {
	if _, err := ParseAnswer(s); err == nil {
		return true
	}
	_, err := ParseNativeAnswer(s)
	return err == nil
}

func (a *NativeAnswer) whole() bool {
	return len(a.IV) == gcmIVSize && len(a.Ciphertext) > 0 && len(a.Tag) == gcmTagSize
}

// Open decrypts with the derived key as a block cipher, which may be one in
// software or Blocks that a TPM computed. A block that has a method Err() error is
// asked after the work, and its error refuses the answer. Every failure is
// ErrAnswer. Success proves that who made the answer has the session key.
func (a *NativeAnswer) Open(block cipher.Block) ([]byte, error) {
	if block == nil || block.BlockSize() != aes.BlockSize || !a.whole() {
		return nil, ErrAnswer
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, ErrAnswer
	}
	sealed := append(append(make([]byte, 0, len(a.Ciphertext)+gcmTagSize), a.Ciphertext...), a.Tag...)
	plain, err := gcm.Open(sealed[:0], a.IV, sealed, []byte(a.header))
	if f, ok := block.(interface{ Err() error }); ok && f.Err() != nil {
		err = f.Err()
	}
	if err != nil {
		clear(sealed)
		return nil, ErrAnswer
	}
	return plain, nil
}

// OpenInto decrypts, decodes and validates the answer. Every failure is
// ErrAnswer, and then into is as it was.
func (a *NativeAnswer) OpenInto(block cipher.Block, into Shape) error {
	plain, err := a.Open(block)
	return adoptOpened(plain, err, into)
}

// OpenNativeAnswer opens with a session key in software: for tests, tools and
// conformance runs. Every failure is ErrAnswer.
func OpenNativeAnswer(s string, sessionKey secret.Bytes) ([]byte, error) {
	a, err := ParseNativeAnswer(s)
	if err != nil || sessionKey.Len() != kdf.KeySize {
		return nil, ErrAnswer
	}
	derived := kdf.DeriveV3(sessionKey, a.Ctx)
	defer derived.Wipe()
	block, err := aes.NewCipher(derived.Reveal())
	if err != nil {
		return nil, ErrAnswer
	}
	return a.Open(block)
}
