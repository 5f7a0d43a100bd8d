package issuance

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// Vault keeps keys over a restart, in the clear: whoever reads it has them.
type Vault = store.Documents

// The names of what is in the vault.
const (
	// KeyKind is the kind of all documents that are keys.
	KeyKind      = "key"
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

// read makes the keys of a document: the signing keys, nil when there are none, and the
// sealing keys.
func (kept keptRing) read() (*signingKeys, []sealed.Key, error) {
	var sealing []sealed.Key
	for _, k := range kept.Sealing {
		sealing = append(sealing, sealed.Key{ID: k.ID, Key: secret.NewBytes(k.Key)})
	}
	s := &signingKeys{}
	for i, der := range kept.Signing {
		k, err := signingKeyOf(der)
		switch {
		case err != nil:
			return nil, nil, err
		case i == 0:
			s.now = k
		default:
			s.before = append(s.before, k)
		}
	}
	if s.now == nil {
		return nil, sealing, nil
	}
	var err error
	if len(kept.Next) > 0 {
		s.next, err = signingKeyOf(kept.Next)
	}
	return s, sealing, err
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
		return nil, fmt.Errorf("key of the vault: %w", err)
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New("key of the vault is not RSA")
	}
	return key, nil
}

// document is the state s and the sealing keys as they are kept. A
// signing key that was given is somebody else's to keep: then those made after it
// are not kept either, and a restart begins with the given one.
func (a *Authority) document(s *signingKeys, sealing []sealed.Key) ([]byte, error) {
	var kept keptRing
	for _, k := range sealing {
		kept.Sealing = append(kept.Sealing, keptSealing{ID: k.ID, Key: k.Key.Reveal()})
	}
	if a.given {
		return json.Marshal(kept)
	}
	for _, k := range append([]*signingKey{s.now}, s.before...) {
		der, err := x509.MarshalPKCS8PrivateKey(k.signer)
		if err != nil {
			return nil, fmt.Errorf("token-signing key does not go into the vault: %w", err)
		}
		kept.Signing = append(kept.Signing, der)
	}
	if s.next != nil {
		var err error
		if kept.Next, err = x509.MarshalPKCS8PrivateKey(s.next.signer); err != nil {
			return nil, fmt.Errorf("token-signing key does not go into the vault: %w", err)
		}
	}
	return json.Marshal(kept)
}

// errOther says that another authority changed the keys meanwhile; ours are those now.
var errOther = errors.New("the keys were changed elsewhere at the same time: try again")

// save puts keys in the place of those that this authority saw last. When those are not
// the ones in the vault, another authority was faster: then what it put there counts,
// and errOther is returned. The lock is held.
func (a *Authority) save(s *signingKeys, sealing []sealed.Key) error {
	if a.vault == nil {
		return nil
	}
	raw, err := a.document(s, sealing)
	if err != nil || bytes.Equal(raw, a.stands) {
		return err
	}
	stands, err := a.vault.SwapDocument(context.Background(), KeyKind, tokenKeys, a.stands, raw)
	if err != nil {
		return fmt.Errorf("keys do not go into the vault: %w", err)
	}
	if !bytes.Equal(stands, raw) {
		if err := a.take(stands); err != nil {
			return err
		}
		return errOther
	}
	a.stands = raw
	return nil
}

// agree keeps the keys that New found or made; of several that begin at once all have
// those of the fastest.
func (a *Authority) agree() error {
	a.rotating.Lock()
	defer a.rotating.Unlock()
	for range maxRaces {
		err := a.save(a.signing(), a.sealing)
		if !errors.Is(err, errOther) {
			return err
		}
	}
	return errOther
}

// maxRaces bounds how often a change of keys is made again because another authority
// made one. Each round one of them gets through.
const maxRaces = 16

// adopt looks at what the vault has, and takes it over when it is something else. The
// lock is held, or nobody else has the authority yet.
func (a *Authority) adopt(ctx context.Context) error {
	if a.vault == nil {
		return nil
	}
	raw, err := a.vault.Document(ctx, KeyKind, tokenKeys)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return fmt.Errorf("keys of the vault: %w", err)
	case bytes.Equal(raw, a.stands):
		return nil
	}
	return a.take(raw)
}

// take makes the keys of a document ours.
func (a *Authority) take(raw []byte) error {
	var kept keptRing
	if err := json.Unmarshal(raw, &kept); err != nil {
		return fmt.Errorf("keys of the vault: %w", err)
	}
	signing, sealing, err := kept.read()
	if err == nil && len(sealing) > 0 {
		err = a.ring.Use(sealing...)
	}
	if err != nil {
		return fmt.Errorf("keys of the vault: %w", err)
	}
	if len(sealing) > 0 {
		a.sealing = sealing
	}
	if signing != nil && !a.given {
		a.keys.Store(signing)
	}
	a.stands = raw
	return nil
}

// Refresh takes over what another authority with the same vault changed.
func (a *Authority) Refresh(ctx context.Context) error {
	a.rotating.Lock()
	defer a.rotating.Unlock()
	return a.adopt(ctx)
}

// lookEvery is how often an authority looks for keys that it does not know, at most:
// anybody can make up the name of one.
const lookEvery = time.Second

// lookTime bounds one such look.
const lookTime = 5 * time.Second

// look is Refresh for who met a key that is not known here. Of many who do at once one
// looks and the others wait for it.
func (a *Authority) look() {
	a.looking.Lock()
	defer a.looking.Unlock()
	now := a.clock.Now()
	if since := now.Sub(a.looked); since >= 0 && since < lookEvery {
		return
	}
	a.looked = now
	ctx, cancel := context.WithTimeout(context.Background(), lookTime)
	defer cancel()
	_ = a.Refresh(ctx) // then the key stays unknown
}

// openDeviceCA reads the device authority of a tenant, or makes it. Of several that
// make it at once all have the first.
func (a *Authority) openDeviceCA(t ids.TenantID) (*deviceCA, error) {
	var kept keptAuthority
	ok, err := a.load(authorityKey+string(t), &kept)
	if err != nil {
		return nil, err
	}
	if ok {
		return kept.read()
	}
	ca, err := newDeviceCA(t, a.draw, a.clock.Now())
	if err != nil || a.vault == nil {
		return ca, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(ca.key)
	if err != nil {
		return nil, fmt.Errorf("key of the device authority: %w", err)
	}
	raw, err := json.Marshal(keptAuthority{Key: der, Certificate: ca.cert.Raw})
	if err == nil {
		raw, err = a.vault.SwapDocument(context.Background(), KeyKind, authorityKey+string(t), nil, raw)
	}
	if err == nil {
		err = json.Unmarshal(raw, &kept)
	}
	if err != nil {
		return nil, fmt.Errorf("key of the device authority: %w", err)
	}
	return kept.read()
}

func (kept keptAuthority) read() (*deviceCA, error) {
	key, err := rsaKeyOf(kept.Key)
	if err != nil {
		return nil, err
	}
	return deviceCAOf(key, kept.Certificate)
}

// load reads a document of the vault and reports whether it is there.
func (a *Authority) load(name string, into any) (bool, error) {
	if a.vault == nil {
		return false, nil
	}
	raw, err := a.vault.Document(context.Background(), KeyKind, name)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, into)
	}
	if err != nil {
		return false, fmt.Errorf("keys of the vault: %w", err)
	}
	return true, nil
}
