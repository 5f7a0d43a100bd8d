package idp_test

import (
	"slices"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

func TestISS22_TheBrokersRefreshTokenBecomesAPRT(t *testing.T) {
	w := newWorld(t, idp.Config{})
	d := w.join(t, alice, alicePassword, 1, 1) // one key for both, as roadtx has it
	token := w.brokerToken(t, alice, nil)
	s := d.open(t, d.sign(t, w.roadtxUpgrade(t, token)))
	if err := s.use(t); err != nil {
		t.Fatal(err)
	}
	from, prt := w.artefact(t, sealed.RefreshToken, token), w.artefact(t, sealed.PRT, s.prt)
	if !slices.Equal(prt.AMR, from.AMR) || !prt.AuthTime.Equal(from.AuthTime) || prt.MFATime != from.MFATime || prt.Credential != from.Credential {
		t.Errorf("copied as %v at %v, second factor %d", prt.AMR, prt.AuthTime, prt.MFATime)
	}
	if string(prt.Device) != d.id || prt.Client != entrawire.BrokerClientID || prt.KDFMin != 2 {
		t.Errorf("bound to %s, client %s, kdf_min %d", prt.Device, prt.Client, prt.KDFMin)
	}
	events := w.svc.SignIns()
	if last := events[len(events)-2]; last.User != alice || string(last.Device) != d.id {
		t.Errorf("logged as %+v", last)
	}
	d.open(t, d.sign(t, w.roadtxUpgrade(t, w.brokerToken(t, alice, bound(d))))) // its own device
}

// TestAttack14_OtherRefreshTokensStayWhatTheyAre is the matrix of row 14: what is
// not the broker's token of a user who signed in, in this tenant, on no other
// device, and still good, does not become a PRT.
func TestAttack14_OtherRefreshTokensStayWhatTheyAre(t *testing.T) {
	w := newWorld(t, idp.Config{})
	d, other := w.join(t, alice, alicePassword, 1, 2), w.join(t, bob, bobPassword, 3, 4)
	s := d.first(t, alice, alicePassword)
	office := s.tokens(t, s.redemption(t, office, "")).RefreshToken.Reveal()
	for name, f := range map[string]struct {
		token string
		code  aadsts.Code
	}{
		"an app's, from our own answer": {office, aadsts.InvalidGrant},
		"another client's":              {w.brokerToken(t, alice, func(a *sealed.Artefact) { a.Client = cli }), aadsts.InvalidGrant},
		"another tenant's":              {w.brokerToken(t, frank, nil), aadsts.InvalidGrant},
		"another device's":              {w.brokerToken(t, alice, bound(other)), aadsts.InvalidGrant},
		"an older certificate's":        {w.brokerToken(t, alice, func(a *sealed.Artefact) { bound(d)(a); a.Certificate[0] ^= 1 }), aadsts.InvalidGrant},
		"an application's own":          {w.brokerToken(t, alice, func(a *sealed.Artefact) { a.Credential = sealed.Client }), aadsts.InvalidGrant},
		"a bulk enrolment package":      {w.brokerToken(t, alice, func(a *sealed.Artefact) { a.Credential = sealed.Bulk }), aadsts.InvalidGrant},
		"a browser's":                   {w.brokerToken(t, alice, func(a *sealed.Artefact) { a.SPA = true }), aadsts.InvalidGrant},
		"a PRT":                         {s.prt, aadsts.InvalidGrant},
		"garbage":                       {"0.a.b", aadsts.InvalidGrant},
		"expired":                       {w.brokerToken(t, alice, func(a *sealed.Artefact) { a.Expires = time.Now().Add(-time.Second) }), aadsts.ExpiredToken},
		"before a password change":      {w.brokerToken(t, alice, func(a *sealed.Artefact) { a.PasswordEpoch-- }), aadsts.FreshTokenNeeded},
		"before a revocation":           {w.brokerToken(t, alice, func(a *sealed.Artefact) { a.SessionEpoch-- }), aadsts.FreshTokenNeeded},
		"of nobody":                     {w.brokerToken(t, alice, func(a *sealed.Artefact) { a.User = ids.NewUser() }), aadsts.UserAccountNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			w.unchanged(t, func() {
				_, err := w.requestPRT(d.sign(t, w.roadtxUpgrade(t, f.token)))
				wantCode(t, err, f.code)
			})
		})
	}
	setUser(t, w, alice, false)
	_, err := w.requestPRT(d.sign(t, w.roadtxUpgrade(t, w.brokerToken(t, alice, nil))))
	wantCode(t, err, aadsts.UserDisabled)
}

func TestAttack13_DeviceCodeAndThePRT(t *testing.T) {
	phished := func(a *sealed.Artefact) { a.Origin = tenant.FlowDeviceCode }
	for profile, refused := range map[string]bool{"2020": false, "today": false, "strict": true} {
		t.Run(profile, func(t *testing.T) {
			w := newWorld(t, idp.Config{Tenants: withProfile(profile)})
			d := w.join(t, alice, alicePassword, 1, 2)
			request := d.sign(t, w.roadtxUpgrade(t, w.brokerToken(t, alice, phished)))
			if refused {
				_, err := w.requestPRT(request)
				wantCode(t, err, aadsts.InvalidGrant)
				return
			}
			s := d.open(t, request)
			if prt := w.artefact(t, sealed.PRT, s.prt); prt.Origin != tenant.FlowDeviceCode {
				t.Error("the PRT forgot how the user came, so no policy can block it")
			}
		})
	}
}
