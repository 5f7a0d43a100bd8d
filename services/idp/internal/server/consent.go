package server

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// AnswerConsent takes the answer to what an application wants to be allowed.
func (s *SignIn) AnswerConsent(ctx context.Context, req *idpv1.AnswerConsentRequest) (*idpv1.AnswerConsentResponse, error) {
	o, err := s.SignIns.AnswerConsent(ctx, form(req), req.GetAccept(), req.GetForOrganization())
	if err != nil {
		return nil, err
	}
	return &idpv1.AnswerConsentResponse{Next: next(o)}, nil
}

// ListConsents lists what people allowed applications.
func (s *Read) ListConsents(ctx context.Context, req *directoryv1.ListConsentsRequest) (*directoryv1.ListConsentsResponse, error) {
	t, err := tenantID(req.GetTenantId())
	if err != nil {
		return nil, err
	}
	users, err := s.Directory.Users(ctx, t)
	if err != nil {
		return nil, err
	}
	names := map[ids.UserID]ids.UPN{"": ""}
	for _, u := range users {
		names[u.ID] = u.UPN
	}
	all, err := s.Consents.List(ctx, t)
	if err != nil {
		return nil, err
	}
	out := &directoryv1.ListConsentsResponse{}
	for _, g := range all {
		name, there := names[g.User]
		if !there {
			continue // of a user who was deleted: it is nobody's
		}
		out.Consents = append(out.Consents, &directoryv1.Consent{
			ClientId: string(g.App), UserPrincipalName: string(name), Resource: g.Resource, Scopes: g.Scopes,
		})
	}
	return out, nil
}

// RevokeConsent takes back what was allowed to an application.
func (s *Admin) RevokeConsent(ctx context.Context, req *directoryv1.RevokeConsentRequest) (*directoryv1.RevokeConsentResponse, error) {
	t, err := tenantID(req.GetTenantId())
	if err != nil {
		return nil, err
	}
	app, err := ids.ParseClient(req.GetClientId())
	if err != nil {
		return nil, prterr.New(prterr.Invalid, "client_id is not right: %v", err)
	}
	var user ids.UserID
	if req.GetUserPrincipalName() != "" {
		upn, err := userName(req.GetUserPrincipalName())
		if err != nil {
			return nil, err
		}
		u, err := s.Directory.UserByName(ctx, upn)
		if err != nil {
			return nil, err
		}
		user = u.ID
	}
	if err := s.Consents.Revoke(ctx, t, app, user); err != nil {
		return nil, err
	}
	return &directoryv1.RevokeConsentResponse{}, nil
}
