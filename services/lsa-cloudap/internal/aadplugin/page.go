package aadplugin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	cloudapv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/cloudap/v1"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/artefact"
)

const (
	// pinResetClient and pinResetResource are the public service's PIN reset.
	pinResetClient   = "9115dd05-fad5-4f9c-acc7-305d08b1b04e"
	pinResetResource = "https://cred.microsoft.com"
	// updateResource is what a PRT is asked for at a page: nothing but the PRT.
	updateResource = "urn:aad:tb:update:prt"
	// freshFactor demands a second factor of the last ten minutes.
	freshFactor = "ngcmfa"
	// chance is how many random bytes a state and a verifier have.
	chance = 32
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

// pageState is what the end of a page is judged by. It goes to the framework and
// comes back: the plug-in remembers nothing.
type pageState struct {
	Purpose  int32        `json:"purpose"`
	Tenant   ids.TenantID `json:"tenant"`
	Client   string       `json:"client"`
	State    string       `json:"state"`
	Verifier string       `json:"verifier"`
}

// redirect is the address that the page ends at.
func (s pageState) redirect() string {
	if cloudapv1.PagePurpose(s.Purpose) == cloudapv1.PagePurpose_PAGE_PURPOSE_CONSENT {
		return appRedirect + s.Client
	}
	return brokerRedirect
}

// pageEnd is the end of a page with the state of its beginning.
type pageEnd struct {
	state pageState
	final secret.Text
}

// page is what the framework shows.
type page struct {
	url, redirect, headerName, header string
	state                             []byte
}

func readPageState(raw []byte) (pageState, error) {
	var s pageState
	bad := prterr.New(prterr.Invalid, "state is not one of this plug-in's")
	if len(raw) > artefact.MaxPageState || json.Unmarshal(raw, &s) != nil || s.State == "" || s.Verifier == "" {
		return pageState{}, bad
	}
	if _, err := ids.ParseTenant(string(s.Tenant)); err != nil {
		return pageState{}, bad
	}
	return s, nil
}

// beginPage makes the address of a sign-in page of the device's tenant (RFC 6749
// 4.1.1 with the proof key of RFC 7636), and the header that proves device and, where
// somebody is signed in, user. The endpoint is the one without a version, because
// pages for a PRT name a resource.
func (p *Plugin) beginPage(ctx context.Context, a pageAsked) (page, error) {
	tenant, err := p.device.tenant(ctx)
	if err != nil {
		return page{}, err
	}
	state := pageState{Purpose: int32(a.purpose), Tenant: tenant, Client: entrawire.BrokerClientID, State: random(), Verifier: random()}
	challenge := sha256.Sum256([]byte(state.Verifier))
	query := url.Values{
		"response_type": {"code"}, "scope": {"openid"}, "resource": {updateResource},
		"state": {state.State}, "code_challenge_method": {"S256"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])},
	}
	switch a.purpose {
	case cloudapv1.PagePurpose_PAGE_PURPOSE_PROVISION_HELLO:
		query.Set("resource", entrawire.RegistrationResource)
		query.Set("amr_values", freshFactor)
	case cloudapv1.PagePurpose_PAGE_PURPOSE_RESET_PIN:
		state.Client = pinResetClient
		query.Set("resource", pinResetResource)
		query.Set("amr_values", freshFactor)
	case cloudapv1.PagePurpose_PAGE_PURPOSE_CONSENT:
		// The application's own page. It ends at the broker, and its code is of no use to
		// anybody: the verifier goes nowhere.
		state.Client = string(a.app)
		query.Set("resource", a.resource)
	case cloudapv1.PagePurpose_PAGE_PURPOSE_UNSPECIFIED, cloudapv1.PagePurpose_PAGE_PURPOSE_SIGN_IN, cloudapv1.PagePurpose_PAGE_PURPOSE_UPGRADE:
	}
	query.Set("client_id", state.Client)
	query.Set("redirect_uri", state.redirect())
	for name, value := range map[string]string{"login_hint": string(a.hint), "claims": a.claims} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if a.signIn {
		query.Set("prompt", "login")
	}
	out := page{redirect: state.redirect()}
	nonce, err := p.cloud.nonce(ctx)
	if err != nil {
		return page{}, err
	}
	query.Set("sso_nonce", nonce)
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
	out.url = p.signIn + "/" + string(tenant) + "/oauth2/authorize?" + query.Encode()
	if out.state, err = json.Marshal(state); err != nil {
		return page{}, prterr.Wrap(prterr.Internal, err, "the state of the page does not encode")
	}
	return out, nil
}

// random is text of 43 characters from 32 random bytes, as RFC 7636 section 4.1 has it.
func random() string {
	raw := make([]byte, chance)
	_, _ = rand.Read(raw) // never fails: crypto/rand ends the process instead
	return base64.RawURLEncoding.EncodeToString(raw)
}

// authenticateAtPage makes a PRT of the end of a page: code, refresh token of the
// broker, PRT. upn is empty when the page says who signs in.
func (p *Plugin) authenticateAtPage(ctx context.Context, upn ids.UPN, end pageEnd) (issued, error) {
	switch cloudapv1.PagePurpose(end.state.Purpose) {
	case cloudapv1.PagePurpose_PAGE_PURPOSE_SIGN_IN, cloudapv1.PagePurpose_PAGE_PURPOSE_UPGRADE:
	default:
		return issued{}, prterr.New(prterr.Denied, "the page was not made to sign in")
	}
	code, err := end.code()
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
	prt.kind = kindAtPage(prt.methods, prt.amr)
	return prt, nil
}

// redeemPage makes an access token of the end of a page; none of one for consent.
func (p *Plugin) redeemPage(ctx context.Context, purpose cloudapv1.PagePurpose, end pageEnd) (tokens, error) {
	if cloudapv1.PagePurpose(end.state.Purpose) != purpose {
		return tokens{}, prterr.New(prterr.Denied, "the page was made for another purpose")
	}
	code, err := end.code()
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
