package aadplugin

import (
	"context"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/authority/artefact"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
)

const tpmName = "tpm-agent"

// device is the rest of this device: its keys in the tpm-agent and its
// registration in dsreg. Nothing of it is ever kept here.
type device struct {
	keys    tpmv1.PRTKeyServiceClient
	hello   tpmv1.HelloKeyServiceClient
	state   dsregv1.DeviceStateServiceClient
	timeout time.Duration
}

// tenant the device is joined to. A registered device has a tenant too, but people
// sign in to it with other accounts: CloudAP gets no PRT of that tenant.
func (d device) tenant(ctx context.Context) (ids.TenantID, error) {
	s, err := call(ctx, d.timeout, d.state.GetDeviceState, &dsregv1.GetDeviceStateRequest{})
	if err != nil {
		return "", err
	}
	switch s.GetJoinState() {
	case dsregv1.JoinState_JOIN_STATE_JOINED, dsregv1.JoinState_JOIN_STATE_HYBRID:
	case dsregv1.JoinState_JOIN_STATE_REGISTERED:
		return "", prterr.New(prterr.Conflict, "device is registered, not joined: sign in to it with an account of its own, the work account is for apps only")
	default:
		return "", prterr.New(prterr.Conflict, "device is not joined: run lockstep join")
	}
	t, err := ids.ParseTenant(s.GetTenantId())
	if err != nil {
		return "", badAnswer("dsreg", "tenant_id is not a GUID")
	}
	return t, nil
}

// signRequest has a PRT request built and signed with the device key.
func (d device) signRequest(ctx context.Context, upn ids.UPN, p proof, nonce string) (string, error) {
	a, err := call(ctx, d.timeout, d.keys.SignPRTRequest, &tpmv1.SignPRTRequestRequest{
		UserPrincipalName: string(upn), Credential: p.credential(), RequestNonce: nonce,
	})
	if err != nil {
		return "", err
	}
	return signed(a.GetRequest())
}

// signHello has a PRT request built around a Hello assertion: the Hello key signs the
// one, the device key the other.
func (d device) signHello(ctx context.Context, upn ids.UPN, h helloPIN, nonce string) (string, error) {
	a, err := call(ctx, d.timeout, d.hello.SignHelloPRTRequest, &tpmv1.SignHelloPRTRequestRequest{
		User: &tpmv1.HelloUser{TenantId: string(h.tenant), UserId: string(h.user)}, UserPrincipalName: string(upn), Pin: h.pin.Reveal(), RequestNonce: nonce,
	})
	if err != nil {
		return "", err
	}
	return signed(a.GetRequest())
}

// signDeviceCookie has the proof built and signed that a page is opened on this
// device, by nobody in particular.
func (d device) signDeviceCookie(ctx context.Context, nonce string) (string, error) {
	a, err := call(ctx, d.timeout, d.keys.SignDeviceCookie, &tpmv1.SignDeviceCookieRequest{RequestNonce: nonce})
	if err != nil {
		return "", err
	}
	return signed(a.GetCookie())
}

// signRenewal has a renewal built and signed with the session key.
func (d device) signRenewal(ctx context.Context, c cached, upn ids.UPN, p proof, nonce string) (string, error) {
	req := &tpmv1.SignPRTRenewalRequest{
		Partition: c.partition(), SessionKey: c.sessionKey(), Prt: c.prt.Reveal(), SealedPrt: c.sealedPRT, RequestNonce: nonce, Credential: p.credential(),
	}
	if req.GetCredential() != nil {
		req.UserPrincipalName = string(upn)
	}
	a, err := call(ctx, d.timeout, d.keys.SignPRTRenewal, req)
	if err != nil {
		return "", err
	}
	return signed(a.GetRequest())
}

// openRenewal has the answer to a renewal opened.
func (d device) openRenewal(ctx context.Context, c cached, answer string) (issued, error) {
	a, err := call(ctx, d.timeout, d.keys.OpenPRTAnswer, &tpmv1.OpenPRTAnswerRequest{
		Partition: c.partition(), SessionKey: c.sessionKey(), Answer: answer,
	})
	if err != nil {
		return issued{}, err
	}
	return checkIssued(a.GetPrt(), a.GetPrtExpiresIn(), a.GetSessionKeyJwe(), a.GetIdToken())
}

// signToken has an app-token request built and signed with the session key.
func (d device) signToken(ctx context.Context, c cached, r tokenRequest) (string, error) {
	req := &tpmv1.SignTokenRequestRequest{
		Partition: c.partition(), SessionKey: c.sessionKey(), ClientId: string(r.client), Resource: r.resource,
		RedirectUri: r.redirectURI, RequestNonce: r.nonce, RequestNewPrt: r.newPRT,
		Grant: &tpmv1.SignTokenRequestRequest_Prt{Prt: c.prt.Reveal()},
	}
	if c.sealedPRT != nil {
		req.Grant = &tpmv1.SignTokenRequestRequest_SealedPrt{SealedPrt: c.sealedPRT}
	}
	if r.refreshToken != nil {
		req.Grant = &tpmv1.SignTokenRequestRequest_RefreshToken{RefreshToken: &tpmv1.SealedToken{Sealed: r.refreshToken}}
	}
	a, err := call(ctx, d.timeout, d.keys.SignTokenRequest, req)
	if err != nil {
		return "", err
	}
	return signed(a.GetRequest())
}

// openToken has the answer to an app-token request opened. What comes back was
// said by the identity provider, so it is checked here; the message itself is
// passed on as it is, because the contract embeds it. A refresh token that nobody wants
// is discarded.
func (d device) openToken(ctx context.Context, c cached, client ids.ClientID, answer string, discard bool) (*tpmv1.OpenTokenAnswerResponse, error) {
	a, err := call(ctx, d.timeout, d.keys.OpenTokenAnswer, &tpmv1.OpenTokenAnswerRequest{
		Partition: c.partition(), SessionKey: c.sessionKey(), ClientId: string(client), Answer: answer, DiscardRefreshToken: discard,
	})
	if err != nil {
		return nil, err
	}
	_, lifeOK := artefact.Life(a.GetExpiresIn())
	_, newLifeOK := artefact.Life(a.GetNewPrtExpiresIn())
	switch {
	case !artefact.Line(a.GetAccessToken(), artefact.MaxToken):
		return nil, badAnswer(idpName, "access_token is too long or has a character that is not allowed")
	case a.GetAccessToken() != "" && !lifeOK:
		return nil, badAnswer(idpName, "expires_in is not 1 second to 400 days")
	case len(a.GetIdToken()) > artefact.MaxToken || len(a.GetRefreshToken().GetSealed()) > artefact.MaxSealed:
		return nil, badAnswer(idpName, "id_token or refresh_token is too long")
	case a.GetNewPrt() != "" && (!newLifeOK || !artefact.Opaque(a.GetNewPrt(), artefact.MaxPRT)):
		return nil, badAnswer(idpName, "the new PRT or its lifetime is malformed")
	}
	return a, nil
}

// signCookie has a PRT cookie built and signed with the session key.
func (d device) signCookie(ctx context.Context, c cached, nonce string) (string, error) {
	a, err := call(ctx, d.timeout, d.keys.SignPRTCookie, &tpmv1.SignPRTCookieRequest{
		Partition: c.partition(), SessionKey: c.sessionKey(), Prt: c.prt.Reveal(), SealedPrt: c.sealedPRT, RequestNonce: nonce,
	})
	if err != nil {
		return "", err
	}
	return signed(a.GetCookie())
}

func signed(token string) (string, error) {
	if !artefact.Opaque(token, artefact.MaxToken) {
		return "", badAnswer(tpmName, "it is not a compact token")
	}
	return token, nil
}

func (p proof) credential() *tpmv1.Credential {
	switch {
	case !p.assertion.Empty():
		return &tpmv1.Credential{Kind: &tpmv1.Credential_SamlAssertion{SamlAssertion: p.assertion.Reveal()}}
	case !p.password.Empty():
		return &tpmv1.Credential{Kind: &tpmv1.Credential_Password{Password: p.password.Reveal()}}
	case !p.refreshToken.Empty():
		return &tpmv1.Credential{Kind: &tpmv1.Credential_RefreshToken{RefreshToken: p.refreshToken.Reveal()}}
	default:
		return nil
	}
}

func (c cached) partition() *tpmv1.Partition {
	return &tpmv1.Partition{TenantId: string(c.key.Tenant), UserId: string(c.key.User), CredentialKind: string(c.key.Kind)}
}

func (c cached) sessionKey() *tpmv1.SealedSessionKey {
	return &tpmv1.SealedSessionKey{Sealed: c.sealed}
}
