// Package saml decides whether an assertion of a federation provider is good:
// a SAML 1.1 assertion in the form AD FS issues for a cloud directory.
//
// What lives here: the whole check, from the outside bytes to who the user is,
// and the memory of assertions that were used. What never may: the directory
// (which user has the ImmutableID, whether the domain may claim MFA), tokens,
// or a second parser that looks at the bytes again. The token service calls it
// for a federated user's sign-in.
//
// Three rules carry the security. Bytes with a DTD, an entity, a comment or a
// processing instruction are never parsed. The signature must have exactly one
// shape, over exactly the document root, and only the bytes that it covers are
// read afterwards. And everything that a forger could learn from is one error
// with one text; the reason goes to the log.
package saml

import (
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"log/slog"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

const (
	// MaxAssertion bounds an assertion, in bytes. AD FS issues some 4 KiB.
	MaxAssertion = 64 << 10
	// DefaultSkew is how far the two organisations' clocks may differ.
	DefaultSkew = 5 * time.Minute
	// maxLifetime bounds the time window of an assertion, because each is
	// remembered to its end. AD FS issues one hour.
	maxLifetime = 24 * time.Hour
	minRSABits  = 2048
)

// Config of a Verifier.
type Config struct {
	// Audience that assertions must be for, urn:federation:MicrosoftOnline.
	Audience string
	// Clock is where the time is read; nil is the machine's.
	Clock clock.Clock
	// Skew allowed on both ends of the time window; 0 is DefaultSkew.
	Skew time.Duration
	// Log gets the reason of every refusal, in words of this package only; nil
	// discards.
	Log *slog.Logger
}

// Federation is what the cloud holds about a federated domain.
type Federation struct {
	// Domain of its users, in lower case.
	Domain string
	// Issuer, compared byte for byte.
	Issuer string
	// Certificate of its token-signing key, RSA of at least 2048 bits. It is
	// pinned: whatever certificate an assertion brings is not looked at.
	Certificate *x509.Certificate
}

// Subject is what a good assertion says.
type Subject struct {
	// ImmutableID of the user, 1 to 64 printable characters. The caller finds
	// the user by it, inside the federated domain only.
	ImmutableID string
	// UPN of the user, of the federation's domain.
	UPN ids.UPN
	// AssertionID, for the log.
	AssertionID string
	// NotOnOrAfter is when the assertion ends.
	NotOnOrAfter time.Time
	// MultipleAuthn: the provider says that it did multi-factor
	// authentication. It counts only where the domain is trusted to say so.
	MultipleAuthn bool
	// Certificate: the provider says that the user proved the key of a certificate, as
	// on a smart card. It keeps the PRT apart and raises nothing.
	Certificate bool
}

// Verifier checks assertions. It is safe for concurrent use.
type Verifier struct {
	audience string
	clock    clock.Clock
	skew     time.Duration
	log      *slog.Logger
	used     *replays
}

// New makes a Verifier with an empty memory of used assertions.
func New(cfg Config) (*Verifier, error) {
	if cfg.Audience == "" {
		return nil, errors.New("saml verifier: Audience is missing")
	}
	if cfg.Skew < 0 {
		return nil, errors.New("saml verifier: Skew is negative")
	}
	v := &Verifier{audience: cfg.Audience, clock: clock.Or(cfg.Clock), skew: cfg.Skew, log: cfg.Log, used: newReplays(maxReplays)}
	if v.skew == 0 {
		v.skew = DefaultSkew
	}
	if v.log == nil {
		v.log = slog.New(slog.DiscardHandler)
	}
	return v, nil
}

// Verify checks an assertion of fed and uses it up: the same assertion is
// refused from then on. Errors are *prterr.Error: AADSTS90020 when an
// otherwise good assertion lacks ImmutableID, AADSTS90055 when too many
// assertions of one issuer are remembered, Internal when fed itself is not
// usable, and AADSTS50013 with one text for everything else.
func (v *Verifier) Verify(fed Federation, xml []byte) (Subject, error) {
	if err := fed.check(); err != nil {
		return Subject{}, err
	}
	s, err := v.verify(fed, xml)
	switch {
	case err == nil:
		return s, nil
	case errors.Is(err, whyNoImmutableID):
		v.log.Warn("assertion refused", "domain", fed.Domain, "reason", err.Error())
		return Subject{}, prterr.AADSTS(aadsts.MissingImmutableID, "")
	case errors.Is(err, whyFull):
		v.log.Error("assertion refused", "domain", fed.Domain, "reason", err.Error())
		return Subject{}, prterr.AADSTS(aadsts.Throttled, "")
	default:
		v.log.Warn("assertion refused", "domain", fed.Domain, "reason", err.Error())
		return Subject{}, prterr.AADSTS(aadsts.InvalidAssertion, "")
	}
}

func (v *Verifier) verify(fed Federation, xml []byte) (Subject, error) {
	if err := scan(xml); err != nil {
		return Subject{}, err
	}
	now := v.clock.Now()
	root, err := verified(xml, fed.Certificate, now)
	if err != nil {
		return Subject{}, err
	}
	s, err := v.read(root, fed, now)
	if err != nil {
		return Subject{}, err
	}
	return s, v.used.use(v.clock, fed.Issuer, s.AssertionID, s.NotOnOrAfter.Add(v.skew))
}

func (f Federation) check() error {
	if f.Domain == "" || f.Issuer == "" || f.Certificate == nil {
		return prterr.New(prterr.Internal, "the federation setting is incomplete: it needs Domain, Issuer and Certificate")
	}
	if pub, ok := f.Certificate.PublicKey.(*rsa.PublicKey); !ok || pub.N.BitLen() < minRSABits {
		return prterr.New(prterr.Internal, "the federation setting of %s has a Certificate that is not RSA of %d bits or more", f.Domain, minRSABits)
	}
	return nil
}
