package authority

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/authority/artefact"
	"github.com/lockstep-sso/lockstep/pkg/authority/signinpage"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
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
		made, failed := call(ctx, a.timeout, a.keys.SignPRTCookie, &tpmv1.SignPRTCookieRequest{
			Partition: cached.partition(), SessionKey: cached.sessionKey(), Prt: cached.PRT.Reveal(), SealedPrt: cached.sealedPRT(), RequestNonce: nonce,
		})
		cookie, err = made.GetCookie(), failed
	} else {
		made, failed := call(ctx, a.timeout, a.keys.SignDeviceCookie, &tpmv1.SignDeviceCookieRequest{RequestNonce: nonce})
		cookie, err = made.GetCookie(), failed
	}
	if err != nil {
		return Page{}, err
	}
	if cookie, err = signed(cookie); err != nil {
		return Page{}, err
	}
	out.Header = secret.NewText(cookie)
	out.URL, out.State = r.Begin(a.signIn, nonce)
	return out, nil
}

// AtPage makes a PRT of the end of a page for a PRT: code, refresh token of the broker,
// PRT. Whose it is, the page says; the caller compares that with whom it asked.
func (a *Authority) AtPage(ctx context.Context, s signinpage.State, final secret.Text) (Issued, error) {
	code, err := s.Code(final)
	if err != nil {
		return Issued{}, err
	}
	who, refresh, err := a.redeemCode(ctx, s, code)
	switch {
	case err != nil:
		return Issued{}, err
	case who.Tenant != s.Tenant || who.UPN == "":
		return Issued{}, prterr.New(prterr.Denied, "the user of the page is not one of the device's tenant")
	case refresh.Empty():
		return Issued{}, BadAnswer(idpName, "refresh_token is missing")
	}
	got, err := a.request(ctx, s.Tenant, who.UPN, &tpmv1.Credential{Kind: &tpmv1.Credential_RefreshToken{RefreshToken: refresh.Reveal()}})
	if err != nil {
		return Issued{}, err
	}
	got.Kind = KindAtPage(got.Identity)
	return got, nil
}

// redeemCode redeems the code of a page as the broker.
func (a *Authority) redeemCode(ctx context.Context, s signinpage.State, code secret.Text) (Identity, secret.Text, error) {
	r, err := call(ctx, a.timeout, a.grants.RequestTokens, &idpv1.RequestTokensRequest{
		Tenant: string(s.Tenant), Protocol: idpv1.Protocol_PROTOCOL_V1, ClientId: s.Client, Scope: "openid",
		Grant: &idpv1.RequestTokensRequest_AuthorizationCode{AuthorizationCode: &idpv1.AuthorizationCodeGrant{
			Code: code.Reveal(), RedirectUri: s.Redirect, CodeVerifier: s.Verifier,
		}},
	})
	if err != nil {
		return Identity{}, secret.Text{}, Stranger(idpName, err)
	}
	t := r.GetTokens()
	switch {
	case t == nil:
		return Identity{}, secret.Text{}, BadAnswer(idpName, "it has no tokens")
	case t.GetRefreshToken() != "" && !artefact.Opaque(t.GetRefreshToken(), artefact.MaxPRT):
		return Identity{}, secret.Text{}, BadAnswer(idpName, "refresh_token is too long or has a character that is not allowed")
	}
	who, err := ReadIDToken(t.GetIdToken())
	return who, secret.NewText(t.GetRefreshToken()), err
}
