package keystore

import (
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"sync"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/tpmio"
)

// The data key of a user is what refresh tokens rest under (DPAPI in Windows, source
// documents s2 and s3). It is made here and rests wrapped twice: inside, under a key
// from the identity provider, which delivers it under a session key to who may use a
// PRT now; outside, under the data key of the registration, which only the TPM unseals.
// So neither the disk, nor the disk with the TPM, nor the identity provider opens it.
// Once unlocked it is in the memory of the agent until it is locked again, the
// registration ends, or the agent does: after a cold start it is locked.

const (
	userKeyVersion = 1
	userKeySize    = 32 // bytes, AES-256
	generationSize = 16 // bytes
	maxWrappedKey  = 1 << 10
	purposeUserKey = "data key of a user"
	// maxUserKeys bounds the unlocked keys: a device has a handful of users.
	maxUserKeys = 1024
)

// ProviderKey is the identity provider's key for a user on this device.
type ProviderKey struct {
	// ID tells it from one that came in its place.
	ID string
	// Key is 32 bytes; the caller wipes it.
	Key secret.Bytes
}

// userKeyOf is whose a data key is. A user's PRTs of all kinds share it.
type userKeyOf struct {
	set, caller string
	tenant      ids.TenantID
	user        ids.UserID
}

func ofUser(set *keySet, o Owner) userKeyOf { return userKeyOf{set.ID, o.Caller, o.Tenant, o.User} }

// userKey is an unlocked data key.
type userKey struct {
	// generation tells it from one that was made in its place; hex.
	generation string
	key        secret.Bytes
}

// userKeys are the unlocked ones.
type userKeys struct {
	mu   sync.Mutex
	keys map[userKeyOf]userKey
}

// get copies a key, so that it may be locked while it is used; the caller wipes the
// copy.
func (u *userKeys) get(of userKeyOf) (userKey, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	k, ok := u.keys[of]
	if !ok {
		return userKey{}, false
	}
	c := make([]byte, userKeySize)
	copy(c, k.key.Reveal())
	return userKey{k.generation, secret.NewBytes(c)}, true
}

// put keeps a key in the place of the one before.
func (u *userKeys) put(of userKeyOf, k userKey) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.keys == nil {
		u.keys = map[userKeyOf]userKey{}
	}
	old, there := u.keys[of]
	if !there && len(u.keys) >= maxUserKeys {
		return prterr.New(prterr.Exhausted, "too many users have their data key unlocked: sign some of them off")
	}
	old.key.Wipe()
	u.keys[of] = k
	return nil
}

// wipe forgets those that gone says.
func (u *userKeys) wipe(gone func(userKeyOf) bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for of, k := range u.keys {
		if gone(of) {
			k.key.Wipe()
			delete(u.keys, of)
		}
	}
}

// errLocked tells the authority of the PRT to unlock first.
func errLocked() error {
	return prterr.New(prterr.Conflict, "the data key of this user is locked: unlock it with the identity provider's key").WithHRESULT(tpmio.HRESULTLocked)
}

// errWrapped is the one answer to a wrapped key that does not open, whichever of the
// two wraps it was.
func errWrapped() error { return prterr.New(prterr.Denied, "data_key: it is not usable here") }

// userKey is the unlocked data key of an owner's user, or errLocked. The root of the
// registration is compared each time: once the TPM is known to be another one, nothing
// of this device is used, although the key is still in memory.
func (s *Store) userKey(ctx context.Context, o Owner) (*keySet, userKey, error) {
	set, p, err := s.currentFor(o.Caller)
	if err != nil {
		return nil, userKey{}, err
	}
	var k userKey
	u := use{what: "use the data key of a user", purpose: purposeData, set: set.ID, owner: o}
	err = p.run(ctx, u, func(*tpmio.Conn) error {
		if err := p.same(set); err != nil {
			return err
		}
		var unlocked bool
		if k, unlocked = s.users.get(ofUser(set, o)); !unlocked {
			return errLocked()
		}
		return nil
	})
	return set, k, err
}

// CreateUserKey makes a data key for an owner's user, unlocked from then on, and gives
// it back wrapped. What rests under an earlier one opens no more.
func (s *Store) CreateUserKey(ctx context.Context, o Owner, provider ProviderKey) ([]byte, error) {
	set, outer, err := s.dataAEAD(ctx, o)
	if err != nil {
		return nil, err
	}
	raw, generation := make([]byte, userKeySize), make([]byte, generationSize)
	_, _ = rand.Read(raw) // never fails: crypto/rand ends the process instead
	_, _ = rand.Read(generation)
	k := userKey{hex.EncodeToString(generation), secret.NewBytes(raw)}
	var inner []byte
	secret.Do(func() { inner, err = wrapInner(set, o, provider, generation, k.key) })
	if err != nil {
		return nil, prterr.Wrap(prterr.Internal, err, "the data key does not wrap")
	}
	nonce := make([]byte, outer.NonceSize())
	_, _ = rand.Read(nonce)
	wrapped := outer.Seal(append([]byte{userKeyVersion}, nonce...), nonce, inner, wrapLabel(set, o))
	return wrapped, s.users.put(ofUser(set, o), k)
}

// UnlockUserKey opens a wrapped data key; one that is unlocked already is replaced by
// the same.
func (s *Store) UnlockUserKey(ctx context.Context, o Owner, provider ProviderKey, wrapped []byte) error {
	set, outer, err := s.dataAEAD(ctx, o)
	if err != nil {
		return err
	}
	n := 1 + outer.NonceSize()
	if len(wrapped) < n || len(wrapped) > maxWrappedKey || wrapped[0] != userKeyVersion {
		return errWrapped()
	}
	inner, err := outer.Open(nil, wrapped[1:n], wrapped[n:], wrapLabel(set, o))
	if err != nil || len(inner) < generationSize {
		return errWrapped()
	}
	generation := inner[:generationSize]
	raw := make([]byte, userKeySize)
	secret.Do(func() { err = openInner(set, o, provider, generation, inner[generationSize:], raw) })
	if err != nil {
		return errWrapped()
	}
	return s.users.put(ofUser(set, o), userKey{hex.EncodeToString(generation), secret.NewBytes(raw)})
}

// LockUserKey forgets the data key of a user of a caller. One that is locked already is
// no error.
func (s *Store) LockUserKey(caller string, tenant ids.TenantID, user ids.UserID) {
	s.users.wipe(func(of userKeyOf) bool { return of.caller == caller && of.tenant == tenant && of.user == user })
}

// wrapInner is the generation, and behind it the key under the provider's.
func wrapInner(set *keySet, o Owner, provider ProviderKey, generation []byte, key secret.Bytes) ([]byte, error) {
	under, err := providerKey(set, o, provider, generation)
	if err != nil {
		return nil, err
	}
	defer under.Wipe()
	return seal(under, append([]byte(nil), generation...), key.Reveal(), wrapLabel(set, o))
}

func openInner(set *keySet, o Owner, provider ProviderKey, generation, sealed, into []byte) error {
	under, err := providerKey(set, o, provider, generation)
	if err != nil {
		return err
	}
	defer under.Wipe()
	plain, err := unseal(under, sealed, wrapLabel(set, o))
	defer clear(plain)
	if err == nil && copy(into, plain) != userKeySize {
		err = errWrapped()
	}
	return err
}

// providerKey is the key of the inner wrap: HKDF-SHA256 (RFC 5869) of the provider's
// key, for one owner, one key of the provider and one data key.
func providerKey(set *keySet, o Owner, provider ProviderKey, generation []byte) (secret.Bytes, error) {
	info := labelled(purposeUserKey, set.ID, o.Caller, string(o.Tenant), string(o.User), provider.ID, string(generation))
	k, err := hkdf.Key(sha256.New, provider.Key.Reveal(), nil, string(info), userKeySize)
	return secret.NewBytes(k), err
}

// wrapLabel is what a wrapped key is bound to. The kind of credential is not in it:
// the user's partitions share the key.
func wrapLabel(set *keySet, o Owner) []byte {
	return labelled(purposeUserKey, set.ID, o.Caller, string(o.Tenant), string(o.User))
}
