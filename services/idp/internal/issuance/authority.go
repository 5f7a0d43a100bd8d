// Package issuance makes everything that others will trust: PRTs, session keys,
// tokens, device certificates.
//
// What lives here: the sealing keys, the token-signing key, the device
// authorities, and what is written with them. What never may: a check of a
// request, a nonce or a credential; whoever calls it has done those. It is the
// only room with private keys, and none of them leaves it.
package issuance

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"

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
	// hardware module. Nil makes one for this process.
	Signer crypto.Signer
	// SealingKeys, newest first; none makes one for this process.
	SealingKeys []sealed.Key
}

// Authority holds the keys. It is safe for concurrent use.
type Authority struct {
	clock     clock.Clock
	ring      *sealed.Ring
	signer    crypto.Signer
	public    *rsa.PublicKey
	keyID     string
	deviceCAs map[ids.TenantID]*deviceCA
}

// New makes an authority. Keys that are not given are made, which takes a
// second or so.
func New(cfg Config) (*Authority, error) {
	a := &Authority{clock: clock.Or(cfg.Clock), signer: cfg.Signer, deviceCAs: map[ids.TenantID]*deviceCA{}}
	keys := cfg.SealingKeys
	if len(keys) == 0 {
		keys = []sealed.Key{sealed.FreshKey(1)}
	}
	var err error
	if a.ring, err = sealed.NewRing(keys...); err != nil {
		return nil, err
	}
	if a.signer == nil {
		if a.signer, err = rsa.GenerateKey(rand.Reader, rsaBits); err != nil {
			return nil, fmt.Errorf("token-signing key: %w", err)
		}
	}
	var ok bool
	if a.public, ok = a.signer.Public().(*rsa.PublicKey); !ok || a.public.N.BitLen() < rsaBits {
		return nil, errors.New("token-signing key is not RSA of 2048 bits or more")
	}
	spki, err := x509.MarshalPKIXPublicKey(a.public)
	if err != nil {
		return nil, fmt.Errorf("token-signing key: %w", err)
	}
	sum := sha256.Sum256(spki)
	a.keyID = jose.EncodeSegment(sum[:])
	for _, t := range cfg.Tenants.All() {
		if a.deviceCAs[t.ID], err = newDeviceCA(a.clock.Now()); err != nil {
			return nil, fmt.Errorf("device authority of %s: %w", t.DisplayName, err)
		}
	}
	return a, nil
}

// PublicKey is what tokens are verified with, and its key id.
func (a *Authority) PublicKey() (*rsa.PublicKey, string) { return a.public, a.keyID }

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

func (a *Authority) sign(claims []byte) (secret.Text, error) {
	s, err := jose.SignRS256(jose.Header{Typ: "JWT", Kid: a.keyID}, claims, a.signer)
	if err != nil {
		return secret.Text{}, fmt.Errorf("token does not sign: %w", err)
	}
	return secret.NewText(s), nil
}
