package server

import (
	"context"
	"encoding/json"
	"log/slog"

	"github.com/lockstep-sso/lockstep/pkg/authority/artefact"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/pkg/sid"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/cloudap"
)

// tokens lets the token broker use the PRT.
type tokens struct {
	authorityv1.UnimplementedTokenAuthorityServiceServer
	cloudAP *cloudap.CloudAP
}

func (t tokens) DescribeAccount(_ context.Context, req *authorityv1.DescribeAccountRequest) (*authorityv1.DescribeAccountResponse, error) {
	session, err := cloudap.Session(req.GetLogonSession())
	if err != nil {
		return nil, err
	}
	owners, err := readOwners(req.GetOwners())
	if err != nil {
		return nil, err
	}
	p, err := t.cloudAP.Account(session)
	if err != nil {
		return nil, err
	}
	return &authorityv1.DescribeAccountResponse{
		Gone:     t.gone(owners),
		TenantId: string(p.Tenant), UserId: string(p.User), UserPrincipalName: string(p.UPN),
		DisplayName: p.DisplayName, CredentialKind: string(p.Kind),
		Sid: string(p.SID), NoPrt: p.NoPRT, MembershipId: string(p.Membership),
	}, nil
}

// maxOwners bounds the users whom the broker asks about at once.
const maxOwners = 256

func readOwners(texts []string) ([]sid.SID, error) {
	if len(texts) > maxOwners {
		return nil, prterr.New(prterr.Invalid, "owners: at most %d", maxOwners)
	}
	owners := make([]sid.SID, len(texts))
	for i, text := range texts {
		var err error
		if owners[i], err = sid.Parse(text); err != nil {
			return nil, prterr.New(prterr.Invalid, "owners: %v", err)
		}
	}
	return owners, nil
}

func (t tokens) gone(owners []sid.SID) (gone []string) {
	for _, s := range owners {
		if t.cloudAP.LocalRemoved(s) {
			gone = append(gone, string(s))
		}
	}
	return gone
}

func (t tokens) SignTokenRequest(ctx context.Context, req *authorityv1.SignTokenRequestRequest) (*authorityv1.SignTokenRequestResponse, error) {
	session, err := cloudap.Session(req.GetLogonSession())
	if err != nil {
		return nil, err
	}
	r, err := readTokenRequest(req)
	if err != nil {
		return nil, err
	}
	signed, err := t.cloudAP.SignTokenRequest(ctx, session, r)
	if err != nil {
		return nil, err
	}
	return &authorityv1.SignTokenRequestResponse{Request: signed}, nil
}

func readTokenRequest(req *authorityv1.SignTokenRequestRequest) (cloudap.TokenRequest, error) {
	client, err := ids.ParseClient(req.GetClientId())
	if err != nil {
		return cloudap.TokenRequest{}, prterr.New(prterr.Invalid, "client_id: %v", err)
	}
	sealed := req.GetRefreshToken().GetSealed()
	switch {
	case !artefact.Line(req.GetResource(), artefact.MaxURI):
		return cloudap.TokenRequest{}, prterr.New(prterr.Invalid, "resource is too long or has a character that is not allowed")
	case req.GetRedirectUri() == "" || !artefact.Line(req.GetRedirectUri(), artefact.MaxURI):
		return cloudap.TokenRequest{}, prterr.New(prterr.Invalid, "redirect_uri is empty, too long or has a character that is not allowed")
	case !artefact.Opaque(req.GetRequestNonce(), artefact.MaxNonce):
		return cloudap.TokenRequest{}, prterr.New(prterr.Invalid, "request_nonce is empty, too long or has a character that is not allowed")
	case req.GetRefreshToken() != nil && (len(sealed) == 0 || len(sealed) > artefact.MaxSealed):
		return cloudap.TokenRequest{}, prterr.New(prterr.Invalid, "refresh_token is empty or too long")
	}
	return cloudap.TokenRequest{
		Client: client, Resource: req.GetResource(), RedirectURI: req.GetRedirectUri(), Nonce: req.GetRequestNonce(), RefreshToken: sealed,
	}, nil
}

func (t tokens) OpenTokenAnswer(ctx context.Context, req *authorityv1.OpenTokenAnswerRequest) (*authorityv1.OpenTokenAnswerResponse, error) {
	session, err := cloudap.Session(req.GetLogonSession())
	if err != nil {
		return nil, err
	}
	client, err := ids.ParseClient(req.GetClientId())
	if err != nil {
		return nil, prterr.New(prterr.Invalid, "client_id: %v", err)
	}
	if !artefact.Opaque(req.GetAnswer(), artefact.MaxToken) {
		return nil, prterr.New(prterr.Invalid, "answer is not a compact token of at most %d bytes", artefact.MaxToken)
	}
	answer, err := t.cloudAP.OpenTokenAnswer(ctx, session, client, req.GetAnswer())
	if err != nil {
		return nil, err
	}
	return &authorityv1.OpenTokenAnswerResponse{Answer: answer}, nil
}

func (t tokens) OfferPRT(ctx context.Context, req *authorityv1.OfferPRTRequest) (*authorityv1.OfferPRTResponse, error) {
	session, err := cloudap.Session(req.GetLogonSession())
	if err != nil {
		return nil, err
	}
	life, ok := artefact.Life(req.GetExpiresIn())
	switch {
	case !artefact.Opaque(req.GetPrt(), artefact.MaxPRT):
		return nil, prterr.New(prterr.Invalid, "prt is empty, too long or has a character that is not allowed")
	case !ok:
		return nil, prterr.New(prterr.Invalid, "expires_in must be 1 second to 400 days, in seconds")
	}
	if err := t.cloudAP.OfferPRT(ctx, session, secret.NewText(req.GetPrt()), life); err != nil {
		return nil, err
	}
	return &authorityv1.OfferPRTResponse{}, nil
}

func (t tokens) BeginInteraction(ctx context.Context, req *authorityv1.BeginInteractionRequest) (*authorityv1.BeginInteractionResponse, error) {
	session, err := cloudap.Session(req.GetLogonSession())
	if err != nil {
		return nil, err
	}
	if n := len(req.GetClaims()); n > artefact.MaxClaims || n > 0 && !json.Valid([]byte(req.GetClaims())) {
		return nil, prterr.New(prterr.Invalid, "claims is not JSON of at most %d bytes", artefact.MaxClaims)
	}
	var i cloudap.Interaction
	if req.GetClientId()+req.GetResource() == "" {
		i, err = t.cloudAP.BeginInteraction(ctx, session, req.GetClaims(), req.GetSignIn())
	} else {
		i, err = t.beginConsent(ctx, session, req)
	}
	if err != nil {
		return nil, err
	}
	return &authorityv1.BeginInteractionResponse{Interaction: interaction(i)}, nil
}

func (t tokens) beginConsent(ctx context.Context, session secret.Text, req *authorityv1.BeginInteractionRequest) (cloudap.Interaction, error) {
	client, err := ids.ParseClient(req.GetClientId())
	switch {
	case err != nil:
		return cloudap.Interaction{}, prterr.New(prterr.Invalid, "client_id: %v", err)
	case req.GetResource() == "" || !artefact.Line(req.GetResource(), artefact.MaxURI):
		return cloudap.Interaction{}, prterr.New(prterr.Invalid, "resource is empty, too long or has a character that is not allowed")
	case req.GetClaims() != "" || req.GetSignIn():
		return cloudap.Interaction{}, prterr.New(prterr.Invalid, "claims and sign_in do not go with client_id: a page for consent gives no proof")
	}
	return t.cloudAP.BeginConsent(ctx, session, client, req.GetResource())
}

func (t tokens) CompleteInteraction(ctx context.Context, req *authorityv1.CompleteInteractionRequest) (*authorityv1.CompleteInteractionResponse, error) {
	session, err := cloudap.Session(req.GetLogonSession())
	if err != nil {
		return nil, err
	}
	end, err := readEnd(req.GetInteractionId(), req.GetFinalUri())
	if err != nil {
		return nil, err
	}
	if err := t.cloudAP.CompleteInteraction(ctx, session, end.ID, end.Final); err != nil {
		return nil, err
	}
	return &authorityv1.CompleteInteractionResponse{}, nil
}

// cookies makes PRT cookies.
type cookies struct {
	authorityv1.UnimplementedCookieAuthorityServiceServer
	cloudAP *cloudap.CloudAP
	log     *slog.Logger
}

// CreatePRTCookie logs every cookie with its caller: software that runs as the
// user can ask for one, so it must at least be seen.
func (c cookies) CreatePRTCookie(ctx context.Context, req *authorityv1.CreatePRTCookieRequest) (*authorityv1.CreatePRTCookieResponse, error) {
	session, err := cloudap.Session(req.GetLogonSession())
	if err != nil {
		return nil, err
	}
	cookie, err := c.cloudAP.CreateCookie(ctx, session, req.GetSignInUri())
	if err != nil {
		c.log.WarnContext(ctx, "PRT cookie refused", "caller", rpc.Caller(ctx), "kind", prterr.KindOf(err))
		return nil, err
	}
	c.log.InfoContext(ctx, "PRT cookie made", "caller", rpc.Caller(ctx))
	return &authorityv1.CreatePRTCookieResponse{Name: cookie.Name, Value: cookie.Value.Reveal()}, nil
}
