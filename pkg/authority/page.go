package authority

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/authority/artefact"
	"github.com/lockstep-sso/lockstep/pkg/authority/signinpage"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
)

// Page is a page to show.
type Page struct {
	URL string
	// HeaderName and Header prove device, and user where there is a PRT, to this page.
	HeaderName string
	Header     secret.Text
	State      signinpage.State
}

// BeginPage makes a sign-in page and the header that proves to it the device and, with
// a cached PRT, the user.
func (a *Authority) BeginPage(ctx context.Context, cached *Cached, r signinpage.Request) (Page, error) {
	nonce, err := a.nonce(ctx)
	if err != nil {
		return Page{}, err
	}
	out := Page{HeaderName: entrawire.DeviceCookieName}
	var cookie string
	if cached != nil {
		out.HeaderName = entrawire.CookieName
		cookie, err = a.SignCookie(ctx, *cached, nonce)
	} else {
		cookie, err = a.signDeviceCookie(ctx, nonce)
	}
	if err != nil {
		return Page{}, err
	}
	out.Header = secret.NewText(cookie)
	out.URL, out.State = r.Begin(a.signIn, nonce)
	return out, nil
}

// SignCookie has a PRT cookie built and signed with the session key.
func (a *Authority) SignCookie(ctx context.Context, c Cached, nonce string) (string, error) {
	r, err := call(ctx, a.timeout, a.keys.SignPRTCookie, &tpmv1.SignPRTCookieRequest{
		Partition: c.partition(), SessionKey: c.sessionKey(), Prt: c.PRT.Reveal(), SealedPrt: c.sealedPRT(), RequestNonce: nonce,
	})
	return signed(r.GetCookie(), err)
}

// signDeviceCookie has the proof built and signed that a page is opened on this device,
// by nobody in particular.
func (a *Authority) signDeviceCookie(ctx context.Context, nonce string) (string, error) {
	r, err := call(ctx, a.timeout, a.keys.SignDeviceCookie, &tpmv1.SignDeviceCookieRequest{RequestNonce: nonce})
	return signed(r.GetCookie(), err)
}

// AtPage makes a PRT of the code that a page for a PRT ended with: refresh token of the
// broker, PRT. tenant is the device's. upn is who has to have signed in; when it is
// empty the page says whose the PRT is, and the caller compares that with whom it asked.
func (a *Authority) AtPage(ctx context.Context, s signinpage.State, code secret.Text, tenant ids.TenantID, upn ids.UPN) (Issued, error) {
	t, err := a.RedeemCode(ctx, s, code, "")
	switch {
	case err != nil:
		return Issued{}, err
	case t.Tenant != tenant || t.UPN == "":
		return Issued{}, prterr.New(prterr.Denied, "the user of the page is not one of the device's tenant")
	case upn != "" && t.UPN != upn:
		return Issued{}, prterr.New(prterr.Denied, "another user signed in at the page")
	case t.Refresh.Empty():
		return Issued{}, BadAnswer(idpName, "refresh_token is missing")
	}
	got, err := a.Request(ctx, tenant, t.UPN, "", &tpmv1.Credential{Kind: &tpmv1.Credential_RefreshToken{RefreshToken: t.Refresh.Reveal()}})
	if err != nil {
		return Issued{}, err
	}
	got.Kind = KindAtPage(got.Identity)
	return got, nil
}

// Tokens are what the code of a page was redeemed for, and whose they are.
type Tokens struct {
	Identity
	Access, Refresh secret.Text
}

// RedeemCode redeems the code of a page, as the application that the page was for.
// claims is what the tokens are to say, a claims request in JSON, or empty.
func (a *Authority) RedeemCode(ctx context.Context, s signinpage.State, code secret.Text, claims string) (Tokens, error) {
	r, err := call(ctx, a.timeout, a.grants.RequestTokens, &idpv1.RequestTokensRequest{
		Tenant: string(s.Tenant), Protocol: idpv1.Protocol_PROTOCOL_V1, ClientId: s.Client, Scope: "openid", Claims: claims,
		Grant: &idpv1.RequestTokensRequest_AuthorizationCode{AuthorizationCode: &idpv1.AuthorizationCodeGrant{
			Code: code.Reveal(), RedirectUri: s.Redirect, CodeVerifier: s.Verifier,
		}},
	})
	if err != nil {
		return Tokens{}, Stranger(idpName, err)
	}
	t := r.GetTokens()
	switch {
	case t == nil:
		return Tokens{}, BadAnswer(idpName, "it has no tokens")
	case !artefact.Line(t.GetAccessToken(), artefact.MaxToken):
		return Tokens{}, BadAnswer(idpName, "access_token is too long or has a character that is not allowed")
	case t.GetRefreshToken() != "" && !artefact.Opaque(t.GetRefreshToken(), artefact.MaxPRT):
		return Tokens{}, BadAnswer(idpName, "refresh_token is too long or has a character that is not allowed")
	}
	who, err := ReadIDToken(t.GetIdToken())
	return Tokens{Identity: who, Access: secret.NewText(t.GetAccessToken()), Refresh: secret.NewText(t.GetRefreshToken())}, err
}
