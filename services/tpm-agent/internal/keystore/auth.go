package keystore

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

const (
	secretFile = "agent.secret"
	secretSize = 32
	// authBytes is the strength of an authorisation value: its text must not be
	// longer than a SHA-256 digest.
	authBytes = 24
)

// agentSecret is what the authorisation values of all keys are derived from. It
// lies in a file that only the agent reads: without it a blob is useless even to a
// program that may use the same TPM, and without the TPM it opens nothing.
type agentSecret struct{ key secret.Bytes }

func loadSecret(dir string) (agentSecret, error) {
	path := filepath.Join(dir, secretFile)
	b, err := durable.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		b = make([]byte, secretSize)
		_, _ = rand.Read(b) // never fails: crypto/rand ends the process instead
		err = durable.WriteFile(path, b, nil)
	}
	if err != nil {
		return agentSecret{}, fmt.Errorf("agent secret: %w", err)
	}
	if len(b) != secretSize {
		return agentSecret{}, fmt.Errorf("agent secret %s is damaged: it has %d bytes, not %d; restore it, or remove the folder and register the device again", path, len(b), secretSize)
	}
	return agentSecret{secret.NewBytes(b)}, nil
}

// auth derives the authorisation value of a key from what it is for and whose it
// is. Each part is led by its length, so that no two lists of parts are the same
// bytes.
func (a agentSecret) auth(parts ...string) secret.Bytes {
	m := hmac.New(sha256.New, a.key.Reveal())
	for _, p := range parts {
		var n [4]byte
		binary.BigEndian.PutUint32(n[:], uint32(len(p)))
		m.Write(n[:])
		m.Write([]byte(p))
	}
	// Text of 32 characters that holds 24 bytes: a TPM drops zero bytes at the end
	// of an authorisation value, and go-tpm 0.9.8 cuts it at the first zero byte
	// anywhere (hmacKeyFromAuthValue), so a value must have none.
	value := make([]byte, base64.RawURLEncoding.EncodedLen(authBytes))
	base64.RawURLEncoding.Encode(value, m.Sum(nil)[:authBytes])
	return secret.NewBytes(value)
}
