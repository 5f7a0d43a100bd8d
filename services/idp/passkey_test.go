package idp_test

import (
	"context"
	"encoding/json"
	"slices"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/methods"
	"github.com/lockstep-sso/lockstep/services/idp/internal/passkey"
	"github.com/lockstep-sso/lockstep/services/idp/internal/passkey/passkeytest"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

const loginOrigin = "https://login.microsoftonline.com"

// withPasskey gives a user a passkey on an authenticator.
func (p *pages) withPasskey(t testing.TB, clk clock.Clock, upn string, auth *passkeytest.Authenticator) {
	t.Helper()
	ctx, room := context.Background(), passkey.New(passkey.Config{Clock: clk})
	u, err := p.svc.Store().UserByUPN(ctx, ids.UPN(upn))
	if err != nil {
		t.Fatal(err)
	}
	options, c, err := room.BeginRegistration("", u)
	if err != nil {
		t.Fatal(err)
	}
	made, err := auth.Create(options, loginOrigin)
	if err != nil {
		t.Fatal(err)
	}
	k, err := room.Register(c, u, "Key of a test", []byte(made))
	if err != nil {
		t.Fatal(err)
	}
	err = p.svc.Store().UpdateUser(ctx, u.Tenant, u.ID, func(r *store.User) error {
		r.Passkeys = append(r.Passkeys, k)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (p *pages) beginPasskey(t testing.TB, page *idpv1.SignInPage, name string) *idpv1.BeginPasskeyResponse {
	t.Helper()
	b, err := p.forms.BeginPasskey(context.Background(), &idpv1.BeginPasskeyRequest{FlowToken: page.GetFlowToken(), UserPrincipalName: name})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (p *pages) submitPasskey(t testing.TB, token, canary, credential string) *idpv1.NextAction {
	t.Helper()
	a, err := p.forms.SubmitPasskey(context.Background(), &idpv1.SubmitPasskeyRequest{FlowToken: token, Canary: canary, Credential: credential})
	if err != nil {
		t.Fatal(err)
	}
	return a.GetNext()
}

// touched has a person touch the authenticator for a page.
func (p *pages) touched(t testing.TB, page *idpv1.SignInPage, name string, auth *passkeytest.Authenticator) *idpv1.NextAction {
	t.Helper()
	b := p.beginPasskey(t, page, name)
	credential, err := auth.Get(b.GetOptions(), loginOrigin)
	if err != nil {
		t.Fatal(err)
	}
	return p.submitPasskey(t, b.GetFlowToken(), page.GetCanary(), credential)
}

// TestCA06_APasskeySignsInAndIsMoreThanOneFactor: with a name and without.
func TestCA06_APasskeySignsInAndIsMoreThanOneFactor(t *testing.T) {
	lab := clock.NewLab()
	p := newPages(t, idp.Config{Clock: lab})
	auth := &passkeytest.Authenticator{}
	p.withPasskey(t, lab, mia, auth)
	for _, name := range []string{"", mia} {
		page := p.page(t, &idpv1.AuthorizeRequest{}, signInPage, 0)
		next := p.touched(t, page, name, auth) // a policy demands a second factor of Mia
		c := p.code(t, next.GetSignedIn(), next)
		if c.Credential != sealed.FIDO || !slices.Equal(methods.Names(c.Used), []methods.Method{methods.FIDO2}) || !slices.Contains(c.AMR, "fido") ||
			!slices.Contains(c.AMR, "mfa") || slices.Contains(c.AMR, "pwd") || c.MFATime == 0 {
			t.Errorf("%q: %+v", name, c)
		}
		if e := lastEvent(p.world); e.Flow != signinlog.WebSignIn || e.Outcome != signinlog.Success || e.User != mia {
			t.Errorf("%+v", e)
		}
	}
	// What is demanded right now is what a touch is.
	next := p.touched(t, p.page(t, &idpv1.AuthorizeRequest{AmrValues: "ngcmfa"}, signInPage, 0), "", auth)
	if c := p.code(t, next.GetSignedIn(), next); !slices.Contains(c.AMR, "ngcmfa") {
		t.Errorf("%v", c.AMR)
	}
}

func TestAPasskeyIsASecondFactor(t *testing.T) {
	lab := clock.NewLab()
	p := newPages(t, idp.Config{Clock: lab})
	auth, bobs := &passkeytest.Authenticator{}, &passkeytest.Authenticator{}
	p.withPasskey(t, lab, mia, auth)
	p.withPasskey(t, lab, bob, bobs)
	page := p.factor(t, &idpv1.AuthorizeRequest{})
	if m := page.GetMethods(); len(m) != 3 || m[2].GetMethodId() != "FidoKey" {
		t.Fatalf("%v", m)
	}
	if b := p.begin(t, page, "FidoKey"); b.GetSuccess() {
		t.Error("a passkey was begun as a code")
	}
	// Bob's passkey is not offered, and is not taken either.
	b := p.beginPasskey(t, page, "")
	if _, err := bobs.Get(b.GetOptions(), loginOrigin); err == nil {
		t.Error("another user's passkey was asked for")
	}
	bobs.Lie = func(c *passkeytest.Claim) { c.Challenge = challengeOf(t, b.GetOptions()) }
	stolen, err := bobs.Get(p.beginPasskey(t, p.page(t, &idpv1.AuthorizeRequest{}, signInPage, 0), "").GetOptions(), loginOrigin)
	if err != nil {
		t.Fatal(err)
	}
	next := p.submitPasskey(t, b.GetFlowToken(), page.GetCanary(), stolen)
	page = wantKindOfPage(t, next.GetPage(), factorPage, aadsts.KeyNotFound, next)
	if e := lastEvent(p.world); e.Flow != signinlog.SecondFactor || e.Code != aadsts.KeyNotFound || e.User != mia || e.Hidden == "" {
		t.Errorf("%+v", e)
	}
	next = p.touched(t, page, "", auth)
	c := p.code(t, next.GetSignedIn(), next)
	if c.Credential != sealed.Password || !slices.Equal(methods.Names(c.Used), []methods.Method{methods.Password, methods.FIDO2}) {
		t.Errorf("%+v", c)
	}
}

func TestAttackPasskeyChallengesAreForOneSignInAndOnce(t *testing.T) {
	lab := clock.NewLab()
	p := newPages(t, idp.Config{Clock: lab})
	auth := &passkeytest.Authenticator{}
	p.withPasskey(t, lab, mia, auth)
	page, other := p.page(t, &idpv1.AuthorizeRequest{}, signInPage, 0), p.page(t, &idpv1.AuthorizeRequest{}, signInPage, 0)
	b, ob := p.beginPasskey(t, page, ""), p.beginPasskey(t, other, "")
	credential, err := auth.Get(b.GetOptions(), loginOrigin)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(name, token, canary, credential string, code aadsts.Code, kind idpv1.PageKind) {
		t.Helper()
		next := p.submitPasskey(t, token, canary, credential)
		if next.GetPage().GetKind() != kind || aadsts.Code(next.GetPage().GetErrorCode()) != code {
			t.Errorf("%s: %v", name, next)
		}
	}
	refused("another sign-in's", ob.GetFlowToken(), other.GetCanary(), credential, aadsts.KeyNotFound, signInPage)
	refused("no challenge", page.GetFlowToken(), page.GetCanary(), credential, aadsts.KeyNotFound, signInPage)
	refused("another canary", b.GetFlowToken(), other.GetCanary(), credential, aadsts.FlowTokenExpired, errorPage)
	next := p.submitPasskey(t, b.GetFlowToken(), page.GetCanary(), credential)
	p.code(t, next.GetSignedIn(), next)
	refused("replayed", b.GetFlowToken(), page.GetCanary(), credential, aadsts.KeyNotFound, signInPage)
	// A wrong answer uses the challenge up as well.
	b = p.beginPasskey(t, page, "")
	if credential, err = auth.Get(b.GetOptions(), loginOrigin); err != nil {
		t.Fatal(err)
	}
	refused("malformed", b.GetFlowToken(), page.GetCanary(), "{", aadsts.KeyNotFound, signInPage)
	refused("right, after a wrong one", b.GetFlowToken(), page.GetCanary(), credential, aadsts.KeyNotFound, signInPage)
	// The name that was typed is the name that signs in.
	next = p.touched(t, page, bob, auth)
	wantKindOfPage(t, next.GetPage(), signInPage, aadsts.KeyNotFound, next)
	if _, err := p.forms.BeginPasskey(context.Background(), &idpv1.BeginPasskeyRequest{
		Caller: &idpv1.Caller{Host: "login.evil.test"}, FlowToken: page.GetFlowToken(),
	}); prterr.KindOf(err) != prterr.Invalid {
		t.Errorf("another host: %v", err)
	}
}

// Options for a name that has passkeys, has none, and does not exist are alike.
func TestAttack35_PasskeyOptionsTellNothingOfAName(t *testing.T) {
	lab := clock.NewLab()
	p := newPages(t, idp.Config{Clock: lab})
	p.withPasskey(t, lab, mia, &passkeytest.Authenticator{})
	page := p.page(t, &idpv1.AuthorizeRequest{}, signInPage, 0)
	var first map[string]any
	for _, name := range []string{mia, bob, "nobody@contoso.test", "nobody@nowhere.test"} {
		o := optionsOf(t, p.beginPasskey(t, page, name).GetOptions())
		delete(o, "challenge")
		if first == nil {
			first = o
		} else if len(o) != len(first) || o["rpId"] != first["rpId"] || o["allowCredentials"] != nil {
			t.Errorf("%s: %v", name, o)
		}
	}
}

func TestAttackPasskeyWrongAnswersAreCounted(t *testing.T) {
	lab := clock.NewLab()
	p := newPages(t, idp.Config{Clock: lab})
	auth := &passkeytest.Authenticator{}
	p.withPasskey(t, lab, mia, auth)
	auth.Lie = func(c *passkeytest.Claim) { c.Flags &^= passkeytest.UV }
	for range 10 {
		next := p.touched(t, p.page(t, &idpv1.AuthorizeRequest{}, signInPage, 0), "", auth)
		wantKindOfPage(t, next.GetPage(), signInPage, aadsts.KeyNotFound, next)
	}
	next := p.touched(t, p.page(t, &idpv1.AuthorizeRequest{}, signInPage, 0), "", auth)
	wantKindOfPage(t, next.GetPage(), signInPage, aadsts.AccountLocked, next)
	p.factor(t, &idpv1.AuthorizeRequest{}) // her password is counted by itself
	// Whoever knows her id can answer wrongly in her name. She signs in all the same.
	auth.Lie = nil
	next = p.touched(t, p.page(t, &idpv1.AuthorizeRequest{}, signInPage, 0), "", auth)
	if next.GetSignedIn() == nil {
		t.Errorf("wrong answers of a stranger lock her out: %v", next)
	}
}

// A disabled user and one whose tenant was not asked for are told so after the proof.
func TestAPasskeyOfADisabledUser(t *testing.T) {
	lab := clock.NewLab()
	p := newPages(t, idp.Config{Clock: lab})
	auth := &passkeytest.Authenticator{}
	p.withPasskey(t, lab, mia, auth)
	next := p.touched(t, p.page(t, &idpv1.AuthorizeRequest{Tenant: fabrikam}, signInPage, 0), "", auth)
	wantKindOfPage(t, next.GetPage(), signInPage, aadsts.UserNotInTenant, next)
	u, err := p.svc.Store().UserByUPN(context.Background(), mia)
	if err == nil {
		err = p.svc.Store().UpdateUser(context.Background(), u.Tenant, u.ID, func(r *store.User) error { r.Enabled = false; return nil })
	}
	if err != nil {
		t.Fatal(err)
	}
	next = p.touched(t, p.page(t, &idpv1.AuthorizeRequest{}, signInPage, 0), "", auth)
	wantKindOfPage(t, next.GetPage(), signInPage, aadsts.UserDisabled, next)
}

func optionsOf(t testing.TB, options string) map[string]any {
	t.Helper()
	var o map[string]any
	if err := json.Unmarshal([]byte(options), &o); err != nil {
		t.Fatal(err)
	}
	return o
}

func challengeOf(t testing.TB, options string) string {
	t.Helper()
	c, _ := optionsOf(t, options)["challenge"].(string)
	if c == "" {
		t.Fatal("no challenge: " + options)
	}
	return c
}
