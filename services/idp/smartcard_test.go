package idp_test

import (
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
)

// TestMFA07_ASmartCardIsACredentialOfItsOwn: what the provider says of a certificate
// keeps the PRT apart from one of a password, and neither renews the other. By itself it
// is no second factor.
func TestMFA07_ASmartCardIsACredentialOfItsOwn(t *testing.T) {
	w := newWorld(t, idp.Config{Tenants: federated(t)})
	d := w.join(t, frank, frankPassword, 1, 2)
	const card, password = "urn:oasis:names:tc:SAML:1.0:am:X509-PKI", "urn:oasis:names:tc:SAML:1.0:am:password"
	first := func(id, method string) *signIn {
		c := d.claims(t, carol, "")
		c.GrantType, c.Assertion, c.Password = entrawire.GrantSAML1, entrawire.EncodeSAML(assertionBy(t, id, method, false)), secret.Text{}
		return d.open(t, d.sign(t, c))
	}
	for id, row := range map[string]struct {
		got, with string
		kind      sealed.Credential
		renewed   bool
	}{
		"_a": {card, card, sealed.SmartCard, true}, "_b": {card, password, sealed.SmartCard, false},
		"_c": {password, password, sealed.SAML, true}, "_d": {password, card, sealed.SAML, false},
	} {
		s := first(id+"1", row.got)
		if prt := w.artefact(t, sealed.PRT, s.prt); prt.Credential != row.kind || prt.MFATime != 0 {
			t.Errorf("%s: %s, a second factor at %d", row.got, prt.Credential, prt.MFATime)
		}
		c := s.renewal(t)
		c.Username, c.Assertion = carol, entrawire.EncodeSAML(assertionBy(t, id+"2", row.with, false))
		_, err := w.renewPRT(s.sign(t, c))
		if row.renewed && err != nil || !row.renewed && err == nil {
			t.Errorf("%s renewed with %s: %v", row.got, row.with, err)
		}
		if !row.renewed {
			wantCode(t, err, aadsts.InvalidGrant)
		}
	}
}
