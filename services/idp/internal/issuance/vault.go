package issuance

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// Vault keeps keys over a restart, in the clear: whoever reads it has them.
type Vault = store.Documents

// The names of what is in the vault.
const (
	keyKind      = "key"
	tokenKeys    = "tokens"
	authorityKey = "device-authority/"
)

// keptRing is the signing and the sealing keys as they are kept. They are one
// document, so that a rotation is there whole or not at all.
type keptRing struct {
	// Signing is PKCS #8, the one in use first; Next is empty when none is announced.
	Signing [][]byte
	Next    []byte
	Sealing []keptSealing
}

type keptSealing struct {
	ID  uint32
	Key []byte
}

type keptAuthority struct{ Key, Certificate []byte }

// openKeys reads what the vault has: the sealing keys into the authority, unless
// they were given, and the signing keys, nil when there are none.
func (a *Authority) openKeys() (*signingKeys, error) {
	var kept keptRing
	if ok, err := a.load(tokenKeys, &kept); !ok {
		return nil, err
	}
	if len(a.sealing) == 0 {
		for _, k := range kept.Sealing {
			a.sealing = append(a.sealing, sealed.Key{ID: k.ID, Key: secret.NewBytes(k.Key)})
		}
	}
	s := &signingKeys{}
	for i, der := range kept.Signing {
		k, err := signingKeyOf(der)
		switch {
		case err != nil:
			return nil, err
		case i == 0:
			s.now = k
		default:
			s.before = append(s.before, k)
		}
	}
	if s.now == nil {
		return nil, nil
	}
	var err error
	if len(kept.Next) > 0 {
		s.next, err = signingKeyOf(kept.Next)
	}
	return s, err
}

func signingKeyOf(der []byte) (*signingKey, error) {
	key, err := rsaKeyOf(der)
	if err != nil {
		return nil, err
	}
	return newSigningKey(key)
}

func rsaKeyOf(der []byte) (*rsa.PrivateKey, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("key of the state folder: %w", err)
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New("key of the state folder is not RSA")
	}
	return key, nil
}

// saveKeys keeps the state s and the sealing keys, when there is a vault. A
// signing key that was given is somebody else's to keep: then those made after it
// are not kept either, and a restart begins with the given one.
func (a *Authority) saveKeys(s *signingKeys) error {
	if a.vault == nil {
		return nil
	}
	var kept keptRing
	for _, k := range a.sealing {
		kept.Sealing = append(kept.Sealing, keptSealing{ID: k.ID, Key: k.Key.Reveal()})
	}
	if a.given {
		return a.keep(tokenKeys, kept)
	}
	for _, k := range append([]*signingKey{s.now}, s.before...) {
		der, err := x509.MarshalPKCS8PrivateKey(k.signer)
		if err != nil {
			return fmt.Errorf("token-signing key does not go into the state folder: %w", err)
		}
		kept.Signing = append(kept.Signing, der)
	}
	if s.next != nil {
		var err error
		if kept.Next, err = x509.MarshalPKCS8PrivateKey(s.next.signer); err != nil {
			return fmt.Errorf("token-signing key does not go into the state folder: %w", err)
		}
	}
	return a.keep(tokenKeys, kept)
}

// openDeviceCA reads the device authority of a tenant, or makes it.
func (a *Authority) openDeviceCA(t ids.TenantID) (*deviceCA, error) {
	var kept keptAuthority
	ok, err := a.load(authorityKey+string(t), &kept)
	if err != nil {
		return nil, err
	}
	if ok {
		key, err := rsaKeyOf(kept.Key)
		if err != nil {
			return nil, err
		}
		return deviceCAOf(key, kept.Certificate)
	}
	ca, err := newDeviceCA(t, a.draw, a.clock.Now())
	if err != nil || a.vault == nil {
		return ca, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(ca.key)
	if err != nil {
		return nil, fmt.Errorf("key of the device authority: %w", err)
	}
	return ca, a.keep(authorityKey+string(t), keptAuthority{Key: der, Certificate: ca.cert.Raw})
}

// load reads a document of the vault and reports whether it is there.
func (a *Authority) load(name string, into any) (bool, error) {
	if a.vault == nil {
		return false, nil
	}
	raw, err := a.vault.Document(context.Background(), keyKind, name)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, into)
	}
	if err != nil {
		return false, fmt.Errorf("keys of the state folder: %w", err)
	}
	return true, nil
}

func (a *Authority) keep(name string, v any) error {
	raw, err := json.Marshal(v)
	if err == nil {
		err = a.vault.PutDocument(context.Background(), keyKind, name, raw)
	}
	if err != nil {
		return fmt.Errorf("keys do not go into the state folder: %w", err)
	}
	return nil
}
