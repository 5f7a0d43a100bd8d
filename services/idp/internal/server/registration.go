package server

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/registration"
)

// Registration serves DeviceRegistrationService.
type Registration struct {
	idpv1.UnimplementedDeviceRegistrationServiceServer
	Devices *registration.Service
}

// RequestRegistrationToken authenticates a user by password.
func (s *Registration) RequestRegistrationToken(ctx context.Context, req *idpv1.RequestRegistrationTokenRequest) (*idpv1.RequestRegistrationTokenResponse, error) {
	upn, err := userName(req.GetUserPrincipalName())
	if err != nil {
		return nil, err
	}
	token, err := s.Devices.Token(ctx, upn, secret.NewText(req.GetPassword()))
	if err != nil {
		return nil, err
	}
	return &idpv1.RequestRegistrationTokenResponse{AccessToken: token.Reveal()}, nil
}

// RegisterDevice creates a device.
func (s *Registration) RegisterDevice(ctx context.Context, req *idpv1.RegisterDeviceRequest) (*idpv1.RegisterDeviceResponse, error) {
	if req.GetJoinType() != idpv1.JoinType_JOIN_TYPE_JOIN {
		return nil, prterr.New(prterr.Invalid, "join_type is not JOIN, the one that is offered")
	}
	d, err := s.Devices.Enrol(ctx, registration.Enrolment{
		Token: secret.NewText(req.GetAccessToken()), CertificateRequest: req.GetCertificateRequest(), TransportKey: req.GetTransportKey(),
		DisplayName: req.GetDisplayName(), DeviceType: req.GetDeviceType(), OSVersion: req.GetOsVersion(), TargetDomain: req.GetTargetDomain(),
	})
	if err != nil {
		return nil, err
	}
	return &idpv1.RegisterDeviceResponse{
		Certificate: d.Certificate, Thumbprint: d.Thumbprint, UserPrincipalName: string(d.UPN), TenantId: string(d.Tenant),
	}, nil
}

// DeleteDevice removes the device that signed the request.
func (s *Registration) DeleteDevice(ctx context.Context, req *idpv1.DeleteDeviceRequest) (*idpv1.DeleteDeviceResponse, error) {
	if err := s.Devices.Remove(ctx, secret.NewText(req.GetRequest())); err != nil {
		return nil, err
	}
	return &idpv1.DeleteDeviceResponse{}, nil
}
