package keystore

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"

	"github.com/google/go-tpm/tpm2"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/tpmio"
)

const (
	dataKeySize = 32 // bytes, AES-256
	// maxSealedToken bounds a sealed refresh token in bytes.
	maxSealedToken = 32 << 10
	tokenVersion   = 1
)

// dataKey is the key that refresh tokens of this device rest under, in the memory
// of the agent once the TPM has unsealed it. Random nonces of 96 bits are safe for
// it: a device seals some thousands of tokens in its life, far below 2^32.
type dataKey struct {
	key  secret.Bytes
	aead cipher.AEAD
}

// SealToken seals an app's refresh token for one owner and one client.
func (s *Store) SealToken(ctx context.Context, o Owner, client ids.ClientID, token secret.Text) ([]byte, error) {
	set, aead, err := s.dataAEAD(ctx)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+1+len(token.Reveal())+aead.Overhead())
	_, _ = rand.Read(nonce) // never fails: crypto/rand ends the process instead
	sealed := aead.Seal(nonce, nonce, []byte(token.Reveal()), label(set, o, client))
	if len(sealed)+1 > maxSealedToken {
		return nil, prterr.New(prterr.Invalid, "refresh_token: it is larger than %d bytes", maxSealedToken)
	}
	return append([]byte{tokenVersion}, sealed...), nil
}

// OpenToken opens what SealToken sealed for the same owner and client.
func (s *Store) OpenToken(ctx context.Context, o Owner, client ids.ClientID, sealed []byte) (secret.Text, error) {
	set, aead, err := s.dataAEAD(ctx)
	if err != nil {
		return secret.Text{}, err
	}
	n := 1 + aead.NonceSize()
	if len(sealed) < n || len(sealed) > maxSealedToken || sealed[0] != tokenVersion {
		return secret.Text{}, errToken()
	}
	token, err := aead.Open(nil, sealed[1:n], sealed[n:], label(set, o, client))
	if err != nil {
		return secret.Text{}, errToken()
	}
	return secret.NewText(string(token)), nil
}

func errToken() error {
	return prterr.New(prterr.Denied, "refresh_token: it is not usable here")
}

// label is what a sealed token is bound to, each part led by its length.
func label(set *keySet, o Owner, client ids.ClientID) []byte {
	var b []byte
	for _, p := range []string{purposeToken, set.ID, o.Caller, string(o.Tenant), string(o.User), o.Kind, string(client)} {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(p))), p...)
	}
	return b
}

// dataAEAD has the TPM unseal the data key of the installed set, once.
func (s *Store) dataAEAD(ctx context.Context) (*keySet, cipher.AEAD, error) {
	set, err := s.current()
	if err != nil {
		return nil, nil, err
	}
	var aead cipher.AEAD
	err = s.run(ctx, "unseal the data key", func(c *tpmio.Conn) error {
		if d, ok := s.data[set.ID]; ok {
			aead = d.aead
			return nil
		}
		if err := s.sameRoot(set); err != nil {
			return err
		}
		d, err := s.unsealData(c, set)
		if err != nil {
			return err
		}
		s.data[set.ID], aead = d, d.aead
		return nil
	})
	return set, aead, err
}

func (s *Store) unsealData(c *tpmio.Conn, set *keySet) (dataKey, error) {
	handle, err := s.load(c, set.Data)
	if err != nil {
		return dataKey{}, err
	}
	auth := s.authData(set)
	defer auth.Wipe()
	item, err := s.authorised(handle, set.Data, auth)
	if err != nil {
		return dataKey{}, err
	}
	r, err := tpm2.Unseal{ItemHandle: item}.Execute(c)
	if err != nil {
		return dataKey{}, err
	}
	key := secret.NewBytes(r.OutData.Buffer)
	if key.Len() != dataKeySize {
		return dataKey{}, errors.New("the data key has a wrong size")
	}
	block, err := aes.NewCipher(key.Reveal())
	if err != nil {
		return dataKey{}, err
	}
	aead, err := cipher.NewGCM(block)
	return dataKey{key, aead}, err
}
