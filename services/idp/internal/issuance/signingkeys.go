package issuance

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" // x5t is SHA-1 by RFC 7515 section 4.1.7: a name, not a proof
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
)

// keptKeys is how many keys stay good behind the one in use: what was issued
// under a key lives through two rotations and dies with the third.
const keptKeys = 2

// signingKey is a token-signing key and what others are told about it. All of it
// follows from the key, so that every process that has the key tells the same.
type signingKey struct {
	signer crypto.Signer
	public *rsa.PublicKey
	// told is what is published.
	told SigningKey
	// thumbprint is the header member x5t.
	thumbprint string
}

// SigningKey is the public side of a token-signing key.
type SigningKey struct {
	// ID is the header member kid.
	ID string
	// PublicKey is a DER SubjectPublicKeyInfo, Certificate is DER, self-signed.
	PublicKey, Certificate []byte
}

// signingKeys is one state of the token-signing keys; it never changes.
type signingKeys struct {
	now *signingKey
	// next is announced so that verifiers know it before it is used; nil until
	// somebody asks.
	next *signingKey
	// before still verify, newest first.
	before []*signingKey
}

func makeSigningKey() (*signingKey, error) {
	k, err := rsa.GenerateKey(rand.Reader, rsaBits)
	if err != nil {
		return nil, fmt.Errorf("token-signing key: %w", err)
	}
	return newSigningKey(k)
}

func newSigningKey(signer crypto.Signer) (*signingKey, error) {
	public, ok := signer.Public().(*rsa.PublicKey)
	if !ok || public.N.BitLen() < rsaBits {
		return nil, errors.New("token-signing key is not RSA of 2048 bits or more")
	}
	spki, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("token-signing key: %w", err)
	}
	sum := sha256.Sum256(spki)
	// Fixed dates and a serial number from the key: the signature scheme draws
	// nothing at random, so the certificate is the same wherever the key is.
	tmpl := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(sum[:16]), Subject: pkix.Name{CommonName: "Token Signing"},
		NotBefore: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2049, 12, 31, 0, 0, 0, 0, time.UTC),
		KeyUsage: x509.KeyUsageDigitalSignature, SignatureAlgorithm: x509.SHA256WithRSA,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, public, signer)
	if err != nil {
		return nil, fmt.Errorf("certificate of the token-signing key: %w", err)
	}
	thumb := sha1.Sum(der)
	return &signingKey{
		signer: signer, public: public, thumbprint: jose.EncodeSegment(thumb[:]),
		told: SigningKey{ID: jose.EncodeSegment(sum[:]), PublicKey: spki, Certificate: der},
	}, nil
}

// signing is the state of the token-signing keys now. The first who asks may
// wait for the first key.
func (a *Authority) signing() *signingKeys {
	if s := a.keys.Load(); s != nil {
		return s
	}
	k, err := a.first.get()
	if err != nil {
		// Making a key fails when the machine has no randomness, and then crypto/rand
		// ends the process. A key that signs nothing keeps the rest alive.
		return &signingKeys{}
	}
	a.keys.CompareAndSwap(nil, &signingKeys{now: k})
	return a.keys.Load()
}

// PublicKey is what tokens are verified with that are issued now, and its key id.
func (a *Authority) PublicKey() (*rsa.PublicKey, string) {
	k := a.signing().now
	if k == nil {
		return nil, ""
	}
	return k.public, k.told.ID
}

// SigningKeys lists the keys that tokens may be signed with: the one in use, the
// one that the next rotation takes, and those before that are still good.
func (a *Authority) SigningKeys() ([]SigningKey, error) {
	s, err := a.announce()
	if err != nil {
		return nil, err
	}
	out := []SigningKey{s.now.told, s.next.told}
	for _, k := range s.before {
		out = append(out, k.told)
	}
	return out, nil
}

// announce makes sure that there is a next key.
func (a *Authority) announce() (*signingKeys, error) {
	s := a.signing()
	if s.now == nil {
		return nil, errors.New("there is no token-signing key")
	}
	if s.next != nil {
		return s, nil
	}
	a.rotating.Lock()
	defer a.rotating.Unlock()
	return a.withNext()
}

// withNext is announce for who holds the lock. Making a key takes a while; when another
// authority announced one meanwhile, that is the next.
func (a *Authority) withNext() (*signingKeys, error) {
	var fresh *signingKey
	for range maxRaces {
		s := a.signing()
		if s.now == nil || s.next != nil {
			return s, nil
		}
		if fresh == nil {
			var err error
			if fresh, err = makeSigningKey(); err != nil {
				return nil, err
			}
		}
		s = &signingKeys{now: s.now, next: fresh, before: s.before}
		err := a.save(s, a.sealing)
		if err == nil {
			a.keys.Store(s)
			return s, nil
		}
		if !errors.Is(err, errOther) {
			return nil, err
		}
	}
	return nil, errOther
}

// Rotate takes the announced key into use and announces another, and draws a
// sealing key. What was issued before stays good until its key is the third
// oldest. It returns the id of the key in use.
func (a *Authority) Rotate() (string, error) {
	a.rotating.Lock()
	defer a.rotating.Unlock()
	if err := a.adopt(context.Background()); err != nil {
		return "", err
	}
	for range maxRaces {
		id, err := a.rotate()
		if !errors.Is(err, errOther) {
			return id, err
		}
	}
	return "", errOther
}

func (a *Authority) rotate() (string, error) {
	s, err := a.withNext()
	if err != nil {
		return "", err
	}
	if s.now == nil {
		return "", errors.New("there is no token-signing key")
	}
	before := append([]*signingKey{s.now}, s.before...)
	next := &signingKeys{now: s.next, before: before[:min(len(before), keptKeys)]}
	fresh := append([]sealed.Key{sealed.FreshKey(a.sealing[0].ID + 1)}, a.sealing...)
	sealing := slices.Clone(fresh[:min(len(fresh), keptKeys+1)])
	if err := a.save(next, sealing); err != nil {
		return "", err
	}
	if err := a.ring.Use(sealing...); err != nil {
		return "", err
	}
	a.sealing = sealing
	a.keys.Store(next)
	return next.now.told.ID, nil
}

// Verify checks a token of ours: RS256 by the key that its kid names, if that is
// the one in use or one that is still good.
func (a *Authority) Verify(t *jose.Token) error {
	k := a.signing().named(t.Header.Kid)
	if k == nil && a.vault != nil { // another process may have taken it into use
		a.look()
		k = a.signing().named(t.Header.Kid)
	}
	if k == nil {
		return jose.ErrKey
	}
	return t.VerifyRS256(k.public)
}

// named finds a key that verifies.
func (s *signingKeys) named(kid string) *signingKey {
	for _, k := range append([]*signingKey{s.now}, s.before...) {
		if k != nil && k.told.ID == kid {
			return k
		}
	}
	return nil
}

// sign makes a token under the key in use. A token of version 1.0 names the
// key's certificate as well, as on Entra.
func (a *Authority) sign(claims []byte) (secret.Text, error) {
	k := a.signing().now
	if k == nil {
		return secret.Text{}, errors.New("there is no token-signing key")
	}
	h := jose.Header{Typ: "JWT", Kid: k.told.ID}
	var v struct{ Ver string }
	if json.Unmarshal(claims, &v) == nil && v.Ver == "1.0" {
		h.X5T = k.thumbprint
	}
	s, err := jose.SignRS256(h, claims, k.signer)
	if err != nil {
		return secret.Text{}, fmt.Errorf("token does not sign: %w", err)
	}
	return secret.NewText(s), nil
}
