package entrawire

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"

	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/kdf"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

// ErrAnswer is the one error for an encrypted answer that is not taken, whatever
// is wrong with it: form, padding or what is inside. CBC has no tag, so a caller
// who could tell these apart could decrypt by asking.
var ErrAnswer = errors.New("answer is not an encrypted answer for this session")

// Answer is an encrypted answer (MS-OAPXBC 3.1.5.1.3; form seen in a captured
// exchange): a compact JWE that says A256GCM and is AES-256-CBC with PKCS#7
// padding under a key derived by version 1 from the session key and Ctx.
type Answer struct {
	// Ctx is the context of the derivation, 16 to 64 bytes.
	Ctx []byte
	// IV is 16 bytes, Ciphertext at least one block.
	IV, Ciphertext []byte
}

// Shape is what can be in an answer: *PRTAnswer and *TokenAnswer.
type Shape interface {
	// adopt decodes and validates, and changes the receiver only when both succeed.
	adopt(plain []byte) error
}

// SealAnswer encrypts an answer under a fresh ctx and IV. There is no integrity
// but the channel's: that is how the protocol is.
func SealAnswer(sessionKey secret.Bytes, plaintext []byte) (string, error) {
	var fresh [ContextSize + aes.BlockSize]byte
	_, _ = rand.Read(fresh[:]) // never fails: crypto/rand ends the process instead
	return sealAnswer(sessionKey, plaintext, fresh[:ContextSize], fresh[ContextSize:])
}

func sealAnswer(sessionKey secret.Bytes, plaintext, ctx, iv []byte) (string, error) {
	if sessionKey.Len() != kdf.KeySize {
		return "", ErrSessionKey
	}
	derived := kdf.Derive(sessionKey, ctx)
	defer derived.Wipe()
	pad := aes.BlockSize - len(plaintext)%aes.BlockSize
	text := make([]byte, len(plaintext)+pad)
	copy(text, plaintext)
	for i := len(plaintext); i < len(text); i++ {
		text[i] = byte(pad)
	}
	if err := cryptBlocks(cipher.NewCBCEncrypter, derived, iv, text, text); err != nil {
		return "", ErrSessionKey
	}
	header := `{"alg":"dir","enc":"A256GCM","ctx":"` + base64.StdEncoding.EncodeToString(ctx) + `"}`
	return jose.EncodeSegment([]byte(header)) + ".." + jose.EncodeSegment(iv) + "." + jose.EncodeSegment(text) + ".", nil
}

// ParseAnswer reads an encrypted answer of exactly that form: alg dir, enc
// A256GCM, a ctx (and kid "session", which the specification has), no encrypted
// key, an IV of 16 bytes, whole blocks, no tag. Plain JSON is not an answer.
// Every failure is ErrAnswer.
func ParseAnswer(s string) (*Answer, error) {
	parts, err := jose.Split(s, 5)
	if err != nil || parts[1] != "" || parts[4] != "" {
		return nil, ErrAnswer
	}
	a := new(Answer)
	err = checkHeader(parts[0], map[string]string{"alg": "dir", "enc": "A256GCM"}, func(name, value string) bool {
		switch name {
		case "ctx":
			a.Ctx, err = jose.DecodeStd(value)
			return err == nil
		case "kid":
			return value == "session"
		}
		return false
	})
	if err != nil || len(a.Ctx) < jose.MinContext || len(a.Ctx) > jose.MaxContext {
		return nil, ErrAnswer
	}
	if a.IV, err = jose.DecodeSegment(parts[2]); err != nil || len(a.IV) != aes.BlockSize {
		return nil, ErrAnswer
	}
	a.Ciphertext, err = jose.DecodeSegment(parts[3])
	if err != nil || len(a.Ciphertext) == 0 || len(a.Ciphertext)%aes.BlockSize != 0 {
		return nil, ErrAnswer
	}
	return a, nil
}

// KDFInput is the message whose HMAC under the session key is the derived key:
// for a session key in a TPM.
func (a *Answer) KDFInput() []byte { return kdf.Input(a.Ctx) }

// Open decrypts with the derived key. Every failure is ErrAnswer. Success proves
// nothing about who made the answer; use OpenInto unless the bytes are wanted.
func (a *Answer) Open(derived secret.Bytes) ([]byte, error) {
	if derived.Len() != kdf.KeySize || len(a.IV) != aes.BlockSize || len(a.Ciphertext) == 0 || len(a.Ciphertext)%aes.BlockSize != 0 {
		return nil, ErrAnswer
	}
	text := make([]byte, len(a.Ciphertext))
	if err := cryptBlocks(cipher.NewCBCDecrypter, derived, a.IV, text, a.Ciphertext); err != nil {
		return nil, ErrAnswer
	}
	n, ok := unpad(text)
	if ok != 1 {
		clear(text)
		return nil, ErrAnswer
	}
	return text[:n], nil
}

// cryptBlocks leaves nothing of the key schedule behind where the toolchain can
// erase it; no method of crypto/aes does.
func cryptBlocks(mode func(cipher.Block, []byte) cipher.BlockMode, key secret.Bytes, iv, dst, src []byte) (err error) {
	secret.Do(func() {
		var block cipher.Block
		if block, err = aes.NewCipher(key.Reveal()); err == nil {
			mode(block, iv).CryptBlocks(dst, src)
		}
	})
	return err
}

// unpad checks PKCS#7 padding: it looks at all of the last block whatever it
// holds, so its time tells nothing. ok is 1 or 0; n counts only when ok is 1.
func unpad(text []byte) (n, ok int) {
	last := text[len(text)-aes.BlockSize:]
	pad := int(last[aes.BlockSize-1])
	ok = subtle.ConstantTimeLessOrEq(1, pad) & subtle.ConstantTimeLessOrEq(pad, aes.BlockSize)
	for i, b := range last {
		padding := subtle.ConstantTimeLessOrEq(aes.BlockSize-i, pad)
		ok &= subtle.ConstantTimeSelect(padding, subtle.ConstantTimeByteEq(b, byte(pad)), 1)
	}
	return len(text) - pad, ok
}

// OpenInto decrypts, decodes and validates the answer. Every failure is
// ErrAnswer, and then into is as it was.
func (a *Answer) OpenInto(derived secret.Bytes, into Shape) error {
	plain, err := a.Open(derived)
	return adoptOpened(plain, err, into)
}

// adoptOpened reads a decrypted answer and wipes it.
func adoptOpened(plain []byte, err error, into Shape) error {
	defer clear(plain)
	if err != nil || into.adopt(plain) != nil {
		return ErrAnswer
	}
	return nil
}

// OpenAnswer opens with a session key in software: for tests, tools and
// conformance runs. Every failure is ErrAnswer.
func OpenAnswer(s string, sessionKey secret.Bytes) ([]byte, error) {
	a, err := ParseAnswer(s)
	if err != nil || sessionKey.Len() != kdf.KeySize {
		return nil, ErrAnswer
	}
	derived := kdf.Derive(sessionKey, a.Ctx)
	defer derived.Wipe()
	return a.Open(derived)
}
