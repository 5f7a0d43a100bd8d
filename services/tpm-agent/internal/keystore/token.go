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
	// tokenVersion 2 is under the data key of the user. Tokens of version 1 were under
	// that of the device; they are not usable any more, and the PRT brings new ones.
	tokenVersion = 2
)

// dataKey is the key of a registration that only the TPM unseals, in the memory of the
// agent once it has: data keys of users rest under it. Random nonces of 96 bits are
// safe for it: a device seals some thousands of things in its life, far below 2^32.
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

// SealToken seals an app's refresh token for one owner and one client, under the data
// key of the user; that it is locked is errLocked.
func (s *Store) SealToken(ctx context.Context, o Owner, client ids.ClientID, token secret.Text) ([]byte, error) {
	set, k, err := s.userKey(ctx, o)
	if err != nil {
		return nil, err
	}
	defer k.key.Wipe()
	var sealed []byte
	secret.Do(func() {
		sealed, err = seal(k.key, []byte{tokenVersion}, []byte(token.Reveal()), label(set, o, k.generation, client))
	})
	if err == nil && len(sealed) > maxSealedToken {
		return nil, prterr.New(prterr.Invalid, "refresh_token: it is larger than %d bytes", maxSealedToken)
	}
	return sealed, err
}

// OpenToken opens what SealToken sealed for the same owner and client.
func (s *Store) OpenToken(ctx context.Context, o Owner, client ids.ClientID, sealed []byte) (token secret.Text, err error) {
	set, k, err := s.userKey(ctx, o)
	if err != nil {
		return secret.Text{}, err
	}
	defer k.key.Wipe()
	if len(sealed) == 0 || len(sealed) > maxSealedToken || sealed[0] != tokenVersion {
		return secret.Text{}, errToken()
	}
	secret.Do(func() {
		var plain []byte
		if plain, err = unseal(k.key, sealed[1:], label(set, o, k.generation, client)); err == nil {
			token = secret.NewText(string(plain))
			clear(plain)
		}
	})
	if err != nil {
		return secret.Text{}, errToken()
	}
	return token, nil
}

func errToken() error {
	return prterr.New(prterr.Denied, "refresh_token: it is not usable here")
}

// label is what a sealed token is bound to.
func label(set *keySet, o Owner, generation string, client ids.ClientID) []byte {
	return labelled(purposeToken, set.ID, o.Caller, string(o.Tenant), string(o.User), o.Kind, generation, string(client))
}

// labelled joins the parts of a label, each led by its length, so that no two lists of
// parts are the same bytes.
func labelled(parts ...string) (b []byte) {
	for _, p := range parts {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(p))), p...)
	}
	return b
}

// seal is AES-256-GCM with a random nonce, behind a head that is not encrypted.
func seal(key secret.Bytes, head, plain, bound []byte) ([]byte, error) {
	aead, err := gcm(key)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize())
	_, _ = rand.Read(nonce) // never fails: crypto/rand ends the process instead
	return aead.Seal(append(head, nonce...), nonce, plain, bound), nil
}

// unseal undoes it, without the head.
func unseal(key secret.Bytes, sealed, bound []byte) ([]byte, error) {
	aead, err := gcm(key)
	if err != nil {
		return nil, err
	}
	if len(sealed) < aead.NonceSize() {
		return nil, errors.New("too short")
	}
	return aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], bound)
}

func gcm(key secret.Bytes) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key.Reveal())
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
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
	aead, err := gcm(key)
	return dataKey{key, aead}, err
}
