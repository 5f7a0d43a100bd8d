package idp_test

import (
	"context"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
)

// side is one tenant with a device, a user and everything issued to them.
type side struct {
	upn, password string
	d             *device
	s             *signIn
	refresh       secret.Text
	cookie        string
}

func sides(t *testing.T, w *world) []side {
	t.Helper()
	out := []side{
		{upn: alice, password: alicePassword, d: w.join(t, alice, alicePassword, 1, 2)},
		{upn: frank, password: frankPassword, d: w.join(t, frank, frankPassword, 3, 4)},
	}
	for i := range out {
		out[i].s = out[i].d.first(t, out[i].upn, out[i].password)
		out[i].refresh = out[i].s.tokens(t, out[i].s.redemption(t, office, "")).RefreshToken
		out[i].cookie = w.signedIn(t, out[i].s, "").GetSessionCookie()
	}
	return out
}

func TestISS27_A30_Attack33_CrossTenantMatrix(t *testing.T) {
	w, stranger := newWorld(t, idp.Config{}), newWorld(t, idp.Config{})
	all := sides(t, w)
	nonces := map[string]func() string{"own": func() string { return w.nonce(t) }, "foreign": func() string { return stranger.nonce(t) }}
	for i, dev := range all {
		for j, user := range all {
			for origin, nonce := range nonces {
				c := dev.d.claims(t, user.upn, user.password)
				c.RequestNonce = nonce()
				_, err := w.requestPRT(dev.d.sign(t, c))
				switch want := i == j && origin == "own"; {
				case want && err != nil:
					t.Errorf("device %d, user %d: %v", i, j, err)
				case !want && origin == "own":
					wantCode(t, err, aadsts.UserNotInTenant)
				case !want:
					wantCode(t, err, aadsts.InvalidNonce)
				}
				matrixCell(t, w, i == j && origin == "own", dev, user, nonce)
			}
		}
	}
}

// matrixCell presents the artefacts of one side with the session key of the
// other, and in renewals the other side's credentials.
func matrixCell(t *testing.T, w *world, same bool, key, artefact side, nonce func() string) {
	t.Helper()
	mixed := &signIn{d: key.d, prt: artefact.s.prt, key: key.s.key}
	requests := map[string]func() error{
		"renewal": func() error {
			c := mixed.renewal(t)
			c.RequestNonce = nonce()
			_, err := w.renewPRT(mixed.sign(t, c))
			return err
		},
		"renewal with credentials": func() error {
			c := key.s.renewal(t)
			c.RequestNonce, c.Username, c.Password = nonce(), artefact.upn, secret.NewText(artefact.password)
			_, err := w.renewPRT(key.s.sign(t, c))
			return err
		},
		"PRT": func() error {
			c := mixed.redemption(t, office, "")
			c.RequestNonce = nonce()
			_, err := w.redeemPRT(mixed.sign(t, c))
			return err
		},
		"refresh token": func() error {
			c := key.s.redemption(t, office, "")
			c.RequestNonce, c.RefreshToken = nonce(), artefact.refresh
			_, err := w.redeemRT(key.s.sign(t, c))
			return err
		},
		"web": func() error {
			n := nonce()
			o := w.authorize(t, &idpv1.AuthorizeRequest{SsoNonce: n, RefreshTokenCredential: mixed.sign(t, mixed.cookie(n))})
			return signedInOr(o)
		},
		"session cookie": func() error {
			n := nonce()
			o := w.authorize(t, &idpv1.AuthorizeRequest{SsoNonce: n, RefreshTokenCredential: key.s.sign(t, key.s.cookie(n)), SessionCookie: artefact.cookie})
			return signedInOr(o)
		},
	}
	for name, send := range requests {
		if err := send(); (err == nil) != same {
			t.Errorf("%s: %v, want success %v", name, err, same)
		} else if err != nil {
			wantNamed(t, err)
		}
	}
}

func signedInOr(o *idpv1.AuthorizeResponse) error {
	if o.GetSignedIn() == nil {
		return prterr.New(prterr.Denied, "not signed in")
	}
	return nil
}

func TestISS27_RegistrationTokenOfOneTenantMakesDevicesOfThatTenant(t *testing.T) {
	w := newWorld(t, idp.Config{})
	d := &device{w: w, dk: rsaKeys()[1], tk: rsaKeys()[2]}
	req := d.enrolment(t, frank, frankPassword)
	req.TargetDomain = "contoso.test"
	_, err := w.devices.RegisterDevice(context.Background(), req)
	wantKind(t, err, prterr.Invalid)
	req.TargetDomain = "fabrikam.test"
	a, err := w.devices.RegisterDevice(context.Background(), req)
	if err != nil || a.GetTenantId() != fabrikam {
		t.Fatalf("%v, %v", a, err)
	}
	d.adopt(t, a.GetCertificate())
	if _, err := w.requestPRT(d.sign(t, d.claims(t, frank, frankPassword))); err != nil {
		t.Error(err)
	}
	// A certificate that names the other tenant does not chain there.
	c := entrawire.DeviceProof{GrantType: entrawire.GrantDeviceRemoval, Iss: entrawire.BrokerIssuer, RequestNonce: w.nonce(t)}
	if _, err := w.devices.DeleteDevice(context.Background(), &idpv1.DeleteDeviceRequest{Request: d.sign(t, c)}); err != nil {
		t.Error(err)
	}
}
