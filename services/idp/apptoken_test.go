package idp_test

import (
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp"
)

type accessClaims struct {
	Aud, Iss, AppID, OID, Sub, UPN, Name, TID, Scp, DeviceID, Ver, UTI string
	Unique                                                             string `json:"unique_name"`
	AMR                                                                []string
	Iat, Nbf, Exp                                                      int64
}

func (w *world) accessToken(t testing.TB, text secret.Text) accessClaims {
	t.Helper()
	token, err := jose.Parse(text.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	pub, kid := w.svc.Authority().PublicKey()
	if err := token.VerifyRS256(pub); err != nil || token.Header.Kid != kid {
		t.Fatalf("signature: %v, kid %q", err, token.Header.Kid)
	}
	var c accessClaims
	if err := token.Claims(&c); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAPP05_ISS10_FirstTokenOfAnAppUsesThePRT(t *testing.T) {
	w := newWorld(t, idp.Config{})
	s := w.join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword)
	a := s.tokens(t, s.redemption(t, office, graph))
	c := w.accessToken(t, a.AccessToken)
	if c.Aud != graph || c.Iss != "https://sts.windows.net/"+contoso+"/" || c.AppID != office || c.TID != contoso || c.UPN != alice || c.Unique != alice ||
		c.Name != "Alice Adams" || c.DeviceID != s.d.id || c.Ver != "1.0" || c.Scp == "" || c.UTI == "" || len(c.AMR) != 2 || c.AMR[0] != "pwd" || c.AMR[1] != "rsa" {
		t.Errorf("%+v", c)
	}
	if life := c.Exp - c.Iat; life < 3600 || life > 5400 || life != a.ExpiresIn {
		t.Errorf("lifetime %d, told %d", life, a.ExpiresIn)
	}
	if a.RefreshToken.Empty() || a.IDToken.Empty() || !a.PRT.Empty() || a.Resource != graph {
		t.Errorf("answer lacks a token or has a PRT: %+v", a)
	}
	other := w.accessToken(t, s.tokens(t, s.redemption(t, cli, graph+"/")).AccessToken)
	if other.AppID != cli || other.Aud != graph {
		t.Errorf("%+v", other)
	}
	if none := s.tokens(t, s.redemption(t, office, "")); !none.AccessToken.Empty() || none.IDToken.Empty() || none.RefreshToken.Empty() {
		t.Error("without a resource: want ID token and refresh token, and no access token")
	}
}

func TestAPP02_APP03_SecondTokenUsesTheRefreshToken(t *testing.T) {
	w := newWorld(t, idp.Config{})
	s := w.join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword)
	first := s.tokens(t, s.redemption(t, office, graph))
	c := s.redemption(t, office, graph)
	c.RefreshToken = first.RefreshToken
	text, err := w.redeemRT(s.sign(t, c))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := entrawire.ParseAnswer(text); err != nil {
		t.Errorf("not an encrypted answer: %v", err)
	}
	var second entrawire.TokenAnswer
	s.decrypt(t, text, &second)
	if w.accessToken(t, second.AccessToken).AppID != office || second.RefreshToken.Equal(first.RefreshToken) {
		t.Error("no access token, or no new refresh token")
	}

	change := func(f func(*entrawire.SessionRequest)) entrawire.SessionRequest {
		c := s.redemption(t, office, graph)
		c.RefreshToken = second.RefreshToken
		f(&c)
		return c
	}
	other := w.join(t, bob, bobPassword, 3, 4).first(t, bob, bobPassword)
	for name, f := range map[string]struct {
		request string
		prtDoor bool
		code    aadsts.Code
	}{
		"another app":               {s.sign(t, change(func(c *entrawire.SessionRequest) { c.ClientID, c.RedirectURI = cli, redirectOf(cli) })), false, aadsts.InvalidGrant},
		"asks for a PRT":            {s.sign(t, change(func(c *entrawire.SessionRequest) { c.Scope = entrawire.ScopeTokenPRT })), false, aadsts.InvalidScope},
		"another session key":       {other.sign(t, change(func(*entrawire.SessionRequest) {})), false, aadsts.InvalidSessionKey},
		"refresh token as PRT":      {s.sign(t, change(func(*entrawire.SessionRequest) {})), true, aadsts.InvalidGrant},
		"PRT as refresh token":      {s.sign(t, s.redemption(t, office, graph)), false, aadsts.InvalidGrant},
		"credentials in it":         {s.sign(t, change(func(c *entrawire.SessionRequest) { c.Username, c.Password = alice, secret.NewText("x") })), false, aadsts.InvalidRequest},
		"not signed":                {mustUnsigned(t, encoded(t, change(func(*entrawire.SessionRequest) {}))), false, aadsts.InvalidGrant},
		"another identity provider": {s.sign(t, change(func(c *entrawire.SessionRequest) { c.Aud = "login.example" })), false, aadsts.InvalidRequest},
	} {
		t.Run(name, func(t *testing.T) {
			w.unchanged(t, func() {
				send := w.redeemRT
				if f.prtDoor {
					send = w.redeemPRT
				}
				_, err := send(f.request)
				wantCode(t, err, f.code)
			})
		})
	}
}

func mustUnsigned(t testing.TB, payload []byte) string {
	t.Helper()
	s, err := jose.Unsigned(payload)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAPP05_WhoMayAskForWhat(t *testing.T) {
	w := newWorld(t, idp.Config{})
	s := w.join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword)
	for name, f := range map[string]struct {
		change func(*entrawire.SessionRequest)
		code   aadsts.Code
	}{
		"unknown app":      {func(c *entrawire.SessionRequest) { c.ClientID = contoso }, aadsts.ApplicationNotFound},
		"other redirect":   {func(c *entrawire.SessionRequest) { c.RedirectURI = redirectOf(cli) }, aadsts.InvalidReplyTo},
		"no redirect":      {func(c *entrawire.SessionRequest) { c.RedirectURI = "" }, aadsts.InvalidReplyTo},
		"unknown resource": {func(c *entrawire.SessionRequest) { c.Resource = "https://evil.test" }, aadsts.ResourceNotFound},
		"no issuer":        {func(c *entrawire.SessionRequest) { c.Iss = "" }, aadsts.InvalidRequest},
	} {
		t.Run(name, func(t *testing.T) {
			c := s.redemption(t, office, graph)
			f.change(&c)
			_, err := w.redeemPRT(s.sign(t, c))
			wantCode(t, err, f.code)
		})
	}
}

func TestAPP06_NewPRTWithTheToken(t *testing.T) {
	lab := clock.NewLab()
	w := newWorld(t, idp.Config{Clock: lab})
	s := w.join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword)
	lab.Advance(5 * time.Hour)
	c := s.redemption(t, office, graph)
	c.Scope = entrawire.ScopeTokenPRT
	a := s.tokens(t, c)
	if a.PRT.Empty() || a.PRTExpiresIn != 1209599 || a.RefreshToken.Empty() || a.AccessToken.Empty() {
		t.Fatalf("no PRT beside the tokens: %d s", a.PRTExpiresIn)
	}
	next := &signIn{d: s.d, prt: a.PRT.Reveal(), key: s.key} // the session key stays
	lab.Advance(14*24*time.Hour - time.Hour)
	wantCode(t, s.use(t), aadsts.ExpiredToken)
	if err := next.use(t); err != nil {
		t.Errorf("the new PRT: %v", err)
	}
	c = next.redemption(t, office, graph)
	c.Scope, c.WinVer = entrawire.ScopeTokenPRT, "10.0.19041.868"
	a = next.tokens(t, c)
	if !a.PRT.Empty() || a.RefreshTokenExpiresIn != 1209599 {
		t.Error("another client got members it does not know")
	}
	last := &signIn{d: s.d, prt: a.RefreshToken.Reveal(), key: s.key}
	if err := last.use(t); err != nil {
		t.Errorf("the PRT in refresh_token: %v", err)
	}
}

func TestINV16_RefreshTokenExpires(t *testing.T) {
	for name, f := range map[string]struct {
		tenants []byte
		after   time.Duration
	}{
		"of age":  {nil, 90*24*time.Hour + time.Second},
		"unused":  {idleFor240h(), 240*time.Hour + time.Second},
		"in time": {idleFor240h(), 240*time.Hour - time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			lab := clock.NewLab()
			overBoth(t, idp.Config{Clock: lab, Tenants: f.tenants}, func(t *testing.T, w *world) {
				s := w.join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword)
				a := s.tokens(t, s.redemption(t, office, ""))
				lab.Advance(f.after)
				c := s.redemption(t, office, "")
				c.RefreshToken = a.RefreshToken
				_, err := w.redeemRT(s.sign(t, c))
				if name == "in time" {
					wantCode(t, err, 0)
					return
				}
				wantCode(t, err, aadsts.ExpiredToken)
			})
		})
	}
}
