// Package certificate judges the certificate that a person signs in with.
//
// What lives here: the chain to an authority of the tenant, what that authority's
// certificates are worth, and the user name in the certificate (RFC 5280; X.509
// authentication as the public service does it). What never may: a private key, the
// proof that somebody has it (the TLS connection gave that, and the edge vouches for
// it), users. The sign-in room calls it.
package certificate

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"slices"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

const (
	// MaxChain bounds the certificates of a connection, maxCertificate one of them, in
	// bytes.
	MaxChain, maxCertificate = 8, 16 << 10
	// minRSA is the shortest RSA key of a user, in bits.
	minRSA = 2048
)

// The reasons of a refusal, for the log. Whoever sent the certificate is told nothing
// but that it cannot be used.
var (
	ErrForm     = errors.New("the chain is missing, too long, or not certificates")
	ErrKey      = errors.New("its key is weak or of another kind than RSA and ECDSA")
	ErrUse      = errors.New("it is not a certificate for a client: its extended key usage lacks client authentication, or it issues others")
	ErrUntrusty = errors.New("no authority of the tenants has issued it for now")
	ErrName     = errors.New("it does not have exactly one name of the kind that its authority's users are bound by")
)

// Config of the room. Every field must be set.
type Config struct {
	Tenants *tenant.Set
	Clock   clock.Clock
}

// Service judges certificates. It is safe for concurrent use.
type Service struct{ cfg Config }

// New makes the room.
func New(cfg Config) *Service { return &Service{cfg: cfg} }

// Holder is whom a good certificate is of.
type Holder struct {
	// Tenant whose authority issued it.
	Tenant *tenant.Tenant
	// Name that the certificate has for the user.
	Name ids.UPN
	// MultiFactor says what the authority's certificates are worth.
	MultiFactor bool
	// Authority that issued it, by name.
	Authority string
}

// Verify judges a chain, the user's certificate first, all DER. An authority may be
// another in every tenant, so the tenant whose authority issued it is the one that
// the user must be of.
func (s *Service) Verify(chain [][]byte) ([]Holder, error) {
	leaf, between, err := read(chain)
	if err != nil {
		return nil, err
	}
	if err := fit(leaf); err != nil {
		return nil, err
	}
	var out []Holder
	last := ErrUntrusty
	for _, t := range s.cfg.Tenants.All() {
		a, ok := issuer(t, leaf, between, s.cfg.Clock.Now())
		if !ok {
			continue
		}
		name, err := boundName(leaf, a.Binding)
		if err != nil {
			last = err
			continue
		}
		out = append(out, Holder{Tenant: t, Name: name, MultiFactor: a.MultiFactor, Authority: a.Name})
	}
	if len(out) == 0 {
		return nil, last
	}
	return out, nil
}

func read(chain [][]byte) (*x509.Certificate, *x509.CertPool, error) {
	if len(chain) == 0 || len(chain) > MaxChain {
		return nil, nil, ErrForm
	}
	var leaf *x509.Certificate
	between := x509.NewCertPool()
	for i, der := range chain {
		if len(der) > maxCertificate {
			return nil, nil, ErrForm
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, nil, ErrForm
		}
		if i == 0 {
			leaf = c
		} else {
			between.AddCert(c)
		}
	}
	return leaf, between, nil
}

// fit demands what a chain does not: a strong key, and that the certificate says of
// itself that it is for clients. One without extended key usages would be for
// everything.
func fit(c *x509.Certificate) error {
	switch k := c.PublicKey.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() < minRSA {
			return ErrKey
		}
	case *ecdsa.PublicKey:
	default:
		return ErrKey
	}
	signs := c.KeyUsage == 0 || c.KeyUsage&x509.KeyUsageDigitalSignature != 0
	if c.IsCA || !signs || !slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageClientAuth) {
		return ErrUse
	}
	return nil
}

// issuer finds the authority of a tenant that a certificate leads to, by our clock. Of
// several on the way the nearest to the user counts: what it says of its certificates
// is about them, and not about those of others under one root.
func issuer(t *tenant.Tenant, leaf *x509.Certificate, between *x509.CertPool, now time.Time) (tenant.CertificateAuthority, bool) {
	var best tenant.CertificateAuthority
	length := 0
	for _, a := range t.CertificateAuthorities {
		roots := x509.NewCertPool()
		for _, c := range a.Certificates {
			roots.AddCert(c)
		}
		understood := *leaf
		understood.UnhandledCriticalExtensions = withoutNames(leaf)
		chains, err := understood.Verify(x509.VerifyOptions{
			Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		})
		if err != nil {
			continue
		}
		for _, c := range chains {
			if length == 0 || len(c) < length {
				best, length = a, len(c)
			}
		}
	}
	return best, length > 0
}
