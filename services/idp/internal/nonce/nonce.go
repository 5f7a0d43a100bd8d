// Package nonce issues and checks the nonces of signed requests.
//
// What lives here: a sealed time, so that a nonce can be checked without having
// been stored. What never may: tenant or user data, and a rule about how often a
// nonce may be used; that is the profile's, enforced by the shared phases with
// the replay cache. The format is ours (MS-OAPXBC 3.2.5.1.1 leaves it open); the
// lifetime of 300 seconds is the observed one.
package nonce

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
)

const (
	// Lifetime of a nonce.
	Lifetime = 300 * time.Second
	// skew is how far the clock of another replica may run ahead.
	skew = 5 * time.Second

	timeSize, plainSize = 8, 24
	sealedSize          = plainSize + sealed.ShortOverhead
)

// Reason is why a nonce was refused. Who asked never learns it.
type Reason string

// The reasons.
const (
	Missing   Reason = "missing"
	Malformed Reason = "malformed"
	Foreign   Reason = "foreign" // not of this issuer
	Early     Reason = "early"   // from the future
	Expired   Reason = "expired"
	Replayed  Reason = "replayed" // used up, or the request that it stands in
	Crossed   Reason = "crossed"  // good, and of another page or cookie
	Undated   Reason = "undated"  // in its place a date that is too old, or none
)

// Nonce is a nonce that was checked.
type Nonce struct {
	// Digest names it, for a replay cache.
	Digest [sha256.Size]byte
	// Expires is when it would be refused for its age.
	Expires time.Time
}

// Sealer seals times under keys that every replica has.
type Sealer interface {
	SealShort(plain []byte) []byte
	OpenShort(text []byte) ([]byte, error)
}

// Issuer issues nonces and takes its own back. It is safe for concurrent use.
type Issuer struct {
	clock  clock.Clock
	sealer Sealer
	told   func(Reason)
}

// Config of an issuer.
type Config struct {
	Clock clock.Clock
	// Sealer has keys that replicas share; nil draws one for this process.
	Sealer Sealer
	// Refused is told of each refusal, to be counted; nil is nobody.
	Refused func(Reason)
}

// New makes an issuer.
func New(cfg Config) (*Issuer, error) {
	i := &Issuer{clock: clock.Or(cfg.Clock), sealer: cfg.Sealer, told: cfg.Refused}
	if i.sealer == nil {
		own, err := sealed.NewRing(sealed.FreshKey(1))
		if err != nil {
			return nil, fmt.Errorf("nonce key: %w", err)
		}
		i.sealer = own
	}
	return i, nil
}

// Issue makes a nonce: base64url of the sealed time and of chance, which makes it
// unique.
func (i *Issuer) Issue() string {
	var plain [plainSize]byte
	binary.BigEndian.PutUint64(plain[:], uint64(i.clock.Now().UnixMilli()))
	_, _ = rand.Read(plain[timeSize:]) // never fails: crypto/rand ends the process instead
	return jose.EncodeSegment(i.sealer.SealShort(plain[:]))
}

// Check takes a nonce that this issuer made within the last 300 seconds. There
// is one error for every other, AADSTS140000: which of the reasons it was would
// only help whoever made it up.
func (i *Issuer) Check(s string) (Nonce, error) {
	if s == "" {
		return Nonce{}, i.Refuse(Missing)
	}
	raw, err := jose.DecodeSegment(s)
	if err != nil || len(raw) != sealedSize {
		return Nonce{}, i.Refuse(Malformed)
	}
	plain, err := i.sealer.OpenShort(raw)
	if err != nil || len(plain) != plainSize {
		return Nonce{}, i.Refuse(Foreign)
	}
	issued := time.UnixMilli(int64(binary.BigEndian.Uint64(plain)))
	switch age := i.clock.Now().Sub(issued); {
	case age < -skew:
		return Nonce{}, i.Refuse(Early)
	case age > Lifetime:
		return Nonce{}, i.Refuse(Expired)
	}
	return Nonce{Digest: sha256.Sum256(raw), Expires: issued.Add(Lifetime)}, nil
}

// Refuse is the error of a nonce that is refused, for rules about nonces that are not
// about one alone: AADSTS140000, the same whatever the reason.
func (i *Issuer) Refuse(r Reason) error {
	if i.told != nil {
		i.told(r)
	}
	return prterr.AADSTS(aadsts.InvalidNonce, "")
}
