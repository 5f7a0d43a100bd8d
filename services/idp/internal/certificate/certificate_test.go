package certificate_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/services/idp/internal/certificate"
	"github.com/lockstep-sso/lockstep/services/idp/internal/certificate/certificatetest"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

const ada = "ada@contoso.test"

// entry is a line of certificate_authorities.
type entry struct {
	name, binding string
	pem           []byte
	multi         bool
}

func room(t testing.TB, clk clock.Clock, entries ...entry) *certificate.Service {
	t.Helper()
	var b strings.Builder
	b.WriteString("tenants:\n  - id: 6babcaad-604b-40ac-a9d7-9fd97c0b779f\n    display_name: Contoso\n    profile: today\n    domains: [{name: contoso.test}]\n    certificate_authorities:\n")
	for _, e := range entries {
		fmt.Fprintf(&b, "      - {name: %s, multi_factor: %v, user_binding: %s, pem: %q}\n", e.name, e.multi, e.binding, e.pem)
	}
	set, err := tenant.Parse([]byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	return certificate.New(certificate.Config{Tenants: set, Clock: clk})
}

func verify(s *certificate.Service, chain ...[]byte) (certificate.Holder, error) {
	h, err := s.Verify(chain)
	if err != nil {
		return certificate.Holder{}, err
	}
	return h[0], nil
}

// What a certificate is worth is its authority's: the one nearest to the person.
func TestTheNearestAuthorityCounts(t *testing.T) {
	lab := clock.NewLab()
	root := certificatetest.New(t, "Root", lab.Now())
	cards, mail := root.Under(t, "Cards"), root.Under(t, "Mail")
	s := room(t, lab, entry{"Root", "upn", root.PEM(), false}, entry{"Cards", "upn", cards.PEM(), true}, entry{"Mail", "rfc822", mail.PEM(), false})
	card, _ := cards.Issue(t, []string{"Ada@Contoso.test"})
	if h, err := verify(s, card, cards.Certificate.Raw, root.Certificate.Raw); err != nil || h.Name != ada || !h.MultiFactor || h.Authority != "Cards" {
		t.Errorf("%+v, %v", h, err)
	}
	plain, _ := root.Issue(t, []string{ada})
	if h, err := verify(s, plain); err != nil || h.MultiFactor || h.Authority != "Root" {
		t.Errorf("%+v, %v", h, err)
	}
	other := root.Under(t, "Not listed")
	below, _ := other.Issue(t, []string{ada})
	if h, err := verify(s, below, other.Certificate.Raw); err != nil || h.MultiFactor || h.Authority != "Root" {
		t.Errorf("%+v, %v", h, err)
	}
	if _, err := verify(s, below); !errors.Is(err, certificate.ErrUntrusty) {
		t.Errorf("a chain with a gap: %v", err)
	}
	bymail, _ := mail.Issue(t, nil, func(c *x509.Certificate) { c.EmailAddresses = []string{ada} })
	if h, err := verify(s, bymail); err != nil || h.Name != ada || h.Authority != "Mail" {
		t.Errorf("%+v, %v", h, err)
	}
}

func TestAttackCertificatesThatAreRefused(t *testing.T) {
	lab := clock.NewLab()
	root := certificatetest.New(t, "Root", lab.Now())
	stranger := certificatetest.New(t, "Root", lab.Now())
	s := room(t, lab, entry{"Root", "upn", root.PEM(), true})
	narrow := root.Under(t, "Narrow", func(c *x509.Certificate) {
		c.PermittedDNSDomainsCritical, c.PermittedEmailAddresses = true, []string{"contoso.test"}
	})
	leaf := root.Under(t, "No authority", func(c *x509.Certificate) { c.IsCA, c.KeyUsage = false, x509.KeyUsageDigitalSignature })
	for name, c := range map[string]struct {
		by   *certificatetest.Authority
		upns []string
		bend func(*x509.Certificate)
		also []*certificatetest.Authority
		want error
	}{
		"of a stranger with the name of ours":     {by: stranger, upns: []string{ada}, want: certificate.ErrUntrusty},
		"with the stranger beside":                {by: stranger, upns: []string{ada}, also: []*certificatetest.Authority{stranger}, want: certificate.ErrUntrusty},
		"issued by a person":                      {by: leaf, upns: []string{ada}, also: []*certificatetest.Authority{leaf}, want: certificate.ErrUntrusty},
		"over":                                    {upns: []string{ada}, bend: func(c *x509.Certificate) { c.NotAfter = lab.Now().Add(-time.Minute) }, want: certificate.ErrUntrusty},
		"not yet":                                 {upns: []string{ada}, bend: func(c *x509.Certificate) { c.NotBefore = lab.Now().Add(time.Minute) }, want: certificate.ErrUntrusty},
		"for servers":                             {upns: []string{ada}, bend: func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }, want: certificate.ErrUse},
		"for nothing in particular":               {upns: []string{ada}, bend: func(c *x509.Certificate) { c.ExtKeyUsage = nil }, want: certificate.ErrUse},
		"for encryption":                          {upns: []string{ada}, bend: func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }, want: certificate.ErrUse},
		"an authority's":                          {upns: []string{ada}, bend: func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }, want: certificate.ErrUse},
		"without a name":                          {want: certificate.ErrName},
		"with two names":                          {upns: []string{ada, "bob@contoso.test"}, want: certificate.ErrName},
		"with a name that is none":                {upns: []string{"ada"}, want: certificate.ErrName},
		"with a sign that folds to a letter":      {upns: []string{"\u212aarl@contoso.test"}, want: certificate.ErrName},
		"a mail address where a principal counts": {bend: func(c *x509.Certificate) { c.EmailAddresses = []string{ada} }, want: certificate.ErrName},
		"outside of the authority's names":        {by: narrow, also: []*certificatetest.Authority{narrow}, bend: func(c *x509.Certificate) { c.EmailAddresses = []string{"eve@evil.test"} }, want: certificate.ErrUntrusty},
		"with a critical extension that nobody knows": {upns: []string{ada}, bend: func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}})
		}, want: certificate.ErrUntrusty},
	} {
		t.Run(name, func(t *testing.T) {
			by := c.by
			if by == nil {
				by = root
			}
			bend := c.bend
			if bend == nil {
				bend = func(*x509.Certificate) {}
			}
			der, _ := by.Issue(t, c.upns, bend)
			chain := [][]byte{der}
			for _, a := range c.also {
				chain = append(chain, a.Certificate.Raw)
			}
			if h, err := verify(s, chain...); !errors.Is(err, c.want) {
				t.Errorf("%+v, %v", h, err)
			}
		})
	}
	good, _ := root.Issue(t, []string{ada})
	if _, err := verify(s, good); err != nil {
		t.Fatal(err)
	}
	for name, chain := range map[string][][]byte{
		"none": nil, "too many": {good, good, good, good, good, good, good, good, good}, "garbage": {[]byte("x")}, "garbage beside": {good, []byte("x")},
		"too long": {append(good, make([]byte, 16<<10)...)},
	} {
		if _, err := s.Verify(chain); !errors.Is(err, certificate.ErrForm) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzNames(f *testing.F) {
	lab := clock.NewLab()
	root := certificatetest.New(f, "Root", lab.Now())
	s := room(f, lab, entry{"Root", "upn", root.PEM(), true})
	for _, upns := range [][]string{{ada}, {ada, ada}, nil, {""}} {
		f.Add(certificatetest.Principals(f, upns...).Value)
	}
	f.Fuzz(func(t *testing.T, names []byte) {
		der, _ := root.Issue(t, nil, func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: names}}
		})
		if h, err := verify(s, der); err == nil && !strings.Contains(string(h.Name), "@") {
			t.Errorf("%+v", h)
		}
	})
}
