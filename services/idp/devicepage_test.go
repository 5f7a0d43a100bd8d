package idp_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/deviceflow"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
)

const (
	codePage    = idpv1.PageKind_PAGE_KIND_DEVICE_CODE
	confirmPage = idpv1.PageKind_PAGE_KIND_DEVICE_CONFIRM
	donePage    = idpv1.PageKind_PAGE_KIND_DEVICE_DONE
)

// start begins a sign-in by device code for the Azure command line.
func (p *pages) start(t testing.TB, r deviceflow.Request) deviceflow.Started {
	t.Helper()
	r.Client, r.Version = cli, 2
	if r.Scope == "" {
		r.Scope = "openid offline_access " + graph + "/.default"
	}
	s, err := p.svc.DeviceFlows().Start(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (p *pages) redeem(s deviceflow.Started) (sealed.Artefact, error) {
	_, who, err := p.svc.DeviceFlows().Redeem(context.Background(), s.DeviceCode, ids.ClientID(cli), nil)
	return who, err
}

func (p *pages) typeCode(t testing.TB, r *idpv1.SubmitUserCodeRequest) *idpv1.NextAction {
	t.Helper()
	a, err := p.forms.SubmitUserCode(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	return a.GetNext()
}

func (p *pages) confirm(t testing.TB, page *idpv1.SignInPage, yes bool) *idpv1.NextAction {
	t.Helper()
	a, err := p.forms.ConfirmDevice(context.Background(), &idpv1.ConfirmDeviceRequest{FlowToken: page.GetFlowToken(), Canary: page.GetCanary(), Confirm: yes})
	if err != nil {
		t.Fatal(err)
	}
	return a.GetNext()
}

// TestDeviceCodePage: code, sign-in, the question whether it is you, done.
func TestDeviceCodePage(t *testing.T) {
	lab := clock.NewLab()
	p := newPages(t, idp.Config{Clock: lab})
	next := p.typeCode(t, &idpv1.SubmitUserCodeRequest{})
	wantKindOfPage(t, next.GetPage(), codePage, 0, next)
	next = p.typeCode(t, &idpv1.SubmitUserCodeRequest{UserCode: strings.Repeat("X", 5000)})
	if page := wantKindOfPage(t, next.GetPage(), codePage, aadsts.BadVerificationCode, next); len(page.GetUserCode()) > 40 {
		t.Errorf("%d bytes came back", len(page.GetUserCode()))
	}

	s := p.start(t, deviceflow.Request{})
	next = p.typeCode(t, &idpv1.SubmitUserCodeRequest{UserCode: strings.ToLower(s.UserCode)})
	page := wantKindOfPage(t, next.GetPage(), signInPage, 0, next)
	if page.GetApplication() != "Microsoft Azure CLI" || page.GetUserCode() != s.UserCode {
		t.Errorf("%v", page)
	}
	next = p.password(t, page, alice, alicePassword)
	page = wantKindOfPage(t, next.GetPage(), confirmPage, 0, next)
	if _, err := p.redeem(s); prterr.CodeOf(err) != aadsts.AuthorizationPending {
		t.Errorf("signed in without being asked: %v", err)
	}
	next = p.confirm(t, page, true)
	wantKindOfPage(t, next.GetPage(), donePage, 0, next)
	who, err := p.redeem(s)
	if err != nil || string(who.Client) != cli || who.Resource != graph || who.Origin != deviceflow.Origin || who.AMR[0] != "pwd" || who.Device != "" || who.RedirectURI != "" {
		t.Errorf("%+v, %v", who, err)
	}
	next = p.confirm(t, page, true)
	wantKindOfPage(t, next.GetPage(), errorPage, aadsts.FlowTokenExpired, next)
	next = p.typeCode(t, &idpv1.SubmitUserCodeRequest{UserCode: s.UserCode})
	wantKindOfPage(t, next.GetPage(), codePage, aadsts.BadVerificationCode, next)

	t.Run("with a session", func(t *testing.T) {
		s := p.start(t, deviceflow.Request{Tenant: contoso})
		_, signedIn := p.typed(t, &idpv1.AuthorizeRequest{}, alice, alicePassword)
		next := p.typeCode(t, &idpv1.SubmitUserCodeRequest{UserCode: s.UserCode, SessionCookie: signedIn.GetSessionCookie()})
		page := wantKindOfPage(t, next.GetPage(), confirmPage, 0, next)
		next = p.confirm(t, page, false)
		wantKindOfPage(t, next.GetPage(), errorPage, aadsts.AuthorizationDeclined, next)
		if _, err := p.redeem(s); prterr.CodeOf(err) != aadsts.AuthorizationDeclined {
			t.Errorf("%v", err)
		}
	})
	t.Run("with a PRT", func(t *testing.T) {
		s := p.start(t, deviceflow.Request{})
		prt := p.join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword)
		next := p.typeCode(t, &idpv1.SubmitUserCodeRequest{UserCode: s.UserCode, RefreshTokenCredential: prt.sign(t, prt.cookie(p.nonce(t)))})
		next = p.confirm(t, wantKindOfPage(t, next.GetPage(), confirmPage, 0, next), true)
		wantKindOfPage(t, next.GetPage(), donePage, 0, next)
		if who, err := p.redeem(s); err != nil || string(who.Device) != prt.d.id {
			t.Errorf("%+v, %v", who, err)
		}
	})
	t.Run("another tenant's user", func(t *testing.T) {
		s := p.start(t, deviceflow.Request{Tenant: contoso})
		next := p.typeCode(t, &idpv1.SubmitUserCodeRequest{UserCode: s.UserCode})
		next = p.password(t, next.GetPage(), frank, frankPassword)
		wantKindOfPage(t, next.GetPage(), signInPage, aadsts.UserNotInTenant, next)
	})
	t.Run("too late", func(t *testing.T) {
		s := p.start(t, deviceflow.Request{})
		next := p.password(t, p.typeCode(t, &idpv1.SubmitUserCodeRequest{UserCode: s.UserCode}).GetPage(), alice, alicePassword)
		lab.Advance(16 * time.Minute)
		next = p.confirm(t, wantKindOfPage(t, next.GetPage(), confirmPage, 0, next), true)
		wantKindOfPage(t, next.GetPage(), codePage, aadsts.CodeExpired, next)
		next = p.typeCode(t, &idpv1.SubmitUserCodeRequest{UserCode: s.UserCode})
		wantKindOfPage(t, next.GetPage(), codePage, aadsts.CodeExpired, next)
	})
}

// TestPersonApprovesADevice under the demands of the page.
func TestPersonApprovesADevice(t *testing.T) {
	p := newPages(t, idp.Config{Tenants: withPolicy("grant: block", "include_users: [bob@contoso.test]", "include_resources: [All]", "flows: [device_code]")})
	approve := func(s deviceflow.Started, r *directoryv1.ApproveDeviceCodeRequest) error {
		r.UserCode = s.UserCode
		_, err := p.person.ApproveDeviceCode(context.Background(), r)
		return err
	}
	s := p.start(t, deviceflow.Request{AMRValues: "ngcmfa"})
	wantCode(t, approve(s, &directoryv1.ApproveDeviceCodeRequest{UserPrincipalName: bob}), aadsts.BlockedByPolicy)
	wantCode(t, approve(s, &directoryv1.ApproveDeviceCodeRequest{UserPrincipalName: alice}), aadsts.MFAEnrolmentRequired)
	wantCode(t, approve(s, &directoryv1.ApproveDeviceCodeRequest{UserPrincipalName: mia}), aadsts.MFARequired)
	wantCode(t, approve(s, &directoryv1.ApproveDeviceCodeRequest{UserPrincipalName: "nobody@contoso.test"}), aadsts.UserAccountNotFound)
	if err := approve(s, &directoryv1.ApproveDeviceCodeRequest{UserPrincipalName: mia, WithMfa: true}); err != nil {
		t.Fatal(err)
	}
	if who, err := p.redeem(s); err != nil || strings.Join(who.AMR, " ") != "pwd mfa ngcmfa" || who.MFATime == 0 {
		t.Errorf("%+v, %v", who, err)
	}
	// Bob is blocked by device code only, and so on the page too.
	p.typed(t, &idpv1.AuthorizeRequest{}, bob, bobPassword)
	s = p.start(t, deviceflow.Request{})
	next := p.password(t, p.typeCode(t, &idpv1.SubmitUserCodeRequest{UserCode: s.UserCode}).GetPage(), bob, bobPassword)
	wantKindOfPage(t, next.GetPage(), errorPage, aadsts.BlockedByPolicy, next)
	if err := approve(s, &directoryv1.ApproveDeviceCodeRequest{UserPrincipalName: bob, Decline: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.redeem(s); prterr.CodeOf(err) != aadsts.AuthorizationDeclined {
		t.Errorf("%v", err)
	}
	wantCode(t, approve(deviceflow.Started{UserCode: "ABCDEFGHJ", DeviceCode: secret.Text{}}, &directoryv1.ApproveDeviceCodeRequest{UserPrincipalName: alice}), aadsts.BadVerificationCode)
}
