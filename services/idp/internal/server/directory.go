package server

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/consent"
	"github.com/lockstep-sso/lockstep/services/idp/internal/directory"
	"github.com/lockstep-sso/lockstep/services/idp/internal/grants"
	"github.com/lockstep-sso/lockstep/services/idp/internal/methods"
	"github.com/lockstep-sso/lockstep/services/idp/internal/outbox"
	"github.com/lockstep-sso/lockstep/services/idp/internal/registration"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signin"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// Read serves ReadService.
type Read struct {
	directoryv1.UnimplementedReadServiceServer
	Directory *directory.Directory
	Tenants   *tenant.Set
	SignIns   SignInLog
	// Factors lists the second factors that wait.
	Factors *signin.Service
	// Gate collects the facts of a sign-in that nobody makes.
	Gate *grants.Gate
	// Consents are what people allowed applications.
	Consents *consent.Service
	// Outbox has what went to telephones.
	Outbox *outbox.Box
}

// ListTenants lists the tenants in the order of the file.
func (s *Read) ListTenants(context.Context, *directoryv1.ListTenantsRequest) (*directoryv1.ListTenantsResponse, error) {
	out := &directoryv1.ListTenantsResponse{}
	for _, t := range s.Tenants.All() {
		out.Tenants = append(out.Tenants, &directoryv1.Tenant{
			TenantId: string(t.ID), DisplayName: t.DisplayName, Domains: domainNames(t), Profile: string(t.Profile.Name),
		})
	}
	return out, nil
}

// ListUsers lists the users of a tenant.
func (s *Read) ListUsers(ctx context.Context, req *directoryv1.ListUsersRequest) (*directoryv1.ListUsersResponse, error) {
	t, err := tenantID(req.GetTenantId())
	if err != nil {
		return nil, err
	}
	users, err := s.Directory.Users(ctx, t)
	if err != nil {
		return nil, err
	}
	out := &directoryv1.ListUsersResponse{}
	for _, u := range users {
		home, known := s.Tenants.Home(u.UPN.Domain())
		out.Users = append(out.Users, &directoryv1.User{
			UserId: string(u.ID), UserPrincipalName: string(u.UPN), DisplayName: u.DisplayName, Enabled: u.Enabled, MayJoin: u.MayJoin,
			Administrator: u.Administrator, Federated: known && home.Domain.Federated != nil, Methods: factors(u),
			GivenName: u.GivenName, Surname: u.Surname, Mail: u.Mail, JobTitle: u.JobTitle, MustChangePassword: u.MustChange,
		})
	}
	return out, nil
}

// factors are the second factors of a user by the names of the sign-in page.
func factors(u store.User) []string {
	var out []string
	add := func(has bool, ids ...string) {
		if has {
			out = append(out, ids...)
		}
	}
	add(!u.TOTPSecret.Empty(), methods.IDCode)
	add(len(u.Push) > 0, methods.IDPush)
	add(u.Phone != "", methods.IDSMS, methods.IDVoice)
	return out
}

// ListDevices lists the devices of a tenant.
func (s *Read) ListDevices(ctx context.Context, req *directoryv1.ListDevicesRequest) (*directoryv1.ListDevicesResponse, error) {
	t, err := tenantID(req.GetTenantId())
	if err != nil {
		return nil, err
	}
	devices, err := s.Directory.Devices(ctx, t)
	if err != nil {
		return nil, err
	}
	out := &directoryv1.ListDevicesResponse{}
	for _, d := range devices {
		shown := &directoryv1.Device{
			DeviceId: string(d.ID), DisplayName: d.DisplayName, Enabled: d.Enabled, RegisteredBy: string(d.RegisteredByUPN),
			RegisteredAt: moment(d.RegisteredAt), DevicePublicKey: d.DeviceKey, TransportPublicKey: d.TransportKey,
			TrustType: string(d.Trust), Compliant: d.Compliant, Pending: d.Pending, DeviceType: d.Type, OsVersion: d.OSVersion,
			KeyProtection: string(d.KeyProtection),
		}
		if len(d.Certificate) > 0 {
			shown.CertificateThumbprint = registration.Thumbprint(d.Certificate)
		}
		out.Devices = append(out.Devices, shown)
	}
	return out, nil
}

// moment is nothing for a time that has not come.
func moment(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// ListApplications lists the applications of a tenant.
func (s *Read) ListApplications(_ context.Context, req *directoryv1.ListApplicationsRequest) (*directoryv1.ListApplicationsResponse, error) {
	t, err := tenantID(req.GetTenantId())
	if err != nil {
		return nil, err
	}
	list, err := s.Directory.Applications(t)
	if err != nil {
		return nil, err
	}
	out := &directoryv1.ListApplicationsResponse{}
	for _, a := range list {
		shown := &directoryv1.Application{
			ClientId: string(a.ID), Name: a.Name, RedirectUris: a.RedirectURIs, SpaRedirectUris: a.SPARedirectURIs, Resources: a.Resources,
			Confidential: a.Confidential(), Family: a.Family, BuiltIn: a.BuiltIn, PostLogoutRedirectUris: a.PostLogoutURIs, AppRoles: a.AppRoles,
			Consent: string(a.Consent),
		}
		if r := a.Resource; r != nil {
			shown.IdentifierUri, shown.Scopes, shown.TokenVersion = r.URI, r.Scopes, int32(r.Version)
		}
		out.Applications = append(out.Applications, shown)
	}
	return out, nil
}
