// Package card judges proofs by the key of a user's certificate, as a smart card makes
// them: is the certificate one of the organisation's for signing in, is it this user's,
// did its key sign, now, and for the first time.
//
// What lives here: that decision and the memory of proofs that were used. What never
// may: a private key, the user directory, or the decision to issue; the token service
// (sts) asks it. Revocation lists are not read: a card that is lost is taken off the
// organisation's list of users, or its authority is.
package card

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	encoding "encoding/asn1"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/wstrust"
)

const (
	// proofLife is how old a proof may be, and aheadOfUs how far a device's clock may
	// run ahead.
	proofLife, aheadOfUs = 5 * time.Minute, time.Minute
	// minRSABits is the smallest key that proves anything.
	minRSABits = 2048
	// maxUsed bounds the memory of used proofs; full, everything is refused until the
	// oldest ends.
	maxUsed = 10_000
)

// ErrRefused is every refusal: what is wrong with a proof is nobody's business.
var ErrRefused = errors.New("the proof is not good")

// Judge judges proofs. It is safe for concurrent use.
type Judge struct {
	roots *x509.CertPool
	clock clock.Clock
	// since is the start of the memory of used proofs, to the second as proofs are.
	since time.Time

	mu   sync.Mutex
	used map[[sha256.Size]byte]time.Time
}

// Config is whom a Judge trusts.
type Config struct {
	// Authorities is the PEM of the authorities that issue cards, one or more.
	Authorities []byte
	// Clock is where the time is read; nil is the machine's.
	Clock clock.Clock
}

// New reads the authorities.
func New(cfg Config) (*Judge, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(cfg.Authorities) {
		return nil, errors.New("client CA: there is no certificate in it: give PEM")
	}
	c := clock.Or(cfg.Clock)
	return &Judge{roots: roots, clock: c, since: c.Now().Truncate(time.Second), used: map[[sha256.Size]byte]time.Time{}}, nil
}

// Check holds a proof against the user it is said to be of. It uses the proof up.
func (j *Judge) Check(upn string, p wstrust.CertificateProof) error {
	now := j.clock.Now()
	// One from before the memory may have been used.
	if p.Created.Before(j.since) || p.Created.Before(now.Add(-proofLife)) || p.Created.After(now.Add(aheadOfUs)) || len(p.Chain) == 0 {
		return ErrRefused
	}
	leaf, between, err := parse(p.Chain)
	if err != nil {
		return ErrRefused
	}
	if _, err := leaf.Verify(x509.VerifyOptions{
		Roots: j.roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}); err != nil {
		return ErrRefused
	}
	key, ok := leaf.PublicKey.(*rsa.PublicKey)
	if !ok || key.N.BitLen() < minRSABits || leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 || p.Verify(key, upn) != nil {
		return ErrRefused
	}
	if !strings.EqualFold(nameIn(leaf), upn) {
		return ErrRefused
	}
	return j.useOnce(p, now)
}

func parse(chain [][]byte) (leaf *x509.Certificate, between *x509.CertPool, err error) {
	between = x509.NewCertPool()
	for i, der := range chain {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, nil, err
		}
		if i == 0 {
			leaf = c
		} else {
			between.AddCert(c)
		}
	}
	return leaf, between, nil
}

// useOnce remembers a proof for as long as it would be good.
func (j *Judge) useOnce(p wstrust.CertificateProof, now time.Time) error {
	digest := sha256.Sum256(p.Signature)
	j.mu.Lock()
	defer j.mu.Unlock()
	for d, until := range j.used {
		if now.After(until) {
			delete(j.used, d)
		}
	}
	if _, twice := j.used[digest]; twice || len(j.used) >= maxUsed {
		return ErrRefused
	}
	j.used[digest] = p.Created.Add(proofLife)
	return nil
}

// oidUPN is szOID_NT_PRINCIPAL_NAME, the user principal name in the subject's
// alternative names of a smart card's certificate (MS-PKCA 3.1.5.2.1.1).
func oidUPN() encoding.ObjectIdentifier {
	return encoding.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 3}
}

func oidAlternativeNames() encoding.ObjectIdentifier { return encoding.ObjectIdentifier{2, 5, 29, 17} }

// nameIn is the one user principal name in a certificate, "" when there is none, more
// than one, or one that is malformed.
func nameIn(c *x509.Certificate) string {
	found := ""
	for _, e := range c.Extensions {
		if !e.Id.Equal(oidAlternativeNames()) {
			continue
		}
		in := cryptobyte.String(e.Value)
		var names cryptobyte.String
		if !in.ReadASN1(&names, asn1.SEQUENCE) || !in.Empty() {
			return ""
		}
		for !names.Empty() {
			var name cryptobyte.String
			var tag asn1.Tag
			if !names.ReadAnyASN1(&name, &tag) {
				return ""
			}
			if tag != asn1.Tag(0).ContextSpecific().Constructed() {
				continue
			}
			upn, is, ok := otherName(name)
			if !ok || is && found != "" {
				return ""
			}
			if is {
				found = upn
			}
		}
	}
	if _, err := ids.ParseUPN(found); err != nil {
		return ""
	}
	return found
}

// otherName reads type and value; is reports whether it is a user principal name.
func otherName(in cryptobyte.String) (upn string, is, ok bool) {
	var kind encoding.ObjectIdentifier
	var value, text cryptobyte.String
	if !in.ReadASN1ObjectIdentifier(&kind) || !in.ReadASN1(&value, asn1.Tag(0).ContextSpecific().Constructed()) || !in.Empty() {
		return "", false, false
	}
	if !kind.Equal(oidUPN()) {
		return "", false, true
	}
	if !value.ReadASN1(&text, asn1.UTF8String) || !value.Empty() {
		return "", true, false
	}
	return string(text), true, true
}
