package aadplugin

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/authority/artefact"
	"github.com/lockstep-sso/lockstep/pkg/authority/signinpage"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	cloudapv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/cloudap/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// tokens are what a code was redeemed for.
type tokens struct {
	who             identity
	access, refresh secret.Text
}

// pageClaims are what the token of a page has to say: a second factor that was fresh
// already when the page was opened is named in it only where it is asked for.
func pageClaims(s signinpage.State) string {
	switch cloudapv1.PagePurpose(s.Purpose) {
	case cloudapv1.PagePurpose_PAGE_PURPOSE_PROVISION_HELLO, cloudapv1.PagePurpose_PAGE_PURPOSE_RESET_PIN:
		return `{"access_token":{"amr":{"essential":true,"values":["` + signinpage.FreshFactor + `"]}}}`
	case cloudapv1.PagePurpose_PAGE_PURPOSE_UNSPECIFIED, cloudapv1.PagePurpose_PAGE_PURPOSE_SIGN_IN, cloudapv1.PagePurpose_PAGE_PURPOSE_UPGRADE,
		cloudapv1.PagePurpose_PAGE_PURPOSE_CONSENT:
	}
	return ""
}

// redeemCode redeems the code of a page, as the application that the page was for.
func (c cloud) redeemCode(ctx context.Context, s signinpage.State, code secret.Text) (tokens, error) {
	a, err := call(ctx, c.timeout, c.grants.RequestTokens, &idpv1.RequestTokensRequest{
		Tenant: string(s.Tenant), Protocol: idpv1.Protocol_PROTOCOL_V1, ClientId: s.Client, Scope: "openid", Claims: pageClaims(s),
		Grant: &idpv1.RequestTokensRequest_AuthorizationCode{AuthorizationCode: &idpv1.AuthorizationCodeGrant{
			Code: code.Reveal(), RedirectUri: s.Redirect, CodeVerifier: s.Verifier,
		}},
	})
	if err != nil {
		return tokens{}, stranger(idpName, err)
	}
	t := a.GetTokens()
	switch {
	case t == nil:
		return tokens{}, badAnswer(idpName, "it has no tokens")
	case !artefact.Line(t.GetAccessToken(), artefact.MaxToken):
		return tokens{}, badAnswer(idpName, "access_token is too long or has a character that is not allowed")
	case t.GetRefreshToken() != "" && !artefact.Opaque(t.GetRefreshToken(), artefact.MaxPRT):
		return tokens{}, badAnswer(idpName, "refresh_token is too long or has a character that is not allowed")
	}
	who, err := readIDToken(t.GetIdToken())
	return tokens{who: who, access: secret.NewText(t.GetAccessToken()), refresh: secret.NewText(t.GetRefreshToken())}, err
}

// registerHello registers the public half of a Hello key.
func (c cloud) registerHello(ctx context.Context, access secret.Text, public []byte) error {
	_, err := call(ctx, c.timeout, c.devices.RegisterHelloKey, &idpv1.RegisterHelloKeyRequest{AccessToken: access.Reveal(), Key: public})
	return stranger(idpName, err)
}

// pinResetKey is the key of the PIN reset service, nil when there is none.
func (c cloud) pinResetKey(ctx context.Context) ([]byte, error) {
	a, err := call(ctx, c.timeout, c.pinReset.DescribePINReset, &idpv1.DescribePINResetRequest{})
	if prterr.KindOf(err) == prterr.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, stranger(idpName, err)
	}
	if len(a.GetKey()) > artefact.MaxCert {
		return nil, badAnswer(idpName, "the key of the PIN reset service is too long")
	}
	return a.GetKey(), nil
}

// openReset has the PIN reset service open the secret of a Hello key.
func (c cloud) openReset(ctx context.Context, access secret.Text, wrapped []byte, keyID string) (secret.Bytes, error) {
	a, err := call(ctx, c.timeout, c.pinReset.OpenResetSecret, &idpv1.OpenResetSecretRequest{
		AccessToken: access.Reveal(), WrappedResetSecret: wrapped, KeyId: keyID,
	})
	if err != nil {
		return secret.Bytes{}, stranger(idpName, err)
	}
	if n := len(a.GetResetSecret()); n == 0 || n > artefact.MaxName {
		return secret.Bytes{}, badAnswer(idpName, "reset_secret is empty or too long")
	}
	return secret.NewBytes(a.GetResetSecret()), nil
}
