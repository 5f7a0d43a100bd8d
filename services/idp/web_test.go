package idp_test

import (
	"context"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
)

// authorize visits the endpoint for an application that both tenants have.
func (w *world) authorize(t testing.TB, r *idpv1.AuthorizeRequest) *idpv1.AuthorizeResponse {
	t.Helper()
	if r.ClientId == "" {
		r.ClientId, r.RedirectUri = office, redirectOf(office)
	}
	a, err := w.sessions.Authorize(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// signedIn is a good visit, challenge and all.
func (w *world) signedIn(t testing.TB, s *signIn, cookie string) *idpv1.SignedIn {
	t.Helper()
	challenge := w.authorize(t, &idpv1.AuthorizeRequest{SessionCookie: cookie}).GetNonceChallenge().GetSsoNonce()
	if challenge == "" {
		t.Fatal("no challenge")
	}
	o := w.authorize(t, &idpv1.AuthorizeRequest{
		SsoNonce: challenge, Nonce: "n1", SessionCookie: cookie, RefreshTokenCredential: s.sign(t, s.cookie(challenge)),
	}).GetSignedIn()
	if o == nil {
		t.Fatalf("not signed in: %+v", lastEvent(w))
	}
	return o
}

func lastEvent(w *world) idp.Event {
	all := w.svc.SignIns()
	return all[len(all)-1]
}

// wantPage fails unless the visit ended on the sign-in page for the reason.
func wantPage(t testing.TB, w *world, o *idpv1.AuthorizeResponse, code aadsts.Code) {
	t.Helper()
	if o.GetSignInPage() == nil {
		t.Errorf("got %v, want the sign-in page", o)
	}
	if e := lastEvent(w); e.Code != code || e.Outcome != signinlog.Refused {
		t.Errorf("logged as %+v, want %v", e, code)
	}
}

func TestBRO08_SignedInWithAPRTCookie(t *testing.T) {
	w, other := newWorld(t, idp.Config{}), newWorld(t, idp.Config{})
	d := w.join(t, alice, alicePassword, 1, 2)
	s, bobs := d.first(t, alice, alicePassword), w.join(t, bob, bobPassword, 3, 4).first(t, bob, bobPassword)
	o := w.signedIn(t, s, "")
	token, err := jose.Parse(o.GetIdToken())
	if err != nil {
		t.Fatal(err)
	}
	pub, _ := w.svc.Authority().PublicKey()
	var c entrawire.IDToken
	if err := token.VerifyRS256(pub); err != nil || token.Claims(&c) != nil {
		t.Fatal(err)
	}
	if c.Aud != office || c.Nonce != "n1" || c.UPN != alice || c.TID != contoso || c.DeviceID != d.id || o.GetSessionCookie() == "" {
		t.Errorf("%+v", c)
	}
	n := w.nonce(t)
	wantPage(t, w, w.authorize(t, &idpv1.AuthorizeRequest{SsoNonce: n, RefreshTokenCredential: flipSignature(t, s.sign(t, s.cookie(n)), 3)}), aadsts.InvalidSessionKey)
	mixed := &signIn{d: d, prt: s.prt, key: bobs.key}
	wantPage(t, w, w.authorize(t, &idpv1.AuthorizeRequest{SsoNonce: n, RefreshTokenCredential: mixed.sign(t, mixed.cookie(n))}), aadsts.InvalidSessionKey)
	foreign := other.nonce(t)
	wantPage(t, w, w.authorize(t, &idpv1.AuthorizeRequest{SsoNonce: foreign, RefreshTokenCredential: s.sign(t, s.cookie(foreign))}), aadsts.InvalidNonce)
	wantPage(t, w, w.authorize(t, &idpv1.AuthorizeRequest{SsoNonce: n, RefreshTokenCredential: s.sign(t, s.cookie(w.nonce(t)))}), aadsts.InvalidNonce)
	twice := s.sign(t, s.cookie(n))
	if w.authorize(t, &idpv1.AuthorizeRequest{SsoNonce: n, RefreshTokenCredential: twice}).GetSignedIn() == nil {
		t.Error("a good cookie was refused")
	}
	wantPage(t, w, w.authorize(t, &idpv1.AuthorizeRequest{SsoNonce: n, RefreshTokenCredential: twice}), aadsts.InvalidNonce)
	n = w.nonce(t)
	setDevice(t, w, d.id, false)
	wantPage(t, w, w.authorize(t, &idpv1.AuthorizeRequest{SsoNonce: n, RefreshTokenCredential: s.sign(t, s.cookie(n))}), aadsts.DeviceDisabled)
	wantPage(t, w, w.authorize(t, &idpv1.AuthorizeRequest{SsoNonce: n, RefreshTokenCredential: "garbage"}), aadsts.MalformedRequest)
	// Not sent back yet: a challenge, whatever is wrong with the cookie.
	if w.authorize(t, &idpv1.AuthorizeRequest{RefreshTokenCredential: "garbage"}).GetNonceChallenge() == nil {
		t.Error("no challenge for a bad cookie")
	}
}

func TestBRO10_NoCookieNoSignIn(t *testing.T) {
	w := newWorld(t, idp.Config{})
	if w.authorize(t, &idpv1.AuthorizeRequest{}).GetNonceChallenge().GetSsoNonce() == "" {
		t.Error("no challenge on the first visit")
	}
	if w.authorize(t, &idpv1.AuthorizeRequest{SsoNonce: w.nonce(t)}).GetSignInPage() == nil {
		t.Error("no sign-in page on the second visit")
	}
	_, err := w.sessions.Authorize(context.Background(), &idpv1.AuthorizeRequest{ClientId: portal, RedirectUri: portalURI, Prompt: "none", SsoNonce: w.nonce(t)})
	wantCode(t, err, aadsts.UserInformationMissing)
	for name, f := range map[string]struct {
		r    *idpv1.AuthorizeRequest
		code aadsts.Code
	}{
		"no client":       {&idpv1.AuthorizeRequest{RedirectUri: portalURI}, aadsts.MissingParameter},
		"not a client":    {&idpv1.AuthorizeRequest{ClientId: "x", RedirectUri: portalURI}, aadsts.InvalidRequest},
		"unknown client":  {&idpv1.AuthorizeRequest{ClientId: contoso, RedirectUri: portalURI}, aadsts.ApplicationNotFound},
		"foreign address": {&idpv1.AuthorizeRequest{ClientId: portal, RedirectUri: portalURI + "/"}, aadsts.InvalidReplyTo},
		"unknown prompt":  {&idpv1.AuthorizeRequest{ClientId: portal, RedirectUri: portalURI, Prompt: "consent"}, aadsts.InvalidRequest},
	} {
		_, err := w.sessions.Authorize(context.Background(), f.r)
		if t.Run(name, func(t *testing.T) { wantCode(t, err, f.code) }); err == nil {
			t.Error("taken")
		}
	}
}

func TestBRO08_PromptLoginAndTheTenantsOwnApplications(t *testing.T) {
	w := newWorld(t, idp.Config{})
	s := w.join(t, frank, frankPassword, 1, 2).first(t, frank, frankPassword)
	n := w.nonce(t)
	if w.authorize(t, &idpv1.AuthorizeRequest{SsoNonce: n, Prompt: "login", RefreshTokenCredential: s.sign(t, s.cookie(n))}).GetSignInPage() == nil {
		t.Error("prompt=login was signed in silently")
	}
	// The address is registered in the other tenant only.
	o := w.authorize(t, &idpv1.AuthorizeRequest{ClientId: portal, RedirectUri: portalURI, SsoNonce: n, RefreshTokenCredential: s.sign(t, s.cookie(n))})
	wantPage(t, w, o, aadsts.ApplicationNotFound)
}

func TestBRO09_A36_SessionCookieNeedsAProofOfItsKey(t *testing.T) {
	w := newWorld(t, idp.Config{})
	d := w.join(t, alice, alicePassword, 1, 2)
	s := d.first(t, alice, alicePassword)
	cookie := w.signedIn(t, s, "").GetSessionCookie()
	w.signedIn(t, s, cookie)

	t.Run("copied to a machine without the key", func(t *testing.T) {
		wantPage(t, w, w.authorize(t, &idpv1.AuthorizeRequest{SsoNonce: w.nonce(t), SessionCookie: cookie}), aadsts.InvalidSessionKey)
		if w.authorize(t, &idpv1.AuthorizeRequest{SessionCookie: cookie}).GetNonceChallenge() == nil {
			t.Error("the cookie alone did something")
		}
	})
	t.Run("copied to another device", func(t *testing.T) {
		for _, thief := range []*signIn{w.join(t, bob, bobPassword, 3, 4).first(t, bob, bobPassword), w.join(t, alice, alicePassword, 3, 4).first(t, alice, alicePassword)} {
			n := w.nonce(t)
			wantPage(t, w, w.authorize(t, &idpv1.AuthorizeRequest{SsoNonce: n, SessionCookie: cookie, RefreshTokenCredential: thief.sign(t, thief.cookie(n))}), aadsts.InvalidSessionKey)
		}
	})
	t.Run("as a PRT, and a PRT as cookie", func(t *testing.T) {
		n := w.nonce(t)
		fake := &signIn{d: d, prt: cookie, key: s.key}
		wantPage(t, w, w.authorize(t, &idpv1.AuthorizeRequest{SsoNonce: n, RefreshTokenCredential: fake.sign(t, fake.cookie(n))}), aadsts.InvalidGrant)
		wantCode(t, fake.use(t), aadsts.InvalidGrant)
	})
	t.Run("after a renewal a new session begins", func(t *testing.T) {
		next, _ := s.renew(t, s.renewal(t))
		w.signedIn(t, next, cookie)
	})
}

func TestBRO11_NoPRTInABrowserSession(t *testing.T) {
	w := newWorld(t, idp.Config{})
	s := w.join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword)
	before := len(w.svc.SignIns())
	w.unchanged(t, func() {
		cookie := ""
		for range 100 {
			o := w.signedIn(t, s, cookie)
			cookie = o.GetSessionCookie()
			fake := &signIn{d: s.d, prt: cookie, key: s.key}
			wantCode(t, fake.use(t), aadsts.InvalidGrant)
		}
	})
	for _, e := range w.svc.SignIns()[before:] {
		if e.Flow == signinlog.IssuePRT || e.Flow == signinlog.RenewPRT {
			t.Errorf("a browser got a PRT: %+v", e)
		}
	}
}

func TestA04_CookieWithADateInPlaceOfANonce(t *testing.T) {
	for profile, works := range map[string]bool{"2020": true, "today": false, "strict": false} {
		t.Run(profile, func(t *testing.T) {
			lab := clock.NewLab()
			w := newWorld(t, idp.Config{Clock: lab, Tenants: withProfile(profile)})
			s := w.join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword)
			c := entrawire.Cookie{RefreshToken: s.cookie("").RefreshToken, IsPrimary: true, Iat: lab.Now().Unix()}
			cookie := s.sign(t, c)
			visit := func() bool {
				return w.authorize(t, &idpv1.AuthorizeRequest{RefreshTokenCredential: cookie}).GetSignedIn() != nil
			}
			if visit() != works {
				t.Errorf("fresh: want %v", works)
			}
			lab.Advance(34 * time.Minute)
			if visit() != works {
				t.Errorf("after 34 minutes: want %v", works)
			}
			lab.Advance(2 * time.Minute)
			if visit() {
				t.Error("taken after 36 minutes")
			}
			c.Iat = lab.Now().Add(time.Hour).Unix()
			if cookie = s.sign(t, c); visit() {
				t.Error("a date in the future was taken")
			}
			c.Iat = 0
			if cookie = s.sign(t, c); visit() {
				t.Error("neither nonce nor date was taken")
			}
		})
	}
}
