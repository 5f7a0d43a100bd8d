package server

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/keystore"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/prtkey"
)

// maxKind bounds the name of a kind of credential, in bytes.
const maxKind = 32

// PRTKeys serves PRTKeyService.
type PRTKeys struct {
	tpmv1.UnimplementedPRTKeyServiceServer
	Keys *prtkey.Keys
}

// owner is the caller, as its certificate names it, with the partition it names.
func owner(ctx context.Context, p *tpmv1.Partition) (keystore.Owner, error) {
	tenant, err := ids.ParseTenant(p.GetTenantId())
	if err != nil {
		return keystore.Owner{}, prterr.New(prterr.Invalid, "partition.tenant_id: %v", err)
	}
	user, err := ids.ParseUser(p.GetUserId())
	if err != nil {
		return keystore.Owner{}, prterr.New(prterr.Invalid, "partition.user_id: %v", err)
	}
	kind := p.GetCredentialKind()
	if kind == "" || len(kind) > maxKind {
		return keystore.Owner{}, prterr.New(prterr.Invalid, "partition.credential_kind: give 1 to %d bytes", maxKind)
	}
	return keystore.Owner{Caller: rpc.Caller(ctx), Tenant: tenant, User: user, Kind: kind}, nil
}

func sessionKey(ctx context.Context, p *tpmv1.Partition, k *tpmv1.SealedSessionKey) (prtkey.SessionKey, error) {
	o, err := owner(ctx, p)
	return prtkey.SessionKey{Owner: o, Sealed: k.GetSealed()}, err
}

func credential(c *tpmv1.Credential) prtkey.Credential {
	return prtkey.Credential{
		Password: secret.NewText(c.GetPassword()), SAMLAssertion: secret.NewText(c.GetSamlAssertion()), RefreshToken: secret.NewText(c.GetRefreshToken()),
	}
}

// SignPRTRequest signs a request for a PRT.
func (s *PRTKeys) SignPRTRequest(ctx context.Context, r *tpmv1.SignPRTRequestRequest) (*tpmv1.SignPRTRequestResponse, error) {
	token, err := s.Keys.SignPRTRequest(ctx, prtkey.PRTRequest{
		Caller: rpc.Caller(ctx), UPN: r.GetUserPrincipalName(), Credential: credential(r.GetCredential()), Nonce: r.GetRequestNonce(),
	})
	if err != nil {
		return nil, err
	}
	return &tpmv1.SignPRTRequestResponse{Request: token}, nil
}

// ImportSessionKey imports the session key of a PRT answer.
func (s *PRTKeys) ImportSessionKey(ctx context.Context, r *tpmv1.ImportSessionKeyRequest) (*tpmv1.ImportSessionKeyResponse, error) {
	o, err := owner(ctx, r.GetPartition())
	if err != nil {
		return nil, err
	}
	sealed, err := s.Keys.ImportSessionKey(ctx, o, r.GetSessionKeyJwe())
	if err != nil {
		return nil, err
	}
	return &tpmv1.ImportSessionKeyResponse{SessionKey: &tpmv1.SealedSessionKey{Sealed: sealed}}, nil
}

// ProtectPRT seals a PRT.
func (s *PRTKeys) ProtectPRT(ctx context.Context, r *tpmv1.ProtectPRTRequest) (*tpmv1.ProtectPRTResponse, error) {
	o, err := owner(ctx, r.GetPartition())
	if err != nil {
		return nil, err
	}
	sealed, err := s.Keys.ProtectPRT(ctx, o, r.GetPrt())
	if err != nil {
		return nil, err
	}
	return &tpmv1.ProtectPRTResponse{SealedPrt: &tpmv1.SealedPRT{Sealed: sealed}}, nil
}

// SignPRTRenewal signs a renewal.
func (s *PRTKeys) SignPRTRenewal(ctx context.Context, r *tpmv1.SignPRTRenewalRequest) (*tpmv1.SignPRTRenewalResponse, error) {
	key, err := sessionKey(ctx, r.GetPartition(), r.GetSessionKey())
	if err != nil {
		return nil, err
	}
	token, err := s.Keys.SignRenewal(ctx, key, prtkey.Renewal{
		PRT: prtkey.PRT{Clear: r.GetPrt(), Sealed: r.GetSealedPrt().GetSealed()}, Nonce: r.GetRequestNonce(), UPN: r.GetUserPrincipalName(), Credential: credential(r.GetCredential()),
	})
	if err != nil {
		return nil, err
	}
	return &tpmv1.SignPRTRenewalResponse{Request: token}, nil
}

// OpenPRTAnswer opens the answer to a renewal.
func (s *PRTKeys) OpenPRTAnswer(ctx context.Context, r *tpmv1.OpenPRTAnswerRequest) (*tpmv1.OpenPRTAnswerResponse, error) {
	key, err := sessionKey(ctx, r.GetPartition(), r.GetSessionKey())
	if err != nil {
		return nil, err
	}
	a, err := s.Keys.OpenPRTAnswer(ctx, key, r.GetAnswer())
	if err != nil {
		return nil, err
	}
	return &tpmv1.OpenPRTAnswerResponse{
		Prt: a.RefreshToken.Reveal(), PrtExpiresIn: a.RefreshTokenExpiresIn,
		SessionKeyJwe: a.SessionKeyJWE, IdToken: a.IDToken.Reveal(),
	}, nil
}

// SignTokenRequest signs an app-token request.
func (s *PRTKeys) SignTokenRequest(ctx context.Context, r *tpmv1.SignTokenRequestRequest) (*tpmv1.SignTokenRequestResponse, error) {
	key, err := sessionKey(ctx, r.GetPartition(), r.GetSessionKey())
	if err != nil {
		return nil, err
	}
	token, err := s.Keys.SignTokenRequest(ctx, key, prtkey.TokenRequest{
		Client: ids.ClientID(r.GetClientId()), Resource: r.GetResource(), RedirectURI: r.GetRedirectUri(), Nonce: r.GetRequestNonce(),
		PRT: prtkey.PRT{Clear: r.GetPrt(), Sealed: r.GetSealedPrt().GetSealed()}, SealedRefreshToken: r.GetRefreshToken().GetSealed(), WantPRT: r.GetRequestNewPrt(),
	})
	if err != nil {
		return nil, err
	}
	return &tpmv1.SignTokenRequestResponse{Request: token}, nil
}

// OpenTokenAnswer opens the answer to an app-token request.
func (s *PRTKeys) OpenTokenAnswer(ctx context.Context, r *tpmv1.OpenTokenAnswerRequest) (*tpmv1.OpenTokenAnswerResponse, error) {
	key, err := sessionKey(ctx, r.GetPartition(), r.GetSessionKey())
	if err != nil {
		return nil, err
	}
	a, err := s.Keys.OpenTokenAnswer(ctx, key, ids.ClientID(r.GetClientId()), r.GetAnswer(), r.GetDiscardRefreshToken())
	if err != nil {
		return nil, err
	}
	resp := &tpmv1.OpenTokenAnswerResponse{
		AccessToken: a.AccessToken.Reveal(), ExpiresIn: a.ExpiresIn, Resource: a.Resource, Scope: a.Scope, IdToken: a.IDToken.Reveal(),
		NewPrt: a.PRT.Reveal(), NewPrtExpiresIn: a.PRTExpiresIn,
	}
	if len(a.SealedRefreshToken) > 0 {
		resp.RefreshToken = &tpmv1.SealedToken{Sealed: a.SealedRefreshToken}
	}
	return resp, nil
}

// SignPRTCookie signs a PRT cookie.
func (s *PRTKeys) SignPRTCookie(ctx context.Context, r *tpmv1.SignPRTCookieRequest) (*tpmv1.SignPRTCookieResponse, error) {
	key, err := sessionKey(ctx, r.GetPartition(), r.GetSessionKey())
	if err != nil {
		return nil, err
	}
	cookie, err := s.Keys.SignCookie(ctx, key, prtkey.PRT{Clear: r.GetPrt(), Sealed: r.GetSealedPrt().GetSealed()}, r.GetRequestNonce())
	if err != nil {
		return nil, err
	}
	return &tpmv1.SignPRTCookieResponse{Cookie: cookie}, nil
}

// SignDeviceCookie signs a device's proof for a sign-in page.
func (s *PRTKeys) SignDeviceCookie(ctx context.Context, r *tpmv1.SignDeviceCookieRequest) (*tpmv1.SignDeviceCookieResponse, error) {
	cookie, err := s.Keys.SignDeviceCookie(ctx, rpc.Caller(ctx), r.GetRequestNonce())
	if err != nil {
		return nil, err
	}
	return &tpmv1.SignDeviceCookieResponse{Cookie: cookie}, nil
}
