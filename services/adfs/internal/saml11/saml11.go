// Package saml11 writes and signs SAML 1.1 assertions (OASIS
// saml-core-1.1, in the form that a cloud directory takes from a federated
// domain).
//
// What lives here: the shape of the assertion and the token-signing key. What
// never may: passwords, the decision whether to issue, or code that reads an
// assertion. The server room calls it after the password was right.
package saml11

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

// Lifetime of an assertion.
const Lifetime = time.Hour

const minRSABits = 2048

// Config is who signs, for whom, with what.
type Config struct {
	// Issuer and Audience are written as they are.
	Issuer, Audience string
	// Key signs; it is RSA of at least 2048 bits and Certificate's own.
	Key         crypto.Signer
	Certificate *x509.Certificate
}

// Issuer writes assertions. It is safe for concurrent use if its key is.
type Issuer struct {
	issuer, audience string
	key              crypto.Signer
	certificate      *x509.Certificate
}

// New checks that key and certificate belong together.
func New(cfg Config) (*Issuer, error) {
	switch {
	case cfg.Issuer == "":
		return nil, errors.New("saml11: Issuer is missing")
	case cfg.Audience == "":
		return nil, errors.New("saml11: Audience is missing")
	case cfg.Key == nil:
		return nil, errors.New("saml11: Key is missing")
	case cfg.Certificate == nil:
		return nil, errors.New("saml11: Certificate is missing")
	}
	pub, ok := cfg.Key.Public().(*rsa.PublicKey)
	if !ok || pub.N.BitLen() < minRSABits {
		return nil, fmt.Errorf("saml11: Key is not RSA of %d bits or more", minRSABits)
	}
	if !pub.Equal(cfg.Certificate.PublicKey) {
		return nil, errors.New("saml11: Certificate is not the certificate of Key")
	}
	return &Issuer{issuer: cfg.Issuer, audience: cfg.Audience, key: cfg.Key, certificate: cfg.Certificate}, nil
}

// Subject is what one assertion says, of whom, from when.
type Subject struct {
	// ID of the assertion; it begins with a letter or an underscore.
	ID          string
	UPN         ids.UPN
	ImmutableID string
	// Certificate is true for who proved the key of a certificate, false for a password.
	Certificate bool
	// MultipleAuthn adds the claim that more than one factor was proven.
	MultipleAuthn bool
	// At is the time of the sign-in; the assertion is good from then on for
	// Lifetime.
	At time.Time
}

// Issue returns the XML of a signed assertion: enveloped signature, exclusive
// canonicalisation, RSA with SHA-256, the certificate in KeyInfo. Whoever
// holds it can use it once in the subject's name, so it is a secret.
func (i *Issuer) Issue(s Subject) (secret.Text, error) {
	if s.ID == "" || strings.ContainsRune("0123456789", rune(s.ID[0])) {
		return secret.Text{}, errors.New("saml11: ID is empty or begins with a digit")
	}
	if s.At.Before(i.certificate.NotBefore) || s.At.After(i.certificate.NotAfter) {
		return secret.Text{}, errors.New("saml11: the token-signing certificate is not valid now: replace it")
	}
	ctx, err := dsig.NewSigningContext(i.key, [][]byte{i.certificate.Raw})
	if err != nil {
		return secret.Text{}, err
	}
	ctx.IdAttribute = idAttribute
	ctx.Canonicalizer = dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
	if err := ctx.SetSignatureMethod(dsig.RSASHA256SignatureMethod); err != nil {
		return secret.Text{}, err
	}
	signed, err := ctx.SignEnveloped(i.assertion(s))
	if err != nil {
		return secret.Text{}, fmt.Errorf("saml11: sign: %w", err)
	}
	doc := etree.NewDocumentWithRoot(signed)
	// Written in canonical form, so that what travels is what was hashed.
	doc.WriteSettings = etree.WriteSettings{CanonicalEndTags: true, CanonicalText: true, CanonicalAttrVal: true}
	xml, err := doc.WriteToString()
	if err != nil {
		return secret.Text{}, fmt.Errorf("saml11: write: %w", err)
	}
	return secret.NewText(xml), nil
}

// Certificate is the certificate that goes with the signing key.
func (i *Issuer) Certificate() *x509.Certificate { return i.certificate }
