package idp_test

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/passkey/passkeytest"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
)

const (
	mySignIns     = "19db86c3-b2b9-44cc-b339-36da233a3be2"
	securityURI   = loginOrigin + "/security-info/signed-in"
	securityInfos = "https://mysignins.microsoft.com"
)

// security is a world with the door of the security information.
type security struct {
	*pages
	idpv1.SecurityInfoServiceClient
	endpoint *endpoint
}

func newSecurity(t testing.TB, cfg idp.Config) *security {
	t.Helper()
	lab := clock.NewLab()
	cfg.Clock = lab
	p := newPages(t, cfg)
	conn, stop, err := rpc.Loopback(rpc.LoopbackConfig{Caller: "idp", Server: "idp", Allow: idp.FrontAllow()}, p.svc.RegisterForFront)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return &security{p, idpv1.NewSecurityInfoServiceClient(conn), &endpoint{world: p.world, GrantServiceClient: p.grants, clock: lab}}
}

// token is an access token of a user, by a code of the application that change changed.
func (s *security) token(t testing.TB, upn ids.UPN, change func(*sealed.Artefact)) string {
	t.Helper()
	a := s.endpoint.signedIn(t, upn, mySignIns)
	a.RedirectURI, a.Resource = securityURI, securityInfos
	if change != nil {
		change(&a)
	}
	return s.endpoint.must(t, &idpv1.RequestTokensRequest{
		Tenant: "common", Protocol: v1, ClientId: string(a.Client), Resource: a.Resource,
		Grant: &idpv1.RequestTokensRequest_AuthorizationCode{AuthorizationCode: &idpv1.AuthorizationCodeGrant{Code: s.endpoint.seal(t, a), RedirectUri: a.RedirectURI}},
	}).GetAccessToken()
}

func (s *security) strong(t testing.TB, upn ids.UPN) string {
	return s.token(t, upn, s.endpoint.withMFA)
}

func (s *security) start(t testing.TB, token, kind string) *idpv1.BeginSecurityInfoResponse {
	t.Helper()
	b, err := s.BeginSecurityInfo(context.Background(), &idpv1.BeginSecurityInfoRequest{AccessToken: token, Kind: kind, PhoneNumber: phoneFor(kind), DisplayName: "Blue key"})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func phoneFor(kind string) string {
	if kind == "sms" || kind == "voice" {
		return "+1 5550142"
	}
	return ""
}

func (s *security) finish(token, registration, code, credential string) (string, error) {
	a, err := s.CompleteSecurityInfo(context.Background(), &idpv1.CompleteSecurityInfoRequest{
		AccessToken: token, Registration: registration, Code: code, Credential: credential,
	})
	return a.GetMethodId(), err
}

// appCode is what an app shows for an otpauth address.
func (s *security) appCode(t testing.TB, uri string) string {
	t.Helper()
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "otpauth" || u.Host != "totp" || u.Query().Get("issuer") == "" {
		t.Fatalf("%q, %v", uri, err)
	}
	code, err := totp.GenerateCode(u.Query().Get("secret"), s.endpoint.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// messages are what a user's telephones and apps got.
func (s *security) messages(t testing.TB, upn string) []string {
	t.Helper()
	a, err := s.read.ListMessages(context.Background(), &directoryv1.ListMessagesRequest{UserPrincipalName: upn})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, m := range a.GetMessages() {
		out = append(out, m.GetText())
	}
	return out
}

// sentCode is the code of the newest message that has one.
func (s *security) sentCode(t testing.TB, upn string) string {
	t.Helper()
	for _, m := range slices.Backward(s.messages(t, upn)) {
		if rest, ok := strings.CutPrefix(m, "Use code "); ok {
			return rest[:6]
		}
	}
	t.Fatal("no code was sent")
	return ""
}

func (s *security) listed(t testing.TB, token string) *idpv1.ListSecurityInfoResponse {
	t.Helper()
	a, err := s.ListSecurityInfo(context.Background(), &idpv1.ListSecurityInfoRequest{AccessToken: token})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestTheFirstMethodByAPassword: from the page of the sign-in to a second factor.
func TestTheFirstMethodByAPassword(t *testing.T) {
	s := newSecurity(t, idp.Config{})
	visit := &idpv1.AuthorizeRequest{ClientId: mySignIns, RedirectUri: securityURI, Resource: securityInfos}
	_, in := s.typed(t, visit, bob, bobPassword)
	tokens := s.endpoint.must(t, &idpv1.RequestTokensRequest{
		Tenant: "common", Protocol: v1, ClientId: mySignIns, Resource: securityInfos,
		Grant: &idpv1.RequestTokensRequest_AuthorizationCode{AuthorizationCode: &idpv1.AuthorizationCodeGrant{Code: in.GetCode(), RedirectUri: securityURI}},
	})
	token := tokens.GetAccessToken()
	if l := s.listed(t, token); l.GetUserPrincipalName() != bob || len(l.GetMethods()) != 1 || l.GetMethods()[0].GetKind() != "password" || l.GetMethods()[0].GetRemovable() || len(l.GetAddable()) != 5 {
		t.Errorf("%v", l)
	}
	b := s.start(t, token, "softwareOath")
	if _, err := s.finish(token, b.GetRegistration(), wrong(s.appCode(t, b.GetOtpauthUri())), ""); prterr.CodeOf(err) != aadsts.StrongAuthFailed {
		t.Errorf("a wrong code: %v", err)
	}
	id, err := s.finish(token, b.GetRegistration(), s.appCode(t, b.GetOtpauthUri()), "")
	if err != nil || id == "" {
		t.Fatal(err)
	}
	if e := lastEvent(s.world); e.Flow != signinlog.SecurityInfo || e.Outcome != signinlog.Success || e.User != bob || e.Reason != "added softwareOath" {
		t.Errorf("%+v", e)
	}
	if m := s.messages(t, bob); len(m) != 1 || !strings.Contains(m[0], "was added") {
		t.Errorf("%v", m)
	}
	// From now on a password is not enough to get another, or to take this one away.
	for name, err := range map[string]error{
		"add":    second(s.BeginSecurityInfo(context.Background(), &idpv1.BeginSecurityInfoRequest{AccessToken: token, Kind: "fido2"})),
		"remove": second(s.RemoveSecurityInfo(context.Background(), &idpv1.RemoveSecurityInfoRequest{AccessToken: token, MethodId: id})),
		"choose": second(s.SetDefaultSecurityInfo(context.Background(), &idpv1.SetDefaultSecurityInfoRequest{AccessToken: token, MethodId: id})),
	} {
		if prterr.CodeOf(err) != aadsts.MFARequired || claimsOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	strong := s.strong(t, bob)
	if _, err := s.SetDefaultSecurityInfo(context.Background(), &idpv1.SetDefaultSecurityInfoRequest{AccessToken: strong, MethodId: id}); err != nil {
		t.Fatal(err)
	}
	if l := s.listed(t, strong); len(l.GetMethods()) != 2 || !l.GetMethods()[1].GetIsDefault() || slices.Contains(l.GetAddable(), "softwareOath") {
		t.Errorf("%v", l)
	}
	if _, err := s.RemoveSecurityInfo(context.Background(), &idpv1.RemoveSecurityInfoRequest{AccessToken: strong, MethodId: id}); err != nil {
		t.Fatal(err)
	}
	if l := s.listed(t, strong); len(l.GetMethods()) != 1 {
		t.Errorf("%v", l)
	}
	if m := s.messages(t, bob); len(m) != 2 || !strings.Contains(m[1], "was removed") {
		t.Errorf("%v", m)
	}
}

func TestTelephonesAndAuthenticators(t *testing.T) {
	s := newSecurity(t, idp.Config{})
	token := s.strong(t, bob)
	for _, kind := range []string{"sms", "voice"} {
		b := s.start(t, token, kind)
		id, err := s.finish(token, b.GetRegistration(), s.sentCode(t, bob), "")
		if err != nil {
			t.Fatal(err)
		}
		l := s.listed(t, token)
		m := l.GetMethods()[len(l.GetMethods())-1]
		if m.GetKind() != "sms" || m.GetMethodId() != id || !strings.HasSuffix(m.GetDisplay(), "42") || strings.Contains(m.GetDisplay(), "555") {
			t.Errorf("%s: %v", kind, m)
		}
		u, err := s.endpoint.world.svc.Store().UserByUPN(context.Background(), bob)
		if want := map[string]string{"voice": "TwoWayVoiceMobile"}[kind]; err != nil || u.DefaultMethod != want {
			t.Errorf("added as %s, %q is asked for first: %v", kind, u.DefaultMethod, err)
		}
		if _, err := s.BeginSecurityInfo(context.Background(), &idpv1.BeginSecurityInfoRequest{AccessToken: token, Kind: kind, PhoneNumber: "+1 5550143"}); prterr.KindOf(err) != prterr.Conflict {
			t.Errorf("a second telephone: %v", err)
		}
		if _, err := s.RemoveSecurityInfo(context.Background(), &idpv1.RemoveSecurityInfoRequest{AccessToken: token, MethodId: id}); err != nil {
			t.Fatal(err)
		}
	}
	for _, number := range []string{"", "5550142", "+0 1", "+1 555 01 42 \n"} {
		if _, err := s.BeginSecurityInfo(context.Background(), &idpv1.BeginSecurityInfoRequest{AccessToken: token, Kind: "sms", PhoneNumber: number}); prterr.KindOf(err) != prterr.Invalid {
			t.Errorf("%q: %v", number, err)
		}
	}
	b := s.start(t, token, "microsoftAuthenticatorPush")
	if id, err := s.finish(token, b.GetRegistration(), "", ""); err != nil || id != "" {
		t.Errorf("%q, %v", id, err)
	}
	_, err := s.person.PairAuthenticator(context.Background(), &directoryv1.PairAuthenticatorRequest{UserPrincipalName: bob, ActivationCode: b.GetActivationCode(), DeviceName: "Pixel"})
	if err != nil {
		t.Fatal(err)
	}
	// The notice comes by the pairing: the page may never ask again.
	if m := s.messages(t, bob); !strings.Contains(m[len(m)-1], "Pixel") {
		t.Errorf("%v", m)
	}
	if e := lastEvent(s.world); e.Flow != signinlog.SecurityInfo || e.User != bob {
		t.Errorf("%+v", e)
	}
	id, err := s.finish(token, b.GetRegistration(), "", "")
	if err != nil || id == "" {
		t.Errorf("%q, %v", id, err)
	}
	if l := s.listed(t, token); l.GetMethods()[len(l.GetMethods())-1].GetMethodId() != id {
		t.Errorf("%v", l)
	}
}

// TestARegisteredPasskeySignsIn: registered by its person, used at a sign-in page.
func TestARegisteredPasskeySignsIn(t *testing.T) {
	s := newSecurity(t, idp.Config{})
	auth, token := &passkeytest.Authenticator{}, s.strong(t, mia)
	b := s.start(t, token, "fido2")
	made, err := auth.Create(b.GetOptions(), loginOrigin)
	if err != nil {
		t.Fatal(err)
	}
	id, err := s.finish(token, b.GetRegistration(), "", made)
	if err != nil {
		t.Fatal(err)
	}
	l := s.listed(t, token)
	if i := slices.IndexFunc(l.GetMethods(), func(m *idpv1.SecurityInfo) bool { return m.GetMethodId() == id }); i < 0 || l.GetMethods()[i].GetDisplay() != "Blue key" || l.GetMethods()[i].GetKind() != "fido2" {
		t.Errorf("%v", l)
	}
	next := s.touched(t, s.page(t, &idpv1.AuthorizeRequest{}, signInPage, 0), "", auth)
	s.code(t, next.GetSignedIn(), next)
	// The authenticator says by itself that it has one already; the registration is used.
	if _, err := auth.Create(s.start(t, token, "fido2").GetOptions(), loginOrigin); err == nil {
		t.Error("a second passkey on one authenticator")
	}
	if _, err := s.finish(token, b.GetRegistration(), "", made); prterr.KindOf(err) != prterr.Conflict {
		t.Errorf("a registration twice: %v", err)
	}
	if _, err := s.RemoveSecurityInfo(context.Background(), &idpv1.RemoveSecurityInfoRequest{AccessToken: token, MethodId: id}); err != nil {
		t.Fatal(err)
	}
	next = s.touched(t, s.page(t, &idpv1.AuthorizeRequest{}, signInPage, 0), "", auth)
	wantKindOfPage(t, next.GetPage(), signInPage, aadsts.KeyNotFound, next)
}

func TestAttackSecurityInfoWithOtherTokens(t *testing.T) {
	s := newSecurity(t, idp.Config{})
	office := func(a *sealed.Artefact) {
		s.endpoint.withMFA(a)
		a.Client, a.RedirectURI = cli, localhost
	}
	id := func() string {
		a := s.endpoint.signedIn(t, mia, mySignIns)
		s.endpoint.withMFA(&a)
		a.RedirectURI, a.Resource = securityURI, securityInfos
		return s.endpoint.must(t, &idpv1.RequestTokensRequest{
			Tenant: "common", Protocol: v1, ClientId: mySignIns, Resource: securityInfos,
			Grant: &idpv1.RequestTokensRequest_AuthorizationCode{AuthorizationCode: &idpv1.AuthorizationCodeGrant{Code: s.endpoint.seal(t, a), RedirectUri: securityURI}},
		}).GetIdToken()
	}()
	good := s.strong(t, mia)
	for name, token := range map[string]string{
		"none": "", "garbage": "a.b.c", "altered": flipSignature(t, good, 3), "an ID token": id,
		"of Graph":                    s.token(t, mia, func(a *sealed.Artefact) { s.endpoint.withMFA(a); a.Resource = graph }),
		"of another application":      s.token(t, mia, office),
		"of an application by itself": s.endpoint.must(t, ownNameOf(v2, contoso, secretProof(webSecret))).GetAccessToken(),
	} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			for call, err := range map[string]error{
				"list":     second(s.ListSecurityInfo(ctx, &idpv1.ListSecurityInfoRequest{AccessToken: token})),
				"begin":    second(s.BeginSecurityInfo(ctx, &idpv1.BeginSecurityInfoRequest{AccessToken: token, Kind: "fido2"})),
				"complete": second(s.finish(token, "x", "", "")),
				"remove":   second(s.RemoveSecurityInfo(ctx, &idpv1.RemoveSecurityInfoRequest{AccessToken: token, MethodId: "totp"})),
				"choose":   second(s.SetDefaultSecurityInfo(ctx, &idpv1.SetDefaultSecurityInfoRequest{AccessToken: token, MethodId: "totp"})),
			} {
				if k := prterr.KindOf(err); k != prterr.Unauthenticated && k != prterr.Denied {
					t.Errorf("%s: %v", call, err)
				}
			}
		})
	}
	// A second factor is demanded of who has one, and revocation counts at once.
	weak := s.token(t, alice, nil)
	if _, err := s.admin.SetUserMethods(context.Background(), &directoryv1.SetUserMethodsRequest{UserPrincipalName: alice, PhoneNumber: "+1 5550199"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.BeginSecurityInfo(context.Background(), &idpv1.BeginSecurityInfoRequest{AccessToken: weak, Kind: "fido2"}); prterr.CodeOf(err) != aadsts.MFARequired {
		t.Errorf("without a second factor: %v", err)
	}
	if e := lastEvent(s.world); e.Flow != signinlog.SecurityInfo || e.Outcome != signinlog.Refused || e.User != alice {
		t.Errorf("%+v", e)
	}
	if _, err := s.admin.RevokeSessions(context.Background(), &directoryv1.RevokeSessionsRequest{UserPrincipalName: mia}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ListSecurityInfo(context.Background(), &idpv1.ListSecurityInfoRequest{AccessToken: good}); prterr.KindOf(err) != prterr.Unauthenticated {
		t.Errorf("after a revocation: %v", err)
	}
}

func TestAttackSecurityInfoRegistrationsOfOthers(t *testing.T) {
	s := newSecurity(t, idp.Config{})
	mias, bobs := s.strong(t, mia), s.strong(t, bob)
	b := s.start(t, bobs, "softwareOath")
	right := func() string { return s.appCode(t, b.GetOtpauthUri()) }
	page := s.page(t, &idpv1.AuthorizeRequest{}, signInPage, 0)
	_, in := s.typed(t, &idpv1.AuthorizeRequest{}, bob, bobPassword)
	for name, c := range map[string][2]string{
		"another's":    {mias, b.GetRegistration()},
		"a flow token": {bobs, page.GetFlowToken()}, "a code": {bobs, in.GetCode()}, "garbage": {bobs, "1.x.y"}, "none": {bobs, ""},
	} {
		if _, err := s.finish(c[0], c[1], right(), ""); prterr.KindOf(err) != prterr.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	// And a registration is no sign-in.
	next := s.password(t, &idpv1.SignInPage{FlowToken: b.GetRegistration(), Canary: page.GetCanary()}, bob, bobPassword)
	wantKindOfPage(t, next.GetPage(), errorPage, aadsts.FlowTokenExpired, next)

	// A password-only token from before the first method was there.
	weak := s.token(t, bob, nil)
	early := s.start(t, weak, "sms")
	code := s.sentCode(t, bob)
	if _, err := s.finish(bobs, b.GetRegistration(), right(), ""); err != nil {
		t.Fatal(err)
	}
	if _, err := s.finish(weak, early.GetRegistration(), code, ""); prterr.CodeOf(err) != aadsts.MFARequired {
		t.Errorf("begun before the first method: %v", err)
	}
	// Once, and not for ever.
	if _, err := s.RemoveSecurityInfo(context.Background(), &idpv1.RemoveSecurityInfoRequest{AccessToken: bobs, MethodId: "totp"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.finish(bobs, b.GetRegistration(), right(), ""); prterr.KindOf(err) != prterr.Conflict {
		t.Errorf("twice: %v", err)
	}
	b = s.start(t, bobs, "softwareOath")
	s.endpoint.clock.Advance(11 * time.Minute)
	if _, err := s.finish(bobs, b.GetRegistration(), right(), ""); prterr.KindOf(err) != prterr.Invalid {
		t.Errorf("too old: %v", err)
	}
	// Wrong codes are counted; a code of one registration is none of another.
	one, two := s.start(t, bobs, "sms"), s.start(t, bobs, "sms")
	newest := s.sentCode(t, bob)
	if _, err := s.finish(bobs, one.GetRegistration(), newest, ""); prterr.CodeOf(err) != aadsts.StrongAuthFailed && err != nil {
		t.Errorf("another registration's code: %v", err)
	}
	for range 10 {
		_, _ = s.finish(bobs, two.GetRegistration(), "x", "")
	}
	if _, err := s.finish(bobs, two.GetRegistration(), newest, ""); prterr.CodeOf(err) != aadsts.AccountLocked {
		t.Errorf("after ten wrong codes: %v", err)
	}
}

// TestCA19_RegistrationCanBeRestricted: the policy is asked for the token.
func TestCA19_RegistrationCanBeRestricted(t *testing.T) {
	s := newSecurity(t, idp.Config{Tenants: withPolicy("include_users: [All]", "user_actions: [register_security_info]", "grant: block")})
	next := s.password(t, s.page(t, &idpv1.AuthorizeRequest{ClientId: mySignIns, RedirectUri: securityURI, Resource: securityInfos}, signInPage, 0), bob, bobPassword)
	if code := aadsts.Code(next.GetPage().GetErrorCode()); code != aadsts.ProofUpBlockedByPolicy {
		t.Errorf("%v", next)
	}
	s.typed(t, &idpv1.AuthorizeRequest{}, bob, bobPassword)
}

// TestAttackSecurityInfoOnlyAtItsOwnPages: a person can be talked into typing a code
// or copying an address; neither leads to a token that changes how they sign in.
func TestAttackSecurityInfoOnlyAtItsOwnPages(t *testing.T) {
	s := newSecurity(t, idp.Config{})
	for _, uri := range []string{native + mySignIns, "https://login.microsoftonline.com/common/oauth2/nativeclient", "http://localhost", loginOrigin + "/security-info"} {
		a := s.visit(t, &idpv1.AuthorizeRequest{ClientId: mySignIns, RedirectUri: uri, Resource: securityInfos})
		wantKindOfPage(t, a.GetSignInPage(), errorPage, aadsts.InvalidReplyTo, a)
	}
	r := passwordOf(v1, bob, bobPassword)
	r.ClientId, r.Resource = mySignIns, securityInfos
	if _, err := s.endpoint.ask(r); prterr.CodeOf(err) != aadsts.MissingClientSecret {
		t.Errorf("password: %v", err)
	}
	_, err := s.grants.StartDeviceFlow(context.Background(), &idpv1.StartDeviceFlowRequest{Tenant: "common", Protocol: v1, ClientId: mySignIns, Resource: securityInfos})
	if prterr.CodeOf(err) != aadsts.ApplicationNotFound {
		t.Errorf("device code: %v", err)
	}
}
