package keystore

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"sync"

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

// dataKeys are the unsealed data keys by set.
type dataKeys struct {
	mu   sync.Mutex
	keys map[string]dataKey
}

func (d *dataKeys) get(id string) (dataKey, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	k, ok := d.keys[id]
	return k, ok
}

func (d *dataKeys) put(id string, k dataKey) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.keys == nil {
		d.keys = map[string]dataKey{}
	}
	d.keys[id] = k
}

// drop forgets the data key of a set.
func (d *dataKeys) drop(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if k, ok := d.keys[id]; ok {
		k.key.Wipe()
		delete(d.keys, id)
	}
}

// wipe forgets all.
func (d *dataKeys) wipe() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, k := range d.keys {
		k.key.Wipe()
		delete(d.keys, id)
	}
}

// SealToken seals an app's refresh token for one owner and one client.
func (s *Store) SealToken(ctx context.Context, o Owner, client ids.ClientID, token secret.Text) ([]byte, error) {
	set, aead, err := s.dataAEAD(ctx, o)
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
	set, aead, err := s.dataAEAD(ctx, o)
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

// dataAEAD has the TPM unseal the data key of the installed set, once. The set's root
// is compared each time: once the TPM is known to be another one, nothing of this
// device is used, although the key is still in memory.
func (s *Store) dataAEAD(ctx context.Context, o Owner) (*keySet, cipher.AEAD, error) {
	set, p, err := s.currentFor(o.Caller)
	if err != nil {
		return nil, nil, err
	}
	var aead cipher.AEAD
	u := use{what: "use the data key", purpose: purposeData, set: set.ID, owner: o}
	err = p.run(ctx, u, func(c *tpmio.Conn) error {
		if err := p.same(set); err != nil {
			return err
		}
		d, ok := s.data.get(set.ID)
		if !ok {
			var err error
			if d, err = s.unsealData(c, p, set); err != nil {
				return err
			}
			s.data.put(set.ID, d)
		}
		aead = d.aead
		return nil
	})
	return set, aead, err
}

func (s *Store) unsealData(c *tpmio.Conn, p *chip, set *keySet) (dataKey, error) {
	handle, err := p.load(c, set.Data)
	if err != nil {
		return dataKey{}, err
	}
	auth := s.auth(set, purposeData)
	defer auth.Wipe()
	name, err := set.Data.name()
	if err != nil {
		return dataKey{}, err
	}
	r, err := tpm2.Unseal{ItemHandle: tpm2.AuthHandle{
		Handle: handle, Name: tpm2.TPM2BName{Buffer: name}, Auth: c.Session(auth.Reveal(), tpmio.FromTPM),
	}}.Execute(c)
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
