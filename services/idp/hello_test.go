package idp_test

import (
	"context"
	"crypto/rsa"
	"slices"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
)

// hello is a user's Hello key on a device.
type hello struct {
	d   *device
	upn string
	key *rsa.PrivateKey
}

// provision registers a Hello key with a fresh token.
func (d *device) provision(t testing.TB, upn string, key int, now time.Time) *hello {
	t.Helper()
	h := &hello{d: d, upn: upn, key: rsaKeys()[key]}
	a, err := d.w.foreign(t).devices.RegisterHelloKey(context.Background(), &idpv1.RegisterHelloKeyRequest{
		AccessToken: d.w.registrationToken(t, upn, d.id, now, nil), Key: rsa1(t, h.key), Caller: &idpv1.Caller{},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(a.GetKid()) != 36 || a.GetUserPrincipalName() != upn {
		t.Errorf("%v", a)
	}
	return h
}

func rsa1(t testing.TB, k *rsa.PrivateKey) []byte {
	t.Helper()
	b, err := entrawire.MarshalRSA1(&k.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// assertion is as roadtx makes it: an hour to either side, a nonce of its own.
func (h *hello) assertion(t testing.TB, now time.Time, nonce string, change claims) string {
	t.Helper()
	c := claims{"iss": h.upn, "aud": "common", "iat": now.Add(-time.Hour).Unix(), "exp": now.Add(time.Hour).Unix(), "request_nonce": nonce, "scope": "openid aza ugs"}
	return h.signed(t, nil, c.with(change))
}

func (h *hello) signed(t testing.TB, change func(*jose.Header), c claims) string {
	t.Helper()
	kid, err := entrawire.HelloKeyID(&h.key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	header := jose.Header{Typ: "JWT", Kid: kid, Use: entrawire.HelloUse}
	if change != nil {
		change(&header)
	}
	return h.d.signAs(t, header, h.key, encoded(t, c))
}

// request is the one around it. Its user name is ignored.
func (h *hello) request(t testing.TB, nonce, assertion string) claims {
	t.Helper()
	return claims{
		"client_id": entrawire.SignInClientID, "request_nonce": nonce, "scope": "openid aza ugs", "group_sids": []string{}, "win_ver": nil,
		"grant_type": entrawire.GrantHello, "username": "somebody@else.test", "assertion": assertion,
	}
}

// signInWith asks for a PRT from a device with an assertion of its own nonce.
func (h *hello) signInWith(t testing.TB, d *device, now time.Time, change claims) error {
	t.Helper()
	_, err := d.w.requestPRT(d.sign(t, h.request(t, d.w.nonce(t), h.assertion(t, now, d.w.nonce(t), change))))
	return err
}

func TestWire27_HelloWithTwoNonces(t *testing.T) {
	w := newWorld(t, idp.Config{})
	d := w.join(t, alice, alicePassword, 1, 1)
	h := d.provision(t, alice, 2, time.Now())
	s := d.open(t, d.sign(t, h.request(t, w.nonce(t), h.assertion(t, time.Now(), w.nonce(t), nil))))
	prt := w.artefact(t, sealed.PRT, s.prt)
	if prt.Credential != sealed.Hello || !slices.Equal(prt.AMR, []string{"rsa", "mfa"}) || time.Since(time.Unix(prt.MFATime, 0)) > time.Minute {
		t.Errorf("%s, amr %v, second factor %d", prt.Credential, prt.AMR, prt.MFATime)
	}
	if err := s.use(t); err != nil {
		t.Error(err)
	}
	if e := w.last(t, signinlog.IssuePRT); len(e.Methods) != 1 || e.Methods[0].Name != "windowsHelloForBusiness" || e.Methods[0].At.IsZero() || !e.MultiFactor || e.Incoming != signinlog.NoToken {
		t.Errorf("%+v", e.Detail)
	}
	for _, e := range w.svc.SignIns() {
		if e.User == "somebody@else.test" {
			t.Errorf("logged for a name that nothing depends on: %+v", e)
		}
	}
	n := w.nonce(t) // libhimmelblau: five minutes, and one nonce would do as well
	d.open(t, d.sign(t, h.request(t, n, h.assertion(t, time.Now(), n, claims{"iat": time.Now().Unix(), "exp": time.Now().Unix() + 300, "aud": contoso}))))
	setUser(t, w, alice, false)
	wantCode(t, h.signInWith(t, d, time.Now(), nil), aadsts.UserDisabled)
}

// TestHelloRenewalWithTheKey: a device may prove the user once more when it renews.
func TestHelloRenewalWithTheKey(t *testing.T) {
	w := newWorld(t, idp.Config{})
	d := w.join(t, alice, alicePassword, 1, 1)
	mine, theirs := d.provision(t, alice, 2, time.Now()), d.provision(t, bob, 3, time.Now())
	s := d.open(t, d.sign(t, mine.request(t, w.nonce(t), mine.assertion(t, time.Now(), w.nonce(t), nil))))
	for name, f := range map[string]struct {
		with *hello
		code aadsts.Code
	}{"the user's": {mine, 0}, "another user's": {theirs, aadsts.InvalidCredentials}} {
		c := s.renewal(t)
		c.Assertion = secretText(f.with.assertion(t, time.Now(), w.nonce(t), nil))
		_, err := w.renewPRT(s.sign(t, c))
		if prterr.CodeOf(err) != f.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := s.renewal(t)
	c.Assertion = entrawire.EncodeSAML("<x/>")
	_, err := w.renewPRT(s.sign(t, c))
	wantCode(t, err, aadsts.InvalidAssertion)
}

func TestAttack15_GoldenAssertions(t *testing.T) {
	w, other := newWorld(t, idp.Config{}), newWorld(t, idp.Config{})
	d := w.join(t, alice, alicePassword, 1, 1)
	now := time.Now()
	h := d.provision(t, alice, 2, now)
	w.join(t, frank, frankPassword, 3, 4).provision(t, frank, 2, now) // the same key, in another tenant
	for name, f := range map[string]struct {
		change claims
		code   aadsts.Code
	}{
		"no nonce":               {claims{"request_nonce": nil}, aadsts.InvalidNonce},
		"a nonce of another idp": {claims{"request_nonce": other.nonce(t)}, aadsts.InvalidNonce},
		"longer than two hours":  {claims{"exp": now.Add(time.Hour + time.Second).Unix()}, aadsts.InvalidAssertion},
		"made in the future":     {claims{"iat": now.Add(6 * time.Minute).Unix()}, aadsts.InvalidAssertion},
		"expired":                {claims{"iat": now.Add(-time.Hour).Unix(), "exp": now.Add(-time.Second).Unix()}, aadsts.InvalidAssertion},
		"no end":                 {claims{"exp": nil}, aadsts.InvalidAssertion},
		"no user":                {claims{"iss": nil}, aadsts.InvalidAssertion},
		"another user":           {claims{"iss": bob}, aadsts.KeyNotFound},
		"a user of nowhere":      {claims{"iss": "nobody@contoso.test"}, aadsts.KeyNotFound},
		"another tenant's user":  {claims{"iss": frank}, aadsts.KeyNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			w.unchanged(t, func() { wantCode(t, h.signInWith(t, d, now, f.change), f.code) })
		})
	}
	honest := claims{"iss": alice, "aud": "common", "iat": now.Unix(), "exp": now.Unix() + 300, "scope": "openid aza ugs"}
	for name, f := range map[string]struct {
		header func(*jose.Header)
		code   aadsts.Code
	}{
		"unknown key":   {func(h *jose.Header) { h.Kid = "AAAA" }, aadsts.KeyNotFound},
		"no key":        {func(h *jose.Header) { h.Kid = "" }, aadsts.KeyNotFound},
		"not for Hello": {func(h *jose.Header) { h.Use = "" }, aadsts.InvalidAssertion},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.requestPRT(d.sign(t, h.request(t, w.nonce(t), h.signed(t, f.header, honest.with(claims{"request_nonce": w.nonce(t)})))))
			wantCode(t, err, f.code)
		})
	}
	forged := &hello{d: d, upn: alice, key: rsaKeys()[3]}
	kid, _ := entrawire.HelloKeyID(&h.key.PublicKey)
	_, err := w.requestPRT(d.sign(t, h.request(t, w.nonce(t), forged.signed(t, func(h *jose.Header) { h.Kid = kid }, honest.with(claims{"request_nonce": w.nonce(t)})))))
	wantCode(t, err, aadsts.InvalidAssertion)
	_, err = w.requestPRT(d.sign(t, h.request(t, w.nonce(t), mustUnsigned(t, encoded(t, honest)))))
	wantCode(t, err, aadsts.InvalidAssertion)

	once := h.assertion(t, now, w.nonce(t), nil)
	d.open(t, d.sign(t, h.request(t, w.nonce(t), once)))
	_, err = w.requestPRT(d.sign(t, h.request(t, w.nonce(t), once)))
	wantCode(t, err, aadsts.InvalidNonce)
}

// TestAttack15_KeyOfAnotherDevice is the rule of CVE-2023-35348 in three profiles.
func TestAttack15_KeyOfAnotherDevice(t *testing.T) {
	for profile, want := range map[string]struct{ twoNonces, oneNonce aadsts.Code }{
		"2020":   {0, 0},
		"today":  {aadsts.InvalidAssertion, 0},
		"strict": {aadsts.InvalidAssertion, aadsts.InvalidAssertion},
	} {
		t.Run(profile, func(t *testing.T) {
			w := newWorld(t, idp.Config{Tenants: withProfile(profile)})
			home, away := w.join(t, alice, alicePassword, 1, 2), w.join(t, alice, alicePassword, 3, 4)
			h := home.provision(t, alice, 5, time.Now())
			if err := h.signInWith(t, home, time.Now(), nil); err != nil {
				t.Errorf("at home: %v", err)
			}
			wantCode(t, h.signInWith(t, away, time.Now(), nil), want.twoNonces)
			n := w.nonce(t)
			_, err := w.requestPRT(away.sign(t, h.request(t, n, h.assertion(t, time.Now(), n, nil))))
			wantCode(t, err, want.oneNonce)
		})
	}
}

func TestAttack16_WhoMayRegisterAHelloKey(t *testing.T) {
	w, lab := labWorld(t, idp.Config{})
	d, other := w.join(t, alice, alicePassword, 1, 2), w.join(t, frank, frankPassword, 3, 4)
	now := lab.Now()
	register := func(token string) error {
		_, err := w.foreign(t).devices.RegisterHelloKey(context.Background(), &idpv1.RegisterHelloKeyRequest{AccessToken: token, Key: rsa1(t, rsaKeys()[5])})
		return err
	}
	for name, f := range map[string]struct {
		token string
		kind  prterr.Kind
	}{
		"no second factor":       {w.registrationToken(t, alice, d.id, now, claims{"amr": []string{"pwd", "mfa"}}), prterr.Denied},
		"eleven minutes old":     {w.registrationToken(t, alice, d.id, now.Add(-11*time.Minute), nil), prterr.Denied},
		"no device":              {w.registrationToken(t, alice, "", now, nil), prterr.Denied},
		"another tenant's":       {w.registrationToken(t, alice, other.id, now, nil), prterr.Denied},
		"a device that is gone":  {w.registrationToken(t, alice, contoso, now, nil), prterr.Denied},
		"for another resource":   {w.registrationToken(t, alice, d.id, now, claims{"aud": graph}), prterr.Unauthenticated},
		"expired":                {w.registrationToken(t, alice, d.id, now, claims{"exp": now.Unix()}), prterr.Unauthenticated},
		"bound to a key":         {w.registrationToken(t, alice, d.id, now, claims{"cnf": claims{"kid": "k"}}), prterr.Unauthenticated},
		"remembers no sign-in":   {w.registrationToken(t, alice, d.id, now, claims{"aio": nil}), prterr.Unauthenticated},
		"another issuer":         {w.registrationToken(t, alice, d.id, now, claims{"iss": "https://sts.windows.net/" + fabrikam + "/"}), prterr.Unauthenticated},
		"a bulk package":         {w.registrationToken(t, alice, d.id, now, claims{"appid": bulkClient}), prterr.Denied},
		"signed by somebody":     {w.tokenSigned(t, rsaKeys()[1], claims{"aud": entrawire.RegistrationResource}), prterr.Unauthenticated},
		"a registration's token": {registrationTokenOf(t, w, alice, alicePassword), prterr.Denied},
	} {
		t.Run(name, func(t *testing.T) {
			wantKind(t, register(f.token), f.kind)
			if keys := w.userOf(t, alice).HelloKeys; len(keys) != 0 {
				t.Errorf("%d keys", len(keys))
			}
		})
	}
	t.Run("nine minutes old", func(t *testing.T) {
		if err := register(w.registrationToken(t, alice, d.id, now.Add(-9*time.Minute), nil)); err != nil {
			t.Error(err)
		}
	})
	_, err := w.foreign(t).devices.RegisterHelloKey(context.Background(), &idpv1.RegisterHelloKeyRequest{AccessToken: w.registrationToken(t, alice, d.id, now, nil), Key: []byte("RSA1")})
	wantKind(t, err, prterr.Invalid)
	setDevice(t, w, d.id, false)
	wantCode(t, register(w.registrationToken(t, alice, d.id, now, nil)), aadsts.DeviceDisabled)
	setDevice(t, w, d.id, true)

	d.provision(t, alice, 4, now)
	if keys := w.userOf(t, alice).HelloKeys; len(keys) != 1 || !slices.Equal(keys[0].Key, rsa1(t, rsaKeys()[4])) || string(keys[0].Device) != d.id {
		t.Errorf("one user and one device have %d keys", len(keys))
	}
}

func registrationTokenOf(t testing.TB, w *world, upn, password string) string {
	t.Helper()
	a, err := w.devices.RequestRegistrationToken(context.Background(), &idpv1.RequestRegistrationTokenRequest{UserPrincipalName: upn, Password: password})
	if err != nil {
		t.Fatal(err)
	}
	return a.GetAccessToken()
}

// TestAttack17_WhatRenewalsDoToTheSecondFactor: only a Hello key's renews it, and
// that does not make it a fresh one.
func TestAttack17_WhatRenewalsDoToTheSecondFactor(t *testing.T) {
	w, lab := labWorld(t, idp.Config{})
	d := w.join(t, alice, alicePassword, 1, 2)
	h := d.provision(t, alice, 3, lab.Now())
	hello := d.open(t, d.sign(t, h.request(t, w.nonce(t), h.assertion(t, lab.Now(), w.nonce(t), nil))))
	password := d.open(t, d.sign(t, w.roadtxUpgrade(t, w.brokerToken(t, alice, nil))))
	before := w.artefact(t, sealed.PRT, password.prt)
	lab.Advance(4 * time.Hour)
	helloNext, _ := hello.renew(t, hello.renewal(t))
	passwordNext, _ := password.renew(t, password.renewal(t))
	after := w.artefact(t, sealed.PRT, passwordNext.prt)
	if after.MFATime != before.MFATime || after.MFAKept != 0 || !slices.Equal(after.AMR, before.AMR) || !after.AuthTime.Equal(before.AuthTime) {
		t.Errorf("a password's renewal made %v of %d and %v", after.AMR, before.MFATime, after.MFATime)
	}
	renewed := w.artefact(t, sealed.PRT, helloNext.prt)
	lately := func(at int64) bool { since := lab.Now().Unix() - at; return since >= 0 && since <= 60 }
	if !lately(renewed.MFAKept) || !lately(renewed.FactorTime().Unix()) || !slices.Equal(renewed.AMR, []string{"rsa", "mfa"}) {
		t.Errorf("a Hello key's renewal left the second factor at %v", renewed.FactorTime())
	}
	if renewed.FreshMFA(lab.Now()) {
		t.Error("a silent renewal made a fresh second factor")
	}
	c := helloNext.redemption(t, office, graph)
	c.Scope = entrawire.ScopeTokenPRT
	if next := w.artefact(t, sealed.PRT, helloNext.tokens(t, c).PRT.Reveal()); !lately(next.MFAKept) {
		t.Error("a PRT beside a token is renewed in another way")
	}
}

// TestAttack16_ARenewalIsNoSecondFactor: who can use the device for a moment, hours
// after the user signed in with the Hello key, gets no token that registers keys.
func TestAttack16_ARenewalIsNoSecondFactor(t *testing.T) {
	w, lab := labWorld(t, idp.Config{})
	d := w.join(t, mia, miaPassword, 1, 2)
	h := d.provision(t, mia, 3, lab.Now())
	s := d.open(t, d.sign(t, h.request(t, w.nonce(t), h.assertion(t, lab.Now(), w.nonce(t), nil))))
	lab.Advance(4 * time.Hour)
	s, _ = s.renew(t, s.renewal(t))
	ask := func(amr string) *idpv1.AuthorizeResponse {
		n := w.nonce(t)
		return w.authorize(t, &idpv1.AuthorizeRequest{
			ClientId: entrawire.BrokerClientID, RedirectUri: native + "DRS", ResponseType: "code", Resource: entrawire.RegistrationResource,
			AmrValues: amr, SsoNonce: n, RefreshTokenCredential: s.sign(t, s.cookie(n)),
		})
	}
	if a := ask("ngcmfa"); a.GetSignInPage().GetKind() != idpv1.PageKind_PAGE_KIND_SECOND_FACTOR {
		t.Errorf("no second factor was asked for: %v", a)
	}
	if a := ask(""); a.GetSignedIn() == nil {
		t.Errorf("the factor was forgotten: %v", a)
	}
}

// TestAttack18_KindsOfCredentialStayApart: a PRT of one kind takes no credential of
// another, and a session by password has nothing of the Hello key's.
func TestAttack18_KindsOfCredentialStayApart(t *testing.T) {
	w := newWorld(t, idp.Config{})
	d := w.join(t, alice, alicePassword, 1, 2)
	h := d.provision(t, alice, 3, time.Now())
	hello := d.open(t, d.sign(t, h.request(t, w.nonce(t), h.assertion(t, time.Now(), w.nonce(t), nil))))
	password := d.first(t, alice, alicePassword)
	if prt := w.artefact(t, sealed.PRT, password.prt); prt.MFATime != 0 || slices.Contains(prt.AMR, "mfa") || prt.Credential != sealed.Password {
		t.Errorf("a password's PRT has %v", prt.AMR)
	}
	c := hello.renewal(t)
	c.Username, c.Password = alice, secretText(alicePassword)
	_, err := w.renewPRT(hello.sign(t, c))
	wantCode(t, err, aadsts.InvalidGrant)
	setPassword(t, w, alice, "another password for alice")
	wantCode(t, password.use(t), aadsts.FreshTokenNeeded)
	if err := hello.use(t); err != nil {
		t.Errorf("a changed password killed the Hello key's PRT: %v", err)
	}
}
