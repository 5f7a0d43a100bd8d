package idp_test

import (
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

// header is an honest device header.
func (d *device) header(t testing.TB, nonce string) string {
	t.Helper()
	return d.sign(t, entrawire.DeviceProof{
		GrantType: entrawire.GrantDeviceAuth, Iss: entrawire.BrokerIssuer, RequestNonce: nonce, WindowsAPIVersion: entrawire.CookieAPIVersion,
	})
}

// dated is a PRT cookie with a date in place of a nonce.
func (s *signIn) dated(t testing.TB, made time.Time) string {
	t.Helper()
	c := s.cookie("")
	c.RequestNonce, c.Iat = "", made.Unix()
	return s.sign(t, c)
}

// broker is a visit as libhimmelblau makes it: no user agent, both headers, one
// nonce in both, none in the address.
func broker(prt, device string) *idpv1.AuthorizeRequest {
	return &idpv1.AuthorizeRequest{
		Caller: &idpv1.Caller{}, Tenant: "contoso.test", Resource: graph, RefreshTokenCredential: prt, DeviceCredential: device,
	}
}

// TestWire26_OneNonceInTwoHeaders: and both once more after AADSTS16000.
func TestWire26_OneNonceInTwoHeaders(t *testing.T) {
	for _, profile := range []string{"today", "strict"} {
		t.Run(profile, func(t *testing.T) {
			p := newPages(t, idp.Config{Tenants: withProfile(profile)})
			d := p.join(t, alice, alicePassword, 1, 2)
			s := d.first(t, alice, alicePassword)
			n := p.nonce(t)
			prt, dev := s.sign(t, s.cookie(n)), d.header(t, n)
			// Somebody else's session is in the jar: the client clears it and repeats.
			_, bobs := p.typed(t, &idpv1.AuthorizeRequest{}, bob, bobPassword)
			stale := broker(prt, dev)
			stale.SessionCookie = bobs.GetSessionCookie()
			p.page(t, stale, idpv1.PageKind_PAGE_KIND_SIGN_IN, aadsts.InteractionRequired)
			stale.Prompt = "none"
			p.refused(t, stale, aadsts.InteractionRequired)
			c, _ := p.silent(t, broker(prt, dev))
			if string(c.Device) != d.id || !c.SessionKey.Equal(s.key) || c.Resource != graph || c.AMR[0] != "pwd" {
				t.Errorf("%+v", c)
			}
			// Taken once, it is used up: attack 5.
			if a := p.visit(t, broker(prt, dev)); a.GetSignedIn() != nil {
				t.Error("a PRT cookie was good twice")
			}
		})
	}
}

// TestAttack03_DerivationIsNotLoweredAtTheAuthorizationEndpoint: version 1 for a PRT that was asked for without
// version 2, as libhimmelblau does, and not for the others.
func TestAttack03_DerivationIsNotLoweredAtTheAuthorizationEndpoint(t *testing.T) {
	p := newPages(t, idp.Config{})
	d := p.join(t, alice, alicePassword, 1, 2)
	old := d.open(t, d.signAs(t, jose.Header{Typ: "JWT", X5C: [][]byte{d.cert}}, d.dk, encoded(t, d.claims(t, alice, alicePassword))))
	for want, s := range map[bool]*signIn{true: old, false: d.first(t, alice, alicePassword)} {
		v1, err := entrawire.SignSession(encoded(t, s.cookie(p.nonce(t))), s.key, 1)
		if err != nil {
			t.Fatal(err)
		}
		if a := p.visit(t, broker(v1, "")); (a.GetSignedIn() != nil) != want {
			t.Errorf("want %v: %v", want, a)
		}
	}
}

// TestBRO16_BrowsersAreSentBackForANonceOnce: those that can fetch a PRT cookie,
// and those that have just shown one that is not fresh.
func TestBRO16_BrowsersAreSentBackForANonceOnce(t *testing.T) {
	p := newPages(t, idp.Config{})
	s := p.join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword)
	edge := &idpv1.Caller{UserAgent: chromeWindows}
	challenge := func(r *idpv1.AuthorizeRequest) string { return p.visit(t, r).GetNonceChallenge().GetSsoNonce() }

	n := challenge(&idpv1.AuthorizeRequest{Caller: edge})
	if e := lastEvent(p.world); n == "" || e.Code != aadsts.BrowserNonceRequired {
		t.Fatalf("no challenge for Edge: %+v", e)
	}
	if page := p.page(t, &idpv1.AuthorizeRequest{Caller: edge, SsoNonce: n}, idpv1.PageKind_PAGE_KIND_SIGN_IN, 0); page.GetSsoNonce() == "" || page.GetSsoNonce() == n {
		t.Errorf("a page must carry a fresh nonce: %v", page)
	}
	p.page(t, &idpv1.AuthorizeRequest{Caller: edge, SsoReload: true}, idpv1.PageKind_PAGE_KIND_SIGN_IN, 0)
	p.page(t, &idpv1.AuthorizeRequest{}, idpv1.PageKind_PAGE_KIND_SIGN_IN, 0)
	p.page(t, &idpv1.AuthorizeRequest{Caller: edge, Prompt: "login"}, idpv1.PageKind_PAGE_KIND_SIGN_IN, 0)
	p.silent(t, &idpv1.AuthorizeRequest{Caller: edge, SsoNonce: n, RefreshTokenCredential: s.sign(t, s.cookie(n))})

	// roadtx: a cookie with a date first, then one with the nonce of the address.
	dated := s.dated(t, time.Now())
	if n = challenge(&idpv1.AuthorizeRequest{RefreshTokenCredential: dated}); n == "" {
		t.Fatal("no challenge for a cookie without a nonce")
	}
	p.page(t, &idpv1.AuthorizeRequest{RefreshTokenCredential: dated, SsoNonce: n}, idpv1.PageKind_PAGE_KIND_SIGN_IN, 0)
	p.silent(t, &idpv1.AuthorizeRequest{RefreshTokenCredential: s.sign(t, s.cookie(n)), SsoNonce: n})
	if challenge(&idpv1.AuthorizeRequest{RefreshTokenCredential: dated, Prompt: "none"}) == "" {
		t.Error("prompt=none was not sent back")
	}
	p.refused(t, &idpv1.AuthorizeRequest{RefreshTokenCredential: dated, Prompt: "none", SsoReload: true}, aadsts.UserInformationMissing)
}

// TestAttack04_Attack06_OldCookiesAndForeignNonces: each ends on the page.
func TestAttack04_Attack06_OldCookiesAndForeignNonces(t *testing.T) {
	lab := clock.NewLab()
	p, other := newPages(t, idp.Config{Clock: lab}), newWorld(t, idp.Config{})
	s := p.join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword)
	foreign := other.nonce(t)
	a := p.visit(t, &idpv1.AuthorizeRequest{RefreshTokenCredential: s.sign(t, s.cookie(foreign))})
	if n := a.GetNonceChallenge().GetSsoNonce(); n == "" || n == foreign {
		t.Errorf("a foreign nonce: %v", a)
	}
	p.page(t, &idpv1.AuthorizeRequest{SsoNonce: foreign, RefreshTokenCredential: s.sign(t, s.cookie(foreign))}, idpv1.PageKind_PAGE_KIND_SIGN_IN, 0)
	n := p.nonce(t)
	p.page(t, &idpv1.AuthorizeRequest{SsoNonce: n, RefreshTokenCredential: s.sign(t, s.cookie(p.nonce(t)))}, idpv1.PageKind_PAGE_KIND_SIGN_IN, 0)
	p.page(t, &idpv1.AuthorizeRequest{SsoNonce: n, RefreshTokenCredential: flipSignature(t, s.sign(t, s.cookie(n)), 3)}, idpv1.PageKind_PAGE_KIND_SIGN_IN, 0)
	p.page(t, &idpv1.AuthorizeRequest{RefreshTokenCredential: flipSignature(t, s.sign(t, s.cookie(n)), 3)}, idpv1.PageKind_PAGE_KIND_SIGN_IN, 0)
	p.page(t, &idpv1.AuthorizeRequest{RefreshTokenCredential: "garbage", DeviceCredential: "garbage", SessionCookie: "garbage"}, idpv1.PageKind_PAGE_KIND_SIGN_IN, 0)
	cookie := s.sign(t, s.cookie(n))
	lab.Advance(301 * time.Second)
	p.page(t, &idpv1.AuthorizeRequest{SsoNonce: n, RefreshTokenCredential: cookie}, idpv1.PageKind_PAGE_KIND_SIGN_IN, 0)
	if e := lastEvent(p.world); e.Flow != signinlog.PRTCookie || e.Code != aadsts.InvalidNonce {
		t.Errorf("the log does not say why: %+v", e)
	}
}

// TestBRO14_Wire28_CookiesWithADate: by profile, and by the tenant's own rule.
func TestBRO14_Wire28_CookiesWithADate(t *testing.T) {
	for name, f := range map[string]struct {
		file  []byte
		linux bool
		works bool
	}{
		"2020":                  {withProfile("2020"), false, true},
		"today":                 {nil, true, false},
		"strict":                {withProfile("strict"), true, false},
		"linux_broker, Linux":   {withLine("cookie_without_nonce: linux_broker"), true, true},
		"linux_broker, Windows": {withLine("cookie_without_nonce: linux_broker"), false, false},
		"always":                {withLine("cookie_without_nonce: always"), false, true},
		"never":                 {withLine("cookie_without_nonce: never"), true, false},
	} {
		t.Run(name, func(t *testing.T) {
			lab := clock.NewLab()
			p := newPages(t, idp.Config{Clock: lab, Tenants: f.file})
			d := p.join(t, alice, alicePassword, 1, 2)
			if !f.linux {
				p.deviceType(t, d.id, "Windows")
			}
			s := d.first(t, alice, alicePassword)
			header := s.dated(t, lab.Now())
			works := func() bool {
				return p.visit(t, &idpv1.AuthorizeRequest{RefreshTokenCredential: header}).GetSignedIn() != nil
			}
			// The extension sends one header for half an hour.
			for range 3 {
				if works() != f.works {
					t.Fatalf("want %v", f.works)
				}
				lab.Advance(11 * time.Minute)
			}
			lab.Advance(3 * time.Minute)
			if works() {
				t.Error("taken after 36 minutes")
			}
			if header = s.dated(t, lab.Now().Add(time.Hour)); works() {
				t.Error("a date in the future was taken")
			}
		})
	}
}

// TestAPP18_TheAccountThatIsAskedFor of several in one browser.
func TestAPP18_TheAccountThatIsAskedFor(t *testing.T) {
	p := newPages(t, idp.Config{})
	d := p.join(t, alice, alicePassword, 1, 2)
	as, bs := d.first(t, alice, alicePassword), d.first(t, bob, bobPassword)
	fs := p.join(t, frank, frankPassword, 3, 4).first(t, frank, frankPassword)
	// Frank's comes first, Bob's is the primary one.
	visit := func(r *idpv1.AuthorizeRequest) *idpv1.AuthorizeRequest {
		n := p.nonce(t)
		plain := func(s *signIn, primary bool) string {
			c := s.cookie(n)
			c.IsPrimary = primary
			return s.sign(t, c)
		}
		r.SsoNonce, r.RefreshTokenCredential = n, plain(fs, false)
		r.FurtherCredentials = []string{plain(as, false), plain(bs, true)}
		return r
	}
	user := func(id string) string { return "1f6b0a5c-8f0d-4a53-9d3c-2f6f2c1d7a0" + id }
	for name, f := range map[string]struct {
		r    *idpv1.AuthorizeRequest
		user string
	}{
		"the primary":            {&idpv1.AuthorizeRequest{}, user("2")},
		"by hint":                {&idpv1.AuthorizeRequest{LoginHint: "Alice@contoso.test"}, user("1")},
		"by tenant":              {&idpv1.AuthorizeRequest{Tenant: fabrikam}, "2d7c1b6e-90fe-4b64-8e4d-307f3d2e8b01"},
		"by tenant and hint":     {&idpv1.AuthorizeRequest{Tenant: contoso, LoginHint: alice}, user("1")},
		"a hint that is no name": {&idpv1.AuthorizeRequest{LoginHint: "O.CiQ"}, user("2")},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := p.silent(t, visit(f.r))
			if string(c.User) != f.user {
				t.Errorf("%s signed in", c.User)
			}
			// The second tenant's device stays out of the first tenant's code.
			if want := map[bool]string{true: fs.d.id, false: d.id}[string(c.Tenant) == fabrikam]; string(c.Device) != want {
				t.Errorf("device %s, want %s", c.Device, want)
			}
		})
	}
	p.page(t, visit(&idpv1.AuthorizeRequest{LoginHint: mia}), idpv1.PageKind_PAGE_KIND_SIGN_IN, 0)
	p.page(t, visit(&idpv1.AuthorizeRequest{Tenant: contoso, LoginHint: frank}), idpv1.PageKind_PAGE_KIND_SIGN_IN, 0)
}

// TestDeviceHeaderTellsTheDeviceAndNotTheUser, and what is wrong with one is
// ignored.
func TestDeviceHeaderTellsTheDeviceAndNotTheUser(t *testing.T) {
	p := newPages(t, idp.Config{})
	d, thief := p.join(t, alice, alicePassword, 1, 2), p.join(t, bob, bobPassword, 3, 4)
	with := func(header string) string {
		page := p.page(t, &idpv1.AuthorizeRequest{DeviceCredential: header, SsoReload: true}, idpv1.PageKind_PAGE_KIND_SIGN_IN, 0)
		next := p.password(t, page, bob, bobPassword)
		return string(p.code(t, next.GetSignedIn(), next).Device)
	}
	if got := with(d.header(t, p.nonce(t))); got != d.id {
		t.Errorf("device %q", got)
	}
	proof := func(change func(*entrawire.DeviceProof)) entrawire.DeviceProof {
		c := entrawire.DeviceProof{GrantType: entrawire.GrantDeviceAuth, Iss: entrawire.BrokerIssuer, RequestNonce: p.nonce(t)}
		change(&c)
		return c
	}
	h := jose.Header{Typ: "JWT", X5C: [][]byte{d.cert}}
	twice := d.header(t, p.nonce(t))
	with(twice)
	for name, header := range map[string]string{
		"twice":              twice,
		"no nonce":           d.sign(t, proof(func(c *entrawire.DeviceProof) { c.RequestNonce = "" })),
		"to remove it":       d.sign(t, proof(func(c *entrawire.DeviceProof) { c.GrantType = entrawire.GrantDeviceRemoval })),
		"another issuer":     d.sign(t, proof(func(c *entrawire.DeviceProof) { c.Iss = "aad:other" })),
		"another's key":      d.signAs(t, h, thief.dk, encoded(t, proof(func(*entrawire.DeviceProof) {}))),
		"no certificate":     d.signAs(t, jose.Header{Typ: "JWT"}, d.dk, encoded(t, proof(func(*entrawire.DeviceProof) {}))),
		"a PRT request":      d.sign(t, d.claims(t, alice, alicePassword)),
		"a foreign tenant's": p.join(t, frank, frankPassword, 5, 5).header(t, p.nonce(t)),
	} {
		t.Run(name, func(t *testing.T) {
			if got := with(header); got != "" {
				t.Errorf("device %q", got)
			}
		})
	}
	setDevice(t, p.world, d.id, false)
	if got := with(d.header(t, p.nonce(t))); got != "" {
		t.Errorf("a disabled device counts: %q", got)
	}
}
