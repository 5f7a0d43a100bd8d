package idp_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
)

// TestAttack35_WaysToBeginASignIn: the profile that tells who exists tells what the
// user has; the one that does not tells every name of a domain the same.
func TestAttack35_WaysToBeginASignIn(t *testing.T) {
	const (
		password   = idpv1.CredentialType_CREDENTIAL_TYPE_PASSWORD
		federation = idpv1.CredentialType_CREDENTIAL_TYPE_FEDERATION
		passkey    = idpv1.CredentialType_CREDENTIAL_TYPE_PASSKEY
		phone      = idpv1.CredentialType_CREDENTIAL_TYPE_PHONE_SIGN_IN
		pass       = idpv1.CredentialType_CREDENTIAL_TYPE_ACCESS_PASS
	)
	every := []idpv1.CredentialType{password, passkey, phone, pass}
	for profile, want := range map[string]map[string][]idpv1.CredentialType{
		"today": {
			alice: {pass, password}, bob: {password}, mia: {password}, nora: {phone, password}, "nobody@contoso.test": {password},
			carol: {federation}, "nobody@nowhere.test": nil, "no name": nil,
		},
		"strict": {
			alice: every, bob: every, mia: every, nora: every, "nobody@contoso.test": every,
			carol: {federation, passkey, phone, pass}, "nobody@adatum.test": {federation, passkey, phone, pass}, "nobody@nowhere.test": nil,
		},
	} {
		lab := clock.NewLab()
		p := newPages(t, idp.Config{Clock: lab, Tenants: withProfile(profile)})
		p.pass(t, alice, 0, false)
		ask := func(upn string) []idpv1.CredentialType {
			a, err := p.forms.DiscoverCredentials(context.Background(), &idpv1.DiscoverCredentialsRequest{UserPrincipalName: upn})
			if err != nil {
				t.Fatal(err)
			}
			return a.GetCredentials()
		}
		for upn, ways := range want {
			if got := ask(upn); !slices.Equal(got, ways) {
				t.Errorf("%s: %s begins with %v, want %v", profile, upn, got, ways)
			}
		}
		if lab.Advance(2 * time.Hour); profile == "today" && !slices.Equal(ask(alice), []idpv1.CredentialType{password}) {
			t.Error("a pass is offered that is over")
		}
	}
}

// TestUserMethodsAreSetAndListed: what an operator sets is what the page offers and
// what the list shows, with a row in the log for every change.
func TestUserMethodsAreSetAndListed(t *testing.T) {
	p := newPages(t, idp.Config{})
	ctx := context.Background()
	set := func(r *directoryv1.SetUserMethodsRequest) error {
		r.UserPrincipalName = bob
		_, err := p.admin.SetUserMethods(ctx, r)
		if e := lastEvent(p.world); e.Flow != signinlog.SetMethods || e.User != bob || (e.Outcome == signinlog.Success) != (err == nil) {
			t.Errorf("%+v", e)
		}
		return err
	}
	for name, r := range map[string]*directoryv1.SetUserMethodsRequest{
		"a secret that is none":       {TotpSecret: "short"},
		"no number":                   {PhoneNumber: "0170 123456"},
		"a number with letters":       {PhoneNumber: "+49 CALLME"},
		"too long a number":           {PhoneNumber: "+49 1701234567890123"},
		"phone sign-in without push":  {PhoneSignIn: true},
		"a default that he has not":   {Push: true, DefaultMethod: sms},
		"a default that nobody knows": {Push: true, DefaultMethod: "Pigeon"},
	} {
		if err := set(r); prterr.KindOf(err) != prterr.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(p.methodsOf(t, bob)) != 0 {
		t.Error("a refused change changed something")
	}
	if err := set(&directoryv1.SetUserMethodsRequest{Push: true, PhoneSignIn: true, PhoneNumber: "+1 5550100", TotpSecret: "JBSWY3DPEHPK3PXP", DefaultMethod: voice}); err != nil {
		t.Fatal(err)
	}
	p.pass(t, bob, 0, true)
	var kinds []string
	for _, m := range p.methodsOf(t, bob) {
		kinds = append(kinds, m.GetKind())
		if m.GetIsDefault() != (m.GetKind() == "sms") || m.GetAddedAt() == nil || m.GetMethodId() == "" || m.GetDisplay() == "" {
			t.Errorf("%v", m)
		}
	}
	slices.Sort(kinds)
	if !slices.Equal(kinds, []string{"deviceBasedPush", "sms", "softwareOath", "temporaryAccessPassOneTime"}) {
		t.Errorf("%v", kinds)
	}
	for _, m := range p.methodsOf(t, bob) {
		if _, err := p.admin.RemoveUserMethod(ctx, &directoryv1.RemoveUserMethodRequest{UserPrincipalName: bob, MethodId: m.GetMethodId()}); err != nil {
			t.Errorf("%v: %v", m, err)
		}
	}
	if u := p.userOf(t, bob); len(p.methodsOf(t, bob)) != 0 || u.DefaultMethod != "" || u.Phone != "" || len(u.AccessPass.Hash) != 0 {
		t.Errorf("%+v", u)
	}
	for risk, kind := range map[string]prterr.Kind{"high": "", "none": "", "": prterr.Invalid, "enormous": prterr.Invalid} {
		_, err := p.admin.SetUserRisk(ctx, &directoryv1.SetUserRiskRequest{UserPrincipalName: bob, Risk: risk})
		if kind != "" {
			wantKind(t, err, kind)
		} else if err != nil {
			t.Error(err)
		}
		if risk == "high" && p.userOf(t, bob).Risk != "high" {
			t.Error("the risk was not kept")
		}
	}
}

// TestPairing: the app takes the code of the page of its own user, once, for ten
// minutes.
func TestPairing(t *testing.T) {
	lab := clock.NewLab()
	p := newPages(t, idp.Config{Clock: lab})
	u := p.userOf(t, bob)
	pair := func(upn, code string) error {
		_, err := p.person.PairAuthenticator(context.Background(), &directoryv1.PairAuthenticatorRequest{
			UserPrincipalName: upn, ActivationCode: code, DeviceName: "Pixel 9", PhoneSignIn: true,
		})
		return err
	}
	begin := func() string {
		code, err := p.svc.Pairing().Begin(context.Background(), u, true)
		if err != nil || len(code.Reveal()) != 9 {
			t.Fatalf("%q, %v", code.Reveal(), err)
		}
		return code.Reveal()
	}
	paired := func(code string) string {
		id, err := p.svc.Pairing().Paired(context.Background(), u.Tenant, u.ID, secretText(code))
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	code := begin()
	if paired(code) != "" {
		t.Error("paired before an app took the code")
	}
	wantKind(t, pair(mia, code), prterr.NotFound)
	wantKind(t, pair(bob, wrong(code)), prterr.NotFound)
	wantKind(t, pair("nobody@contoso.test", code), prterr.NotFound)
	if err := pair(bob, code[:3]+" "+code[3:]); err != nil {
		t.Fatal(err)
	}
	wantKind(t, pair(bob, code), prterr.NotFound)
	all := p.methodsOf(t, bob)
	if len(all) != 1 || all[0].GetMethodId() != paired(code) || all[0].GetDisplay() != "Pixel 9" || all[0].GetKind() != "deviceBasedPush" {
		t.Errorf("%v", all)
	}
	old := begin()
	lab.Advance(10*time.Minute + time.Second)
	wantKind(t, pair(bob, old), prterr.NotFound)
	if _, err := p.svc.Pairing().Paired(context.Background(), u.Tenant, u.ID, secretText(old)); prterr.KindOf(err) != prterr.NotFound {
		t.Errorf("%v", err)
	}
	for range 4 {
		if err := pair(bob, begin()); err != nil {
			t.Fatal(err)
		}
	}
	wantKind(t, pair(bob, begin()), prterr.Conflict)
	// Outside of a laboratory nobody plays a person.
	w := newWorld(t, idp.Config{})
	_, err := directoryv1.NewPersonServiceClient(connect(t, w.svc, "operator")).PairAuthenticator(context.Background(), &directoryv1.PairAuthenticatorRequest{UserPrincipalName: bob, ActivationCode: code})
	wantKind(t, err, prterr.Denied)
}
