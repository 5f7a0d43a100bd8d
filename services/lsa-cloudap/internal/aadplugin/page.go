package aadplugin

import (
	"context"
	"net/url"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/authority"
	"github.com/lockstep-sso/lockstep/pkg/authority/signinpage"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	cloudapv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/cloudap/v1"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/partition"
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
	cached *cached
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

// page is what the framework shows.
type page struct {
	url, redirect, headerName, header string
	state                             []byte
}

// beginPage makes a sign-in page of the device's tenant, and the header that proves
// device and, where somebody is signed in, user.
func (p *Plugin) beginPage(ctx context.Context, a pageAsked) (page, error) {
	tenant, err := p.device.tenant(ctx)
	if err != nil {
		return page{}, err
	}
	ask := signinpage.Request{Tenant: tenant, Hint: a.hint, Claims: a.claims, SignIn: a.signIn}
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
	nonce, err := p.cloud.nonce(ctx)
	if err != nil {
		return page{}, err
	}
	var out page
	if a.cached != nil {
		out.headerName = entrawire.CookieName
		out.header, err = p.device.signCookie(ctx, *a.cached, nonce)
	} else {
		out.headerName = entrawire.DeviceCookieName
		out.header, err = p.device.signDeviceCookie(ctx, nonce)
	}
	if err != nil {
		return page{}, err
	}
	var state signinpage.State
	out.url, state = ask.Begin(p.signIn, nonce)
	state.Purpose, out.redirect = int32(a.purpose), state.Redirect
	out.state, err = state.Encode()
	return out, err
}

// authenticateAtPage makes a PRT of the end of a page: code, refresh token of the
// broker, PRT. upn is empty when the page says who signs in.
func (p *Plugin) authenticateAtPage(ctx context.Context, upn ids.UPN, end pageEnd) (issued, error) {
	switch cloudapv1.PagePurpose(end.state.Purpose) {
	case cloudapv1.PagePurpose_PAGE_PURPOSE_SIGN_IN, cloudapv1.PagePurpose_PAGE_PURPOSE_UPGRADE:
	default:
		return issued{}, prterr.New(prterr.Denied, "the page was not made to sign in")
	}
	code, err := end.state.Code(end.final)
	if err != nil {
		return issued{}, err
	}
	tenant, err := p.device.tenant(ctx)
	if err != nil {
		return issued{}, err
	}
	got, err := p.cloud.redeemCode(ctx, end.state, code)
	if err != nil {
		return issued{}, err
	}
	switch {
	case got.who.tenant != tenant || got.who.upn == "":
		return issued{}, prterr.New(prterr.Denied, "the user of the page is not one of the device's tenant")
	case upn != "" && got.who.upn != upn:
		return issued{}, prterr.New(prterr.Denied, "another user signed in at the page")
	case got.refresh.Empty():
		return issued{}, badAnswer(idpName, "refresh_token is missing")
	}
	prt, err := p.request(ctx, tenant, got.who.upn, "", func(nonce string) (string, error) {
		return p.device.signRequest(ctx, got.who.upn, proof{refreshToken: got.refresh}, nonce)
	})
	if err != nil {
		return issued{}, err
	}
	prt.kind = partition.Kind(authority.KindAtPage(authority.Identity{Methods: prt.methods, AMR: prt.amr}))
	return prt, nil
}

// redeemPage makes an access token of the end of a page; none of one for consent.
func (p *Plugin) redeemPage(ctx context.Context, purpose cloudapv1.PagePurpose, end pageEnd) (tokens, error) {
	if cloudapv1.PagePurpose(end.state.Purpose) != purpose {
		return tokens{}, prterr.New(prterr.Denied, "the page was made for another purpose")
	}
	code, err := end.state.Code(end.final)
	if err != nil {
		return tokens{}, err
	}
	if purpose == cloudapv1.PagePurpose_PAGE_PURPOSE_CONSENT {
		return tokens{}, nil // what the page was for is done, and the code is the application's
	}
	got, err := p.cloud.redeemCode(ctx, end.state, code)
	switch {
	case err != nil:
		return tokens{}, err
	case got.access.Empty() || got.who.upn == "":
		return tokens{}, badAnswer(idpName, "access_token or the user's name is missing")
	}
	return got, nil
}

// httpsHost checks the base address of sign-in pages.
func httpsHost(base string) (string, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", prterr.New(prterr.Invalid, "azure ad plug-in: the address of sign-in pages must be https and a host, such as https://login.microsoftonline.com")
	}
	return "https://" + u.Host, nil
}
