// Package issuance makes everything that others will trust: PRTs, session keys,
// tokens, device certificates.
//
// What lives here: the sealing keys, the token-signing key, the device
// authorities, and what is written with them. What never may: a check of a
// request, a nonce or a credential; whoever calls it has done those. It is the
// only room with private keys, and none of them leaves it.
package issuance

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/kdf"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// rsaBits is the size of the keys made here. Entra's tokens are signed with 2048
// bits; 4096 would cost six times as much for every token.
const rsaBits = 2048

// Config of an authority.
type Config struct {
	Tenants *tenant.Set
	Clock   clock.Clock
	// Signer is the token-signing key, RSA of 2048 bits or more; it may be in a
	// hardware module. Nil makes one.
	Signer crypto.Signer
	// Vault keeps the keys made here over a restart; nil keeps them in this process. Of
	// several authorities with one vault all have the same keys.
	Vault Vault
	// DeviceKeys makes the keys of device authorities; nil draws them at random.
	DeviceKeys DrawKey
}

// Authority holds the keys. It is safe for concurrent use, and a change of keys
// makes no reader wait.
type Authority struct {
	clock clock.Clock
	vault Vault
	draw  DrawKey
	ring  *sealed.Ring
	first *later[*signingKey]
	keys  atomic.Pointer[signingKeys]
	cas   map[ids.TenantID]*later[*deviceCA]
	// given says that the signing key came from outside.
	given bool

	rotating sync.Mutex   // held by those who change keys
	sealing  []sealed.Key // what the ring holds, newest first
	stands   []byte       // the document of the keys, as this authority saw it last

	looking sync.Mutex // held by who looks for keys that are not known here
	looked  time.Time  // when somebody did
}

// New makes an authority. Keys that are not given are made in the background,
// and the first who needs one waits for it; with a vault New waits, because a key
// that cannot be kept is found out now and not after it was used.
func New(cfg Config) (*Authority, error) {
	a := &Authority{clock: clock.Or(cfg.Clock), vault: cfg.Vault, draw: cfg.DeviceKeys, given: cfg.Signer != nil, cas: map[ids.TenantID]*later[*deviceCA]{}}
	if a.draw == nil {
		a.draw = drawKey
	}
	a.sealing = []sealed.Key{sealed.FreshKey(1)}
	var err error
	if a.ring, err = sealed.NewRing(a.sealing...); err != nil {
		return nil, err
	}
	if cfg.Signer != nil {
		k, err := newSigningKey(cfg.Signer)
		if err != nil {
			return nil, err
		}
		a.keys.Store(&signingKeys{now: k})
	}
	if err := a.adopt(context.Background()); err != nil {
		return nil, err
	}
	if a.keys.Load() == nil {
		a.first = begin(makeSigningKey)
	}
	if a.vault != nil {
		a.ring.OnUnknown(a.look)
	}
	for _, t := range cfg.Tenants.All() {
		a.cas[t.ID] = begin(func() (*deviceCA, error) { return a.openDeviceCA(t.ID) })
	}
	if a.vault == nil {
		return a, nil
	}
	for _, t := range cfg.Tenants.All() {
		if _, err := a.cas[t.ID].get(); err != nil {
			return nil, fmt.Errorf("device authority of %s: %w", t.DisplayName, err)
		}
	}
	if a.signing().now == nil {
		return nil, errors.New("there is no token-signing key")
	}
	return a, a.agree()
}

// deviceCA is the device authority of a tenant, when there is one.
func (a *Authority) deviceCA(t ids.TenantID) (*deviceCA, bool) {
	l, ok := a.cas[t]
	if !ok {
		return nil, false
	}
	ca, err := l.get()
	return ca, err == nil
}

// Open reads an artefact of the wanted type; sealed.ErrArtefact when it is not
// one of ours. Whether it may be used is the caller's to judge.
func (a *Authority) Open(want sealed.Type, text secret.Text) (sealed.Artefact, error) {
	return a.ring.Open(want, text.Reveal())
}

// Seal makes the text form of an artefact.
func (a *Authority) Seal(artefact sealed.Artefact) (secret.Text, error) { return a.ring.Seal(artefact) }

// SealState seals the state of a sign-in under way, at most some 16 KiB.
func (a *Authority) SealState(plain []byte) secret.Text { return a.ring.SealState(plain) }

// OpenState reads what SealState sealed; sealed.ErrArtefact when it is not ours.
func (a *Authority) OpenState(text secret.Text) ([]byte, error) {
	return a.ring.OpenState(text.Reveal())
}

// Newest says whether a sealed text is under the key that seals now.
func (a *Authority) Newest(text secret.Text) bool { return a.ring.Newest(text.Reveal()) }

// SealShort seals what has no form of its own, such as a nonce.
func (a *Authority) SealShort(plain []byte) []byte { return a.ring.SealShort(plain) }

// OpenShort reads what SealShort sealed; sealed.ErrArtefact when it is not ours.
func (a *Authority) OpenShort(text []byte) ([]byte, error) { return a.ring.OpenShort(text) }

// NewSessionKey draws a session key: 32 bytes that only the one device will be
// able to unwrap (first sign-in, step E).
func NewSessionKey() secret.Bytes {
	k := make([]byte, kdf.KeySize)
	_, _ = rand.Read(k) // never fails: crypto/rand ends the process instead
	return secret.NewBytes(k)
}

// pairwise names a user to one application, so that two applications cannot
// compare notes by the claim sub.
func pairwise(t ids.TenantID, client string, user ids.UserID) string {
	sum := sha256.Sum256([]byte(string(t) + "|" + client + "|" + string(user)))
	return jose.EncodeSegment(sum[:])
}

func issuer(t ids.TenantID) string { return "https://sts.windows.net/" + string(t) + "/" }
