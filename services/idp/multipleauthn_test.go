package idp_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
)

// carolsAssertion is a SAML 1.1 assertion about Carol, signed by the provider of her
// domain, that claims multi-factor authentication when it is told to.
func carolsAssertion(t testing.TB, id string, multipleAuthn bool) string {
	t.Helper()
	return assertionBy(t, id, "urn:oasis:names:tc:SAML:1.0:am:password", multipleAuthn)
}

func assertionBy(t testing.TB, id, method string, multipleAuthn bool) string {
	t.Helper()
	now := time.Now().UTC()
	stamp := func(d time.Duration) string { return now.Add(d).Format("2006-01-02T15:04:05.000Z") }
	attribute := func(name, space, value string) string {
		return `<saml:Attribute AttributeName="` + name + `" AttributeNamespace="` + space + `"><saml:AttributeValue>` + value + `</saml:AttributeValue></saml:Attribute>`
	}
	subject := `<saml:Subject><saml:NameIdentifier>zK4iG3pNEkWyVd0kX8a2jQ==</saml:NameIdentifier><saml:SubjectConfirmation>` +
		`<saml:ConfirmationMethod>urn:oasis:names:tc:SAML:1.0:cm:bearer</saml:ConfirmationMethod></saml:SubjectConfirmation></saml:Subject>`
	attributes := attribute("UPN", "http://schemas.xmlsoap.org/claims", carol) +
		attribute("ImmutableID", "http://schemas.microsoft.com/LiveID/Federation/2008/05", "zK4iG3pNEkWyVd0kX8a2jQ==")
	if multipleAuthn {
		attributes += attribute("authnmethodsreferences", "http://schemas.microsoft.com/claims", "http://schemas.microsoft.com/claims/multipleauthn")
	}
	doc := etree.NewDocument()
	err := doc.ReadFromString(`<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:1.0:assertion" AssertionID="` + id + `" IssueInstant="` + stamp(0) +
		`" Issuer="http://sts.adatum.test/adfs/services/trust/" MajorVersion="1" MinorVersion="1"><saml:Conditions NotBefore="` + stamp(-time.Minute) + `" NotOnOrAfter="` + stamp(time.Hour) +
		`"><saml:AudienceRestrictionCondition><saml:Audience>urn:federation:MicrosoftOnline</saml:Audience></saml:AudienceRestrictionCondition></saml:Conditions>` +
		`<saml:AttributeStatement>` + subject + attributes + `</saml:AttributeStatement><saml:AuthenticationStatement AuthenticationInstant="` + stamp(0) +
		`" AuthenticationMethod="` + method + `">` + subject + `</saml:AuthenticationStatement></saml:Assertion>`)
	if err != nil {
		t.Fatal(err)
	}
	sign, err := dsig.NewSigningContext(rsaKeys()[5], nil)
	if err != nil {
		t.Fatal(err)
	}
	sign.IdAttribute, sign.Canonicalizer = "AssertionID", dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
	if err := sign.SetSignatureMethod(dsig.RSASHA256SignatureMethod); err != nil {
		t.Fatal(err)
	}
	signed, err := sign.SignEnveloped(doc.Root())
	if err != nil {
		t.Fatal(err)
	}
	doc.SetRoot(signed)
	out, err := doc.WriteToString()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestAttack26_AFederationProviderProvesNoSecondFactor: no domain can be trusted to
// have asked for one, so that who has the signing key of an organisation still
// lacks its users' factors. Three ways in, with the claim and without it.
func TestAttack26_AFederationProviderProvesNoSecondFactor(t *testing.T) {
	policy := "    display_name: Fabrikam\n    policies:\n      - id: 3b1f8a52-9c77-4d0e-8a26-6e2f4b9d0a98\n        name: A second factor for the directory\n" +
		"        state: enabled\n        include_users: [All]\n        include_resources: [https://graph.microsoft.com]\n        grant: mfa\n"
	file := strings.Replace(string(federated(t)), "    display_name: Fabrikam\n", policy, 1)
	p := newPages(t, idp.Config{Tenants: []byte(file)})
	d := p.join(t, frank, frankPassword, 1, 2)
	for id, multiple := range map[string]bool{"_plain": false, "_multiple": true} {
		t.Run(id, func(t *testing.T) {
			c := d.claims(t, carol, "")
			c.GrantType, c.Assertion, c.Password = entrawire.GrantSAML1, entrawire.EncodeSAML(carolsAssertion(t, id+"1", multiple)), secret.Text{}
			s := d.open(t, d.sign(t, c))
			noFactor(t, p.artefact(t, sealed.PRT, s.prt))
			if amr := p.accessToken(t, s.tokens(t, s.redemption(t, office, "https://graph.windows.net")).AccessToken).AMR; len(amr) == 0 || slices.Contains(amr, "mfa") {
				t.Errorf("a token says %v", amr)
			}
			_, err := p.redeemPRT(s.sign(t, s.redemption(t, office, graph)))
			wantCode(t, err, aadsts.MFAEnrolmentRequired)

			next := p.federatedSignIn(t, &idpv1.AuthorizeRequest{LoginHint: carol}, carolsAssertion(t, id+"2", multiple))
			noFactor(t, p.code(t, next.GetSignedIn(), next))
			next = p.federatedSignIn(t, &idpv1.AuthorizeRequest{LoginHint: carol, Resource: graph}, carolsAssertion(t, id+"3", multiple))
			wantKindOfPage(t, next.GetPage(), idpv1.PageKind_PAGE_KIND_REGISTER_METHOD, aadsts.MFAEnrolmentRequired, next)

			_, err = p.grants.RequestTokens(context.Background(), &idpv1.RequestTokensRequest{
				Tenant: fabrikam, Protocol: v1, ClientId: cli, Resource: graph,
				Grant: &idpv1.RequestTokensRequest_Assertion{Assertion: &idpv1.AssertionGrant{SamlAssertion: carolsAssertion(t, id+"4", multiple), Version: "1.1"}},
			})
			wantCode(t, err, aadsts.MFAEnrolmentRequired)
		})
	}
}

func noFactor(t testing.TB, a sealed.Artefact) {
	t.Helper()
	if a.Credential != sealed.SAML || a.AMR[0] != "fed" || slices.Contains(a.AMR, "mfa") || slices.Contains(a.AMR, "ngcmfa") || a.MFATime != 0 || a.MFAKept != 0 {
		t.Errorf("it says %v, a second factor at %d", a.AMR, a.MFATime)
	}
}

// federatedSignIn is a visit that goes by the federation provider.
func (p *pages) federatedSignIn(t testing.TB, r *idpv1.AuthorizeRequest, xml string) *idpv1.NextAction {
	t.Helper()
	wctx := passive(t, p.visit(t, r).GetElsewhere().GetUrl())
	a, err := p.forms.SubmitAssertion(context.Background(), &idpv1.SubmitAssertionRequest{SamlAssertion: xml, Context: wctx})
	if err != nil {
		t.Fatal(err)
	}
	return a.GetNext()
}

// TestMFA09_AFederatedFactorCountsWhereTheDomainIsTrusted: with the claim and the
// tenant's word, and with neither alone (Attack26 has the domain that is not trusted).
func TestMFA09_AFederatedFactorCountsWhereTheDomainIsTrusted(t *testing.T) {
	policy := "    display_name: Fabrikam\n    policies:\n      - id: 3b1f8a52-9c77-4d0e-8a26-6e2f4b9d0a98\n        name: A second factor for the directory\n" +
		"        state: enabled\n        include_users: [All]\n        include_resources: [https://graph.microsoft.com]\n        grant: mfa\n"
	file := strings.Replace(string(federated(t)), "    display_name: Fabrikam\n", policy, 1)
	file = strings.Replace(file, "      - name: adatum.test\n", "      - name: adatum.test\n        federated_mfa: accept\n", 1)
	p := newPages(t, idp.Config{Tenants: []byte(file)})
	d := p.join(t, frank, frankPassword, 1, 2)
	for id, multiple := range map[string]bool{"_plain": false, "_multiple": true} {
		c := d.claims(t, carol, "")
		c.GrantType, c.Assertion, c.Password = entrawire.GrantSAML1, entrawire.EncodeSAML(carolsAssertion(t, id+"1", multiple)), secret.Text{}
		s := d.open(t, d.sign(t, c))
		_, err := p.redeemPRT(s.sign(t, s.redemption(t, office, graph)))
		next := p.federatedSignIn(t, &idpv1.AuthorizeRequest{LoginHint: carol, Resource: graph}, carolsAssertion(t, id+"2", multiple))
		a, granted := p.grants.RequestTokens(context.Background(), &idpv1.RequestTokensRequest{
			Tenant: fabrikam, Protocol: v1, ClientId: cli, Resource: graph,
			Grant: &idpv1.RequestTokensRequest_Assertion{Assertion: &idpv1.AssertionGrant{SamlAssertion: carolsAssertion(t, id+"3", multiple), Version: "1.1"}},
		})
		if !multiple {
			noFactor(t, p.artefact(t, sealed.PRT, s.prt))
			wantCode(t, err, aadsts.MFAEnrolmentRequired)
			wantCode(t, granted, aadsts.MFAEnrolmentRequired)
			wantKindOfPage(t, next.GetPage(), idpv1.PageKind_PAGE_KIND_REGISTER_METHOD, aadsts.MFAEnrolmentRequired, next)
			continue
		}
		if err != nil || granted != nil {
			t.Fatal(err, granted)
		}
		for what, amr := range map[string][]string{
			"PRT": p.artefact(t, sealed.PRT, s.prt).AMR, "page": p.code(t, next.GetSignedIn(), next).AMR, "grant": p.accessToken(t, secret.NewText(a.GetTokens().GetAccessToken())).AMR,
		} {
			if !slices.Contains(amr, "mfa") || !slices.Contains(amr, "fed") {
				t.Errorf("%s says %v", what, amr)
			}
		}
	}
	for _, bad := range []string{"        federated_mfa: perhaps\n", "        federated_mfa: accept\n"} {
		name := map[bool]string{true: "      - name: adatum.test\n", false: "      - name: contoso.test\n"}[strings.Contains(bad, "perhaps")]
		if _, err := idp.New(idp.Config{Tenants: []byte(strings.Replace(string(federated(t)), name, name+bad, 1))}); err == nil || !strings.Contains(err.Error(), "federated_mfa") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
