package server

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/consent"
	"github.com/lockstep-sso/lockstep/services/idp/internal/directory"
	"github.com/lockstep-sso/lockstep/services/idp/internal/issuance"
	"github.com/lockstep-sso/lockstep/services/idp/internal/outbox"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// Admin serves AdminService.
type Admin struct {
	directoryv1.UnimplementedAdminServiceServer
	Directory *directory.Directory
	Keys      *issuance.Authority
	Consents  *consent.Service
	// Log gets a row for every change of what somebody signs in with.
	Log   *signinlog.Log
	Clock clock.Clock
	// Outbox tells users of keys that sign in as them.
	Outbox *outbox.Box
}

// SetUserEnabled enables or disables a user.
func (s *Admin) SetUserEnabled(ctx context.Context, req *directoryv1.SetUserEnabledRequest) (*directoryv1.SetUserEnabledResponse, error) {
	upn, err := userName(req.GetUserPrincipalName())
	if err != nil {
		return nil, err
	}
	if err := s.Directory.SetUserEnabled(ctx, upn, req.GetEnabled()); err != nil {
		return nil, err
	}
	return &directoryv1.SetUserEnabledResponse{}, nil
}

// SetUserPassword sets a user's password.
func (s *Admin) SetUserPassword(ctx context.Context, req *directoryv1.SetUserPasswordRequest) (*directoryv1.SetUserPasswordResponse, error) {
	upn, err := userName(req.GetUserPrincipalName())
	if err != nil {
		return nil, err
	}
	if err := s.Directory.SetPassword(ctx, upn, secret.NewText(req.GetPassword())); err != nil {
		return nil, err
	}
	return &directoryv1.SetUserPasswordResponse{}, nil
}

// CreateUser adds a user.
func (s *Admin) CreateUser(ctx context.Context, req *directoryv1.CreateUserRequest) (*directoryv1.CreateUserResponse, error) {
	upn, err := userName(req.GetUserPrincipalName())
	if err != nil {
		return nil, err
	}
	u := tenant.User{
		UPN: upn, DisplayName: req.GetDisplayName(), Password: secret.NewText(req.GetPassword()), Enabled: true, MayJoin: !req.GetNoJoin(),
		ImmutableID: req.GetImmutableId(), GivenName: req.GetGivenName(), Surname: req.GetSurname(), Mail: req.GetMail(),
		JobTitle: req.GetJobTitle(), Administrator: req.GetAdministrator(), MustChange: req.GetMustChangePassword(),
	}
	if req.GetUserId() != "" {
		if u.ID, err = ids.ParseUser(req.GetUserId()); err != nil {
			return nil, prterr.New(prterr.Invalid, "user_id is not right: %v", err)
		}
	}
	id, err := s.Directory.CreateUser(ctx, u)
	if err != nil {
		return nil, err
	}
	return &directoryv1.CreateUserResponse{UserId: string(id)}, nil
}

// DeleteUser removes a user.
func (s *Admin) DeleteUser(ctx context.Context, req *directoryv1.DeleteUserRequest) (*directoryv1.DeleteUserResponse, error) {
	upn, err := userName(req.GetUserPrincipalName())
	if err != nil {
		return nil, err
	}
	if err := s.Directory.DeleteUser(ctx, upn); err != nil {
		return nil, err
	}
	return &directoryv1.DeleteUserResponse{}, nil
}

// RevokeSessions makes what a user got before worthless.
func (s *Admin) RevokeSessions(ctx context.Context, req *directoryv1.RevokeSessionsRequest) (*directoryv1.RevokeSessionsResponse, error) {
	upn, err := userName(req.GetUserPrincipalName())
	if err != nil {
		return nil, err
	}
	if err := s.Directory.RevokeSessions(ctx, upn); err != nil {
		return nil, err
	}
	return &directoryv1.RevokeSessionsResponse{}, nil
}

// RotateKeys takes new keys into use.
func (s *Admin) RotateKeys(context.Context, *directoryv1.RotateKeysRequest) (*directoryv1.RotateKeysResponse, error) {
	kid, err := s.Keys.Rotate()
	if err != nil {
		return nil, err
	}
	return &directoryv1.RotateKeysResponse{Kid: kid}, nil
}
