// Package nonce issues and checks the nonces of signed requests.
//
// What lives here: a sealed time, so that a nonce can be checked without having
// been stored. What never may: tenant or user data, and a rule about how often a
// nonce may be used; that is the profile's, enforced by the shared phases with
// the replay cache. The format is ours (MS-OAPXBC 3.2.5.1.1 leaves it open); the
// lifetime of 300 seconds is the observed one.
package nonce

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

const (
	// Lifetime of a nonce.
	Lifetime = 300 * time.Second
	// skew is how far the clock of another replica may run ahead.
	skew = 5 * time.Second

	timeSize, issuerSize, ivSize, tagSize = 8, 16, 12, 16
	sealedSize                            = ivSize + timeSize + issuerSize + tagSize
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

// Reasons lists every reason.
func Reasons() []Reason {
	return []Reason{Missing, Malformed, Foreign, Early, Expired, Replayed, Crossed, Undated}
}

// Nonce is a nonce that was checked.
type Nonce struct {
	// Digest names it, for a replay cache.
	Digest [sha256.Size]byte
	// Expires is when it would be refused for its age.
	Expires time.Time
}

// Issuer issues nonces and takes its own back. It is safe for concurrent use.
type Issuer struct {
	clock clock.Clock
	aead  cipher.AEAD
	id    [issuerSize]byte
	told  func(Reason)
}

// Config of an issuer.
type Config struct {
	Clock clock.Clock
	// Key is 32 bytes that replicas share; empty draws one for this process.
	Key secret.Bytes
	// Refused is told of each refusal, to be counted; nil is nobody.
	Refused func(Reason)
}

// New makes an issuer.
func New(cfg Config) (*Issuer, error) {
	key := cfg.Key
	if key.Empty() {
		fresh := make([]byte, 32)
		_, _ = rand.Read(fresh) // never fails: crypto/rand ends the process instead
		key = secret.NewBytes(fresh)
	}
	if key.Len() != 32 {
		return nil, fmt.Errorf("nonce key is not 32 bytes")
	}
	block, err := aes.NewCipher(key.Reveal())
	if err != nil {
		return nil, fmt.Errorf("nonce key: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("nonce key: %w", err)
	}
	i := &Issuer{clock: clock.Or(cfg.Clock), aead: aead, told: cfg.Refused}
	// The id follows from the key, so that replicas agree on it.
	sum := sha256.Sum256(append([]byte("lockstep nonce issuer"), key.Reveal()...))
	copy(i.id[:], sum[:])
	return i, nil
}

// Issue makes a nonce: base64url of iv | sealed(time, issuer id). The random iv
// makes it unique.
func (i *Issuer) Issue() string {
	out := make([]byte, ivSize, sealedSize)
	_, _ = rand.Read(out)
	var plain [timeSize + issuerSize]byte
	binary.BigEndian.PutUint64(plain[:], uint64(i.clock.Now().UnixMilli()))
	copy(plain[timeSize:], i.id[:])
	return jose.EncodeSegment(i.aead.Seal(out, out, plain[:], nil))
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
	plain, err := i.aead.Open(nil, raw[:ivSize], raw[ivSize:], nil)
	if err != nil || [issuerSize]byte(plain[timeSize:]) != i.id {
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
