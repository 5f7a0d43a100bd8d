package entrawire

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"errors"
	"fmt"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/kdf"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

const (
	sessionKeyHeader = `{"enc":"A256GCM","alg":"RSA-OAEP"}`
	sessionKeyFiller = 0x20 // the one byte of plaintext that Entra encrypts
	gcmIVSize        = 12
	gcmTagSize       = 16
)

// ErrSessionKeyJWE is wrapped by every error about a wrapped session key.
var ErrSessionKeyJWE = errors.New("session_key_jwe is not a wrapped session key")

// SessionKeyJWE is a session key wrapped for a transport key: a compact JWE whose
// content encryption key is the session key itself. The content is one byte that
// nobody needs, and its tag is over empty additional data, where RFC 7516 would
// have the header (seen in a captured exchange).
type SessionKeyJWE struct {
	// EncryptedKey is the session key under RSA-OAEP with SHA-1, 256 bytes.
	EncryptedKey []byte
	// IV is 12 bytes, Ciphertext 1 byte, Tag 16 bytes.
	IV, Ciphertext, Tag []byte
}

// SealSessionKey wraps a session key of 32 bytes for tk, an RSA-2048 transport key.
func SealSessionKey(tk *rsa.PublicKey, key secret.Bytes) (string, error) {
	if err := checkRSA2048(tk); err != nil {
		return "", fmt.Errorf("transport key: %w", err)
	}
	var wrapped, sealed []byte
	var err error
	iv := make([]byte, gcmIVSize)
	_, _ = rand.Read(iv) // never fails: crypto/rand ends the process instead
	secret.Do(func() { wrapped, sealed, err = wrapSessionKey(tk, key, iv) })
	if err != nil {
		return "", err
	}
	return strings.Join([]string{
		jose.EncodeSegment([]byte(sessionKeyHeader)), jose.EncodeSegment(wrapped),
		jose.EncodeSegment(iv), jose.EncodeSegment(sealed[:1]), jose.EncodeSegment(sealed[1:]),
	}, "."), nil
}

func wrapSessionKey(tk *rsa.PublicKey, key secret.Bytes, iv []byte) (wrapped, sealed []byte, err error) {
	gcm, err := sessionGCM(key)
	if err != nil {
		return nil, nil, err
	}
	if wrapped, err = rsa.EncryptOAEP(sha1.New(), rand.Reader, tk, key.Reveal(), nil); err != nil {
		return nil, nil, fmt.Errorf("wrap session key: %w", err)
	}
	return wrapped, gcm.Seal(nil, iv, []byte{sessionKeyFiller}, nil), nil
}

// ParseSessionKeyJWE reads a wrapped session key of exactly the form that
// SealSessionKey writes; the header may have its two members in any order.
func ParseSessionKeyJWE(s string) (*SessionKeyJWE, error) {
	parts, err := jose.Split(s, 5)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSessionKeyJWE, err)
	}
	if err := checkHeader(parts[0], map[string]string{"alg": "RSA-OAEP", "enc": "A256GCM"}, nil); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSessionKeyJWE, err)
	}
	j := new(SessionKeyJWE)
	for i, f := range []struct {
		name string
		size int
		into *[]byte
	}{
		{"encrypted key", rsaModulusSize, &j.EncryptedKey}, {"iv", gcmIVSize, &j.IV},
		{"ciphertext", 1, &j.Ciphertext}, {"tag", gcmTagSize, &j.Tag},
	} {
		if *f.into, err = jose.DecodeSegment(parts[i+1]); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrSessionKeyJWE, f.name, err)
		}
		if len(*f.into) != f.size {
			return nil, fmt.Errorf("%w: %s is not %d bytes", ErrSessionKeyJWE, f.name, f.size)
		}
	}
	return j, nil
}

// Check reports whether key is the session key that was wrapped: the tag
// verifies under it with empty additional data. It guards against a blob that
// was damaged, not against one that somebody made up.
func (j *SessionKeyJWE) Check(key secret.Bytes) (err error) {
	secret.Do(func() { err = j.check(key) })
	return err
}

func (j *SessionKeyJWE) check(key secret.Bytes) error {
	gcm, err := sessionGCM(key)
	if err != nil {
		return err
	}
	plain, ok := openGCM(gcm, j.IV, j.Ciphertext, j.Tag, nil)
	if !ok || len(plain) != 1 || plain[0] != sessionKeyFiller {
		return ErrSessionKeyJWE
	}
	return nil
}

// openGCM takes an IV of 12 bytes and a tag of 16 and no other sizes: a short tag
// is one that can be guessed.
func openGCM(gcm cipher.AEAD, iv, text, tag, aad []byte) (plain []byte, ok bool) {
	if len(iv) != gcmIVSize || len(tag) != gcmTagSize {
		return nil, false
	}
	plain, err := gcm.Open(nil, iv, append(bytes.Clone(text), tag...), aad)
	return plain, err == nil
}

// UnwrapSessionKey unwraps with a transport key in software: for tests, tools and
// conformance runs. Every failure is ErrSessionKeyJWE.
func UnwrapSessionKey(tk crypto.Decrypter, s string) (secret.Bytes, error) {
	j, err := ParseSessionKeyJWE(s)
	if err != nil {
		return secret.Bytes{}, err
	}
	raw, err := tk.Decrypt(rand.Reader, j.EncryptedKey, &rsa.OAEPOptions{Hash: crypto.SHA1})
	if err != nil || len(raw) != kdf.KeySize {
		return secret.Bytes{}, ErrSessionKeyJWE
	}
	key := secret.NewBytes(raw)
	if err := j.Check(key); err != nil {
		key.Wipe()
		return secret.Bytes{}, err
	}
	return key, nil
}

func sessionGCM(key secret.Bytes) (cipher.AEAD, error) {
	if key.Len() != kdf.KeySize {
		return nil, ErrSessionKey
	}
	block, err := aes.NewCipher(key.Reveal())
	if err != nil {
		return nil, ErrSessionKey
	}
	return cipher.NewGCM(block)
}
