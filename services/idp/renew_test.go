package idp_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
)

func TestREN04_CredentialsMayComeAndMustBeRight(t *testing.T) {
	overBoth(t, idp.Config{}, func(t *testing.T, w *world) {
		s := w.join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword)
		c := s.renewal(t)
		c.Username, c.Password = alice, secret.NewText(alicePassword)
		next, _ := s.renew(t, c)
		if err := next.use(t); err != nil {
			t.Error(err)
		}
		for name, who := range map[string][2]string{
			"wrong password": {alice, "wrong"}, "another user's": {bob, bobPassword}, "another tenant's": {frank, frankPassword}, "right password, no user": {"x@contoso.test", alicePassword},
		} {
			t.Run(name, func(t *testing.T) {
				c := s.renewal(t)
				c.Username, c.Password = who[0], secret.NewText(who[1])
				_, err := w.renewPRT(s.sign(t, c))
				wantCode(t, err, aadsts.InvalidCredentials)
			})
		}
		c = s.renewal(t)
		c.Assertion = entrawire.EncodeSAML("<x/>")
		_, err := w.renewPRT(s.sign(t, c))
		wantCode(t, err, aadsts.InvalidGrant) // not the kind of credential of this PRT
	})
}

func TestREN06_SingleFaults(t *testing.T) {
	overBoth(t, idp.Config{}, func(t *testing.T, w *world) {
		other := newWorld(t, idp.Config{})
		s := w.join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword)
		w.unchanged(t, func() {
			good := s.sign(t, s.renewal(t))
			_, err := w.renewPRT(flipSignature(t, good, 7))
			wantCode(t, err, aadsts.InvalidSessionKey)
			c := s.renewal(t)
			c.RequestNonce = other.nonce(t)
			_, err = w.renewPRT(s.sign(t, c))
			wantCode(t, err, aadsts.InvalidNonce)
			c = s.renewal(t)
			c.Scope = "openid"
			_, err = w.renewPRT(s.sign(t, c))
			wantCode(t, err, aadsts.InvalidRequest)
			c = s.renewal(t)
			c.ClientID = office
			_, err = w.renewPRT(s.sign(t, c))
			wantNamed(t, err) // over HTTPS it is a request of the app, and refused for its redirect address
			c = s.renewal(t)
			c.RefreshToken = secret.NewText(other.join(t, alice, alicePassword, 3, 4).first(t, alice, alicePassword).prt)
			_, err = w.renewPRT(s.sign(t, c)) // a PRT of another identity provider
			wantCode(t, err, aadsts.InvalidGrant)
			c = s.renewal(t)
			c.RefreshToken = secret.Text{}
			_, err = w.renewPRT(s.sign(t, c))
			wantCode(t, err, aadsts.MissingParameter)
		})
		setDevice(t, w, s.d.id, false)
		_, err := w.renewPRT(s.sign(t, s.renewal(t)))
		wantCode(t, err, aadsts.DeviceDisabled)
	})
}

func TestREN07_TheKeyComesAgainForOurDevicesAndStaysForOthers(t *testing.T) {
	overBoth(t, idp.Config{}, func(t *testing.T, w *world) {
		s := w.join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword)
		next, answer := s.renew(t, s.renewal(t))
		if answer.SessionKeyJWE == "" || !next.key.Equal(s.key) || next.prt == s.prt {
			t.Error("our device got no session key, another one, or no new PRT")
		}
		if answer.RefreshTokenExpiresIn != 1209599 || answer.TokenType != "Bearer" {
			t.Errorf("%+v", answer)
		}
		if err := next.use(t); err != nil {
			t.Error(err)
		}
		c := s.renewal(t)
		c.WinVer = "10.0.19041.868"
		kept, answer := s.renew(t, c)
		if answer.SessionKeyJWE != "" || kept.prt == s.prt {
			t.Error("another client got a session key, or no new PRT")
		}
		if err := kept.use(t); err != nil {
			t.Error(err)
		}
	})
}

func TestPRO11_TheSessionKeyIsRolledAfter30Days(t *testing.T) {
	lab := clock.NewLab()
	overBoth(t, idp.Config{Clock: lab}, func(t *testing.T, w *world) {
		s := w.join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword)
		first := s.key
		for _, days := range []int{10, 19} {
			lab.Advance(time.Duration(days) * 24 * time.Hour / 2)
			s, _ = s.renew(t, s.renewal(t))
			lab.Advance(time.Duration(days) * 24 * time.Hour / 2)
			s, _ = s.renew(t, s.renewal(t))
		}
		if !s.key.Equal(first) {
			t.Fatal("the key was rolled before its time")
		}
		lab.Advance(25 * time.Hour)
		rolled, _ := s.renew(t, s.renewal(t))
		if rolled.key.Equal(first) {
			t.Error("the key was not rolled")
		}
		if err := rolled.use(t); err != nil {
			t.Error(err)
		}
		mixed := &signIn{d: s.d, prt: rolled.prt, key: first}
		wantCode(t, mixed.use(t), aadsts.InvalidSessionKey)
	})
}

func TestREN21_RenewalsAtOnce(t *testing.T) {
	overBoth(t, idp.Config{}, func(t *testing.T, w *world) {
		s := w.join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword)
		requests := make([]string, 16)
		for i := range requests {
			requests[i] = s.sign(t, s.renewal(t))
		}
		answers, errs := make([]string, len(requests)), make([]error, len(requests))
		var wg sync.WaitGroup
		w.unchanged(t, func() {
			for i := range requests {
				wg.Go(func() { answers[i], errs[i] = w.renewPRT(requests[i]) })
			}
			wg.Wait()
		})
		seen := map[string]bool{}
		for i, text := range answers {
			if errs[i] != nil {
				t.Fatal(errs[i])
			}
			var a entrawire.PRTAnswer
			s.decrypt(t, text, &a)
			key, err := entrawire.UnwrapSessionKey(s.d.tk, a.SessionKeyJWE)
			if err != nil {
				t.Fatal(err)
			}
			next := &signIn{d: s.d, prt: a.RefreshToken.Reveal(), key: key}
			if err := next.use(t); err != nil {
				t.Errorf("renewal %d: %v", i, err)
			}
			seen[string(key.Reveal())] = true
		}
		if len(seen) != 1 {
			t.Errorf("%d session keys for one session", len(seen))
		}
		if err := s.use(t); err != nil {
			t.Errorf("the PRT that all of them renewed: %v", err)
		}
	})
}

func TestRenewalCopiesClaims(t *testing.T) {
	w := newWorld(t, idp.Config{})
	s := w.join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword)
	c := s.renewal(t)
	c.Username, c.Password = alice, secret.NewText(alicePassword)
	next, _ := s.renew(t, c)
	open := func(prt string) sealed.Artefact {
		a, err := w.svc.Authority().Open(sealed.PRT, secret.NewText(prt))
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	before, after := open(s.prt), open(next.prt)
	if !slices.Equal(before.AMR, after.AMR) || !before.AuthTime.Equal(after.AuthTime) || before.SessionID != after.SessionID || before.KDFMin != after.KDFMin {
		t.Errorf("%v became %v", before.AMR, after.AMR)
	}
}

// oneAssertion takes one text as the assertion of one user.
type oneAssertion struct{ subject idp.Subject }

func (o oneAssertion) Verify(_ context.Context, d idp.Domain, xml []byte) (idp.Subject, error) {
	if string(xml) != "<good/>" || d.Name != "adatum.test" {
		return idp.Subject{}, prterr.AADSTS(aadsts.InvalidAssertion, "")
	}
	return o.subject, nil
}

// federated is the default tenant file with a certificate for adatum.test.
func federated(t testing.TB) []byte {
	t.Helper()
	mex := "mex_url: https://sts.adatum.test/adfs/services/trust/mex\n"
	return []byte(strings.Replace(string(idp.DefaultTenants()), mex, mex+"          certificate: |\n"+indent(pemCertificate(t), "            "), 1))
}

func TestISS04_REN05_Attack25_FederatedUser(t *testing.T) {
	immutable := "zK4iG3pNEkWyVd0kX8a2jQ=="
	for name, f := range map[string]struct {
		subject idp.Subject
		xml     string
		user    string
		code    aadsts.Code
	}{
		"good":                          {idp.Subject{ImmutableID: immutable, UPN: carol}, "<good/>", carol, 0},
		"good without a user name":      {idp.Subject{ImmutableID: immutable, UPN: carol}, "<good/>", "", 0},
		"not verified":                  {idp.Subject{ImmutableID: immutable, UPN: carol}, "<bad/>", carol, aadsts.InvalidAssertion},
		"nobody's ImmutableID":          {idp.Subject{ImmutableID: "x", UPN: carol}, "<good/>", carol, aadsts.InvalidAssertion},
		"names do not agree":            {idp.Subject{ImmutableID: immutable, UPN: "dan@adatum.test"}, "<good/>", carol, aadsts.InvalidAssertion},
		"request names somebody else":   {idp.Subject{ImmutableID: immutable, UPN: carol}, "<good/>", "dan@adatum.test", aadsts.InvalidAssertion},
		"managed user of the tenant":    {idp.Subject{ImmutableID: immutable, UPN: carol}, "<good/>", frank, aadsts.InvalidAssertion},
		"user of another tenant's name": {idp.Subject{ImmutableID: immutable, UPN: carol}, "<good/>", alice, aadsts.UserNotInTenant},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, idp.Config{Tenants: federated(t), Assertions: oneAssertion{f.subject}})
			d := w.join(t, frank, frankPassword, 1, 2)
			c := d.claims(t, f.user, "")
			c.GrantType, c.Assertion = entrawire.GrantSAML1, entrawire.EncodeSAML(f.xml)
			_, err := w.requestPRT(d.sign(t, c))
			wantCode(t, err, f.code)
			if f.code != 0 {
				return
			}
			c.RequestNonce = w.nonce(t)
			s := d.open(t, d.sign(t, c))
			r := s.renewal(t)
			r.Assertion = entrawire.EncodeSAML(f.xml)
			next, _ := s.renew(t, r)
			if err := next.use(t); err != nil {
				t.Error(err)
			}
			r = s.renewal(t)
			r.Assertion = entrawire.EncodeSAML("<bad/>")
			_, err = w.renewPRT(s.sign(t, r))
			wantCode(t, err, aadsts.InvalidAssertion)
		})
	}
	t.Run("password of a federated user", func(t *testing.T) {
		w := newWorld(t, idp.Config{})
		d := w.join(t, frank, frankPassword, 1, 2)
		_, err := w.requestPRT(d.sign(t, d.claims(t, carol, "x")))
		wantCode(t, err, aadsts.NoPassword)
		c := d.claims(t, carol, "")
		c.GrantType, c.Assertion = entrawire.GrantSAML1, entrawire.EncodeSAML("<good/>")
		_, err = w.requestPRT(d.sign(t, c))
		wantCode(t, err, aadsts.InvalidAssertion) // the domain has no certificate
	})
}
