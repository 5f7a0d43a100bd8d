package server

import (
	"context"
	"fmt"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/directory"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// PutApplication adds or replaces an application.
func (s *Admin) PutApplication(ctx context.Context, req *directoryv1.PutApplicationRequest) (*directoryv1.PutApplicationResponse, error) {
	t, err := tenantID(req.GetTenantId())
	if err != nil {
		return nil, err
	}
	r, err := registrationOf(req)
	if err != nil {
		return nil, err
	}
	if err := s.Directory.PutApplication(ctx, t, r, req.GetApplication().GetConfidential()); err != nil {
		return nil, err
	}
	return &directoryv1.PutApplicationResponse{}, nil
}

func registrationOf(req *directoryv1.PutApplicationRequest) (directory.Registration, error) {
	a := req.GetApplication()
	id, err := ids.ParseClient(a.GetClientId())
	if err != nil {
		return directory.Registration{}, prterr.New(prterr.Invalid, "application.client_id is not right: %v", err)
	}
	r := directory.Registration{Application: tenant.Application{
		ID: id, Name: a.GetName(), RedirectURIs: a.GetRedirectUris(), SPARedirectURIs: a.GetSpaRedirectUris(),
		PostLogoutURIs: a.GetPostLogoutRedirectUris(), Resources: a.GetResources(), Family: a.GetFamily(), AppRoles: a.GetAppRoles(),
		Consent: tenant.Consent(a.GetConsent()),
	}}
	for _, text := range req.GetClientSecrets() {
		r.Secrets = append(r.Secrets, secret.NewText(text))
	}
	for i, der := range req.GetCertificates() {
		cert, err := directory.ParseCertificate(fmt.Sprintf("certificates[%d]", i), der)
		if err != nil {
			return r, err
		}
		r.Certificates = append(r.Certificates, cert)
	}
	if uri := a.GetIdentifierUri(); uri != "" {
		r.Resource = &tenant.Resource{URI: uri, Scopes: a.GetScopes(), Version: int(a.GetTokenVersion())}
	} else if len(a.GetScopes()) > 0 || a.GetTokenVersion() != 0 {
		return r, prterr.New(prterr.Invalid, "application.identifier_uri is missing: scopes and token_version are for an application that is a resource")
	}
	return r, nil
}

// DeleteApplication removes an application.
func (s *Admin) DeleteApplication(ctx context.Context, req *directoryv1.DeleteApplicationRequest) (*directoryv1.DeleteApplicationResponse, error) {
	t, err := tenantID(req.GetTenantId())
	if err != nil {
		return nil, err
	}
	id, err := ids.ParseClient(req.GetClientId())
	if err != nil {
		return nil, prterr.New(prterr.Invalid, "client_id is not right: %v", err)
	}
	if err := s.Directory.DeleteApplication(ctx, t, id); err != nil {
		return nil, err
	}
	// Another application that takes the id begins with nothing.
	if err := s.Consents.Revoke(ctx, t, id, ""); err != nil && prterr.KindOf(err) != prterr.NotFound {
		return nil, err
	}
	return &directoryv1.DeleteApplicationResponse{}, nil
}
