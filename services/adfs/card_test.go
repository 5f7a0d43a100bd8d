package adfs_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/wstrust"
	"github.com/lockstep-sso/lockstep/pkg/wstrust/cardtest"
	federationv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/federation/v1"
	"github.com/lockstep-sso/lockstep/services/adfs"
)

const (
	carolUPN   = "carol@adatum.test"
	cardMixed  = "https://sts.adatum.test/adfs/services/trust/13/certificatemixed"
	multiple   = "http://schemas.microsoft.com/claims/multipleauthn"
	methodCard = "urn:oasis:names:tc:SAML:1.0:am:X509-PKI"
)

func byCard(p wstrust.CertificateProof) *federationv1.IssueTokenRequest {
	return &federationv1.IssueTokenRequest{
		EndpointUrl: cardMixed, UserPrincipalName: carolUPN, AppliesTo: "urn:federation:MicrosoftOnline",
		Certificate: &federationv1.CertificateProof{Chain: p.Chain, CreatedAt: p.Created.Unix(), Signature: p.Signature},
	}
}

// TestMFA09_TheClaimIsTheOrganisationsToMake: the same card, with the claim rule and
// without it, over both carriers.
func TestMFA09_TheClaimIsTheOrganisationsToMake(t *testing.T) {
	authority := cardtest.NewAuthority(t, time.Now())
	card := authority.Issue(carolUPN)
	second := time.Now() // each proof is used once, so each has its second
	for _, claims := range []bool{false, true} {
		for name, conn := range carriers(t, adfs.Config{ClientCA: authority.PEM(), MultipleAuthn: claims}) {
			c := federationv1.NewFederationServiceClient(conn)
			m, err := c.GetMetadata(t.Context(), &federationv1.GetMetadataRequest{})
			if err != nil || strings.Join(m.GetCertificateMixedUrls(), " ") != cardMixed || len(m.GetUsernameMixedUrls()) != 2 {
				t.Fatalf("%s: %v, %v", name, m, err)
			}
			second = second.Add(time.Second)
			a, err := c.IssueToken(t.Context(), byCard(card.Prove("Carol@Adatum.Test", second)))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			checkAssertion(t, a.GetSamlAssertion())
			if strings.Contains(a.GetSamlAssertion(), multiple) != claims || !strings.Contains(a.GetSamlAssertion(), methodCard) {
				t.Errorf("%s, claims %v: %s", name, claims, a.GetSamlAssertion())
			}
			if a, err = c.IssueToken(t.Context(), carol()); err != nil || strings.Contains(a.GetSamlAssertion(), multiple) || strings.Contains(a.GetSamlAssertion(), methodCard) {
				t.Errorf("%s, a password: %v", name, err)
			}
		}
	}
}

// TestOnlyGoodProofsAreTaken: trusted authority, this user's card, its own signature,
// now, and once. What is wrong is never told.
func TestOnlyGoodProofsAreTaken(t *testing.T) {
	now := time.Now()
	authority := cardtest.NewAuthority(t, now)
	card := authority.Issue(carolUPN)
	stranger := cardtest.NewAuthority(t, now).Issue(carolUPN)
	names := func(upns ...string) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.ExtraExtensions = []pkix.Extension{cardtest.AlternativeName(t, upns...)} }
	}
	proofs := map[string]wstrust.CertificateProof{
		"another authority":  stranger.Prove(carolUPN, now),
		"another user":       authority.Issue("dave@adatum.test").Prove(carolUPN, now),
		"about another user": card.Prove("dave@adatum.test", now),
		"no name":            authority.Issue(carolUPN, func(c *x509.Certificate) { c.ExtraExtensions = nil }).Prove(carolUPN, now),
		"two names":          authority.Issue(carolUPN, names(carolUPN, "dave@adatum.test")).Prove(carolUPN, now),
		"ended":              authority.Issue(carolUPN, func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Hour) }).Prove(carolUPN, now),
		"for servers": authority.Issue(carolUPN, func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		}).Prove(carolUPN, now),
		"for encryption":  authority.Issue(carolUPN, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }).Prove(carolUPN, now),
		"six minutes ago": card.Prove(carolUPN, now.Add(-6*time.Minute)),
		"in two minutes":  card.Prove(carolUPN, now.Add(2*time.Minute)),
	}
	other := card.Prove(carolUPN, now)
	other.Created = other.Created.Add(time.Second)
	proofs["another time"] = other
	other = stranger.Prove(carolUPN, now)
	other.Chain = card.Chain
	proofs["another key"] = other
	other = card.Prove(carolUPN, now)
	other.Chain = [][]byte{{1, 2, 3}}
	proofs["no certificate"] = other
	for name, conn := range carriers(t, adfs.Config{ClientCA: authority.PEM()}) {
		c := federationv1.NewFederationServiceClient(conn)
		if _, err := c.GetMetadata(t.Context(), &federationv1.GetMetadataRequest{}); err != nil {
			t.Fatal(err)
		}
		texts := map[string]bool{}
		for what, p := range proofs {
			_, err := c.IssueToken(t.Context(), byCard(p))
			if prterr.KindOf(err) != prterr.Unauthenticated {
				t.Errorf("%s, %s: %v", name, what, err)
				continue
			}
			texts[err.Error()] = true
		}
		if len(texts) != 1 {
			t.Errorf("%s: refusals say %v", name, texts)
		}
		now = now.Add(10 * time.Second) // both carriers lead to one memory of used proofs
		good := byCard(card.Prove(carolUPN, now))
		if _, err := c.IssueToken(t.Context(), good); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := c.IssueToken(t.Context(), good); prterr.KindOf(err) != prterr.Unauthenticated {
			t.Errorf("%s, twice: %v", name, err)
		}
		crossed := byCard(card.Prove(carolUPN, now.Add(time.Second)))
		crossed.EndpointUrl = strings.Replace(cardMixed, "certificate", "username", 1)
		if _, err := c.IssueToken(t.Context(), crossed); prterr.KindOf(err) != prterr.Invalid {
			t.Errorf("%s, at the endpoint for passwords: %v", name, err)
		}
		both := byCard(card.Prove(carolUPN, now.Add(2*time.Second)))
		both.Password = "federated horse"
		if _, err := c.IssueToken(t.Context(), both); err == nil {
			t.Errorf("%s: a password beside the proof was taken", name)
		}
	}
}

// TestA27_NoProofIsUsedAgainAfterARestart: which were used is in memory, so a provider
// that was started later than a proof was made does not take it.
func TestA27_NoProofIsUsedAgainAfterARestart(t *testing.T) {
	now := time.Now()
	authority := cardtest.NewAuthority(t, now)
	proof := byCard(authority.Issue(carolUPN).Prove(carolUPN, now))
	for _, start := range []struct {
		at   time.Time
		kind prterr.Kind
	}{{now, ""}, {now.Add(2 * time.Second), prterr.Unauthenticated}} {
		conn := carriers(t, adfs.Config{ClientCA: authority.PEM(), Clock: stopped(start.at)})["gRPC"]
		if _, err := federationv1.NewFederationServiceClient(conn).IssueToken(t.Context(), proof); prterr.KindOf(err) != start.kind {
			t.Errorf("started %v after the proof: %v", start.at.Sub(now), err)
		}
	}
}

// stopped is a clock that stands still.
type stopped time.Time

func (s stopped) Now() time.Time                       { return time.Time(s) }
func (s stopped) NewTimer(d time.Duration) clock.Timer { return clock.Real().NewTimer(d) }

func TestWithoutAnAuthorityThereAreNoCards(t *testing.T) {
	now := time.Now()
	card := cardtest.NewAuthority(t, now).Issue(carolUPN)
	for name, conn := range carriers(t, adfs.Config{}) {
		c := federationv1.NewFederationServiceClient(conn)
		m, err := c.GetMetadata(t.Context(), &federationv1.GetMetadataRequest{})
		if err != nil || len(m.GetCertificateMixedUrls()) != 0 {
			t.Errorf("%s: %v, %v", name, m, err)
		}
		if _, err := c.IssueToken(t.Context(), byCard(card.Prove(carolUPN, now))); prterr.KindOf(err) != prterr.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := adfs.New(adfs.Config{ClientCA: []byte("x")}); err == nil {
		t.Error("an authority that is none was taken")
	}
}
