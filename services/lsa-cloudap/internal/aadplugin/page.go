package aadplugin

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/authority"
	"github.com/lockstep-sso/lockstep/pkg/authority/signinpage"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	cloudapv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/cloudap/v1"
)

const (
	// pinResetClient and pinResetResource are the public service's PIN reset.
	pinResetClient   = "9115dd05-fad5-4f9c-acc7-305d08b1b04e"
	pinResetResource = "https://cred.microsoft.com"
)

// pageAsked is what a page is asked for.
type pageAsked struct {
	purpose cloudapv1.PagePurpose
	// cached signs in to the page; nil when nobody is signed in to the device.
	cached *authority.Cached
	hint   ids.UPN
	claims string
	signIn bool
	// app and resource are whose consent is asked for what, and empty otherwise.
	app      ids.ClientID
	resource string
}

// pageEnd is the end of a page with the state of its beginning. The state goes to the
// framework and comes back: the plug-in remembers nothing.
type pageEnd struct {
	state signinpage.State
	final secret.Text
}

// beginPage makes a sign-in page of the device's tenant, and the header that proves
// device and, where somebody is signed in, user.
func (p *Plugin) beginPage(ctx context.Context, a pageAsked) (authority.Page, error) {
	device, err := p.device.joined(ctx)
	if err != nil {
		return authority.Page{}, err
	}
	ask := signinpage.Request{Tenant: device.tenant, Hint: a.hint, Claims: a.claims, SignIn: a.signIn}
	switch a.purpose {
	case cloudapv1.PagePurpose_PAGE_PURPOSE_PROVISION_HELLO:
		ask.Resource, ask.FreshFactor = entrawire.RegistrationResource, true
	case cloudapv1.PagePurpose_PAGE_PURPOSE_RESET_PIN:
		ask.Client, ask.Resource, ask.FreshFactor = pinResetClient, pinResetResource, true
	case cloudapv1.PagePurpose_PAGE_PURPOSE_CONSENT:
		// The application's own page. It ends at the broker, and its code is of no use to
		// anybody: the verifier goes nowhere.
		ask.Client, ask.Resource, ask.Consents = string(a.app), a.resource, true
	case cloudapv1.PagePurpose_PAGE_PURPOSE_UNSPECIFIED, cloudapv1.PagePurpose_PAGE_PURPOSE_SIGN_IN, cloudapv1.PagePurpose_PAGE_PURPOSE_UPGRADE:
	}
	made, err := p.prt.BeginPage(ctx, a.cached, ask)
	made.State.Purpose = int32(a.purpose)
	return made, err
}

// authenticateAtPage makes a PRT of the end of a page: code, refresh token of the
// broker, PRT. upn is empty when the page says who signs in.
func (p *Plugin) authenticateAtPage(ctx context.Context, upn ids.UPN, end pageEnd) (authority.Issued, error) {
	switch cloudapv1.PagePurpose(end.state.Purpose) {
	case cloudapv1.PagePurpose_PAGE_PURPOSE_SIGN_IN, cloudapv1.PagePurpose_PAGE_PURPOSE_UPGRADE:
	default:
		return authority.Issued{}, prterr.New(prterr.Denied, "the page was not made to sign in")
	}
	code, err := end.state.Code(end.final)
	if err != nil {
		return authority.Issued{}, err
	}
	device, err := p.device.joined(ctx)
	if err != nil {
		return authority.Issued{}, err
	}
	return device.issued(p.prt.AtPage(ctx, end.state, code, device.tenant, upn))
}

// redeemPage makes an access token of the end of a page; none of one for consent.
func (p *Plugin) redeemPage(ctx context.Context, purpose cloudapv1.PagePurpose, end pageEnd) (authority.Tokens, error) {
	if cloudapv1.PagePurpose(end.state.Purpose) != purpose {
		return authority.Tokens{}, prterr.New(prterr.Denied, "the page was made for another purpose")
	}
	code, err := end.state.Code(end.final)
	if err != nil {
		return authority.Tokens{}, err
	}
	if purpose == cloudapv1.PagePurpose_PAGE_PURPOSE_CONSENT {
		return authority.Tokens{}, nil // what the page was for is done, and the code is the application's
	}
	got, err := p.prt.RedeemCode(ctx, end.state, code, pageClaims(purpose))
	switch {
	case err != nil:
		return authority.Tokens{}, err
	case got.Access.Empty() || got.UPN == "":
		return authority.Tokens{}, authority.BadAnswer(idpName, "access_token or the user's name is missing")
	}
	return got, nil
}

// pageClaims are what the token of a page has to say: a second factor that was fresh
// already when the page was opened is named in it only where it is asked for.
func pageClaims(purpose cloudapv1.PagePurpose) string {
	switch purpose {
	case cloudapv1.PagePurpose_PAGE_PURPOSE_PROVISION_HELLO, cloudapv1.PagePurpose_PAGE_PURPOSE_RESET_PIN:
		return `{"access_token":{"amr":{"essential":true,"values":["` + signinpage.FreshFactor + `"]}}}`
	case cloudapv1.PagePurpose_PAGE_PURPOSE_UNSPECIFIED, cloudapv1.PagePurpose_PAGE_PURPOSE_SIGN_IN, cloudapv1.PagePurpose_PAGE_PURPOSE_UPGRADE,
		cloudapv1.PagePurpose_PAGE_PURPOSE_CONSENT:
	}
	return ""
}
