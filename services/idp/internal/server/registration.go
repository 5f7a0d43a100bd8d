package server

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/registration"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
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
	trust, err := trustOf(req.GetJoinType())
	if err != nil {
		return nil, err
	}
	var replaces ids.DeviceID
	if id := req.GetReplacedDeviceId(); id != "" {
		if replaces, err = ids.ParseDevice(id); err != nil {
			return nil, prterr.New(prterr.Invalid, "replaced_device_id is not right: %v", err)
		}
	}
	d, err := s.Devices.Enrol(ctx, registration.Enrolment{
		Token: secret.NewText(req.GetAccessToken()), Trust: trust, CertificateRequest: req.GetCertificateRequest(), TransportKey: req.GetTransportKey(),
		TransportJWK: req.GetTransportKeyJwk(), DisplayName: req.GetDisplayName(), DeviceType: req.GetDeviceType(), OSVersion: req.GetOsVersion(),
		// A device of ours knows its user's domain; what comes over HTTPS may not.
		TargetDomain: req.GetTargetDomain(), AnyDomain: req.GetCaller() != nil,
		Administrators: req.GetReturnClientSid(), Attestation: attested(req.GetAttestation()), Replaces: replaces, Correlation: correlationOf(ctx, req.GetCaller()),
	})
	if err != nil {
		return nil, err
	}
	return &idpv1.RegisterDeviceResponse{
		Certificate: d.Certificate, Thumbprint: d.Thumbprint, UserPrincipalName: string(d.UPN), TenantId: string(d.Tenant),
		AdministratorSids: d.Administrators, KeyProtection: keyProtection(d.Protection), NativeSessionKeys: d.NativeSessionKeys,
		ReplacedDeviceRemoved: d.Removed,
	}, nil
}

// trustOf is what a kind of registration makes of the device.
func trustOf(j idpv1.JoinType) (store.Trust, error) {
	switch j {
	case idpv1.JoinType_JOIN_TYPE_JOIN, idpv1.JoinType_JOIN_TYPE_JOIN_VARIANT:
		return store.TrustJoined, nil
	case idpv1.JoinType_JOIN_TYPE_REGISTER:
		return store.TrustRegistered, nil
	case idpv1.JoinType_JOIN_TYPE_HYBRID:
		return "", prterr.New(prterr.Invalid, "join_type HYBRID takes no user's token: send the signed request of the synchronised device")
	default:
		return "", prterr.New(prterr.Invalid, "join_type is not JOIN, REGISTER or JOIN_VARIANT")
	}
}

// JoinHybridDevice gives a synchronised device its keys.
func (s *Registration) JoinHybridDevice(ctx context.Context, req *idpv1.JoinHybridDeviceRequest) (*idpv1.JoinHybridDeviceResponse, error) {
	id, err := ids.ParseDevice(req.GetDeviceId())
	if err != nil {
		return nil, prterr.New(prterr.Invalid, "device_id is not right: %v", err)
	}
	tenant, err := ids.ParseTenant(req.GetTargetTenantId())
	if err != nil {
		return nil, prterr.New(prterr.Invalid, "target_tenant_id is not right: %v", err)
	}
	d, err := s.Devices.JoinHybrid(ctx, registration.HybridJoin{
		DeviceID: id, Tenant: tenant, CertificateRequest: req.GetCertificateRequest(), TransportKey: req.GetTransportKey(),
		DisplayName: req.GetDisplayName(), DeviceType: req.GetDeviceType(), OSVersion: req.GetOsVersion(), TargetDomain: req.GetTargetDomain(),
		Identity: req.GetClientIdentity(), Signature: req.GetSignature(), Attestation: attested(req.GetAttestation()), Correlation: correlationOf(ctx, req.GetCaller()),
	})
	if err != nil {
		return nil, err
	}
	return &idpv1.JoinHybridDeviceResponse{
		Certificate: d.Certificate, Thumbprint: d.Thumbprint, TenantId: string(d.Tenant),
		KeyProtection: keyProtection(d.Protection), NativeSessionKeys: d.NativeSessionKeys,
	}, nil
}

// RegisterHelloKey adds a Windows Hello key to a user.
func (s *Registration) RegisterHelloKey(ctx context.Context, req *idpv1.RegisterHelloKeyRequest) (*idpv1.RegisterHelloKeyResponse, error) {
	kid, upn, err := s.Devices.RegisterHello(ctx, registration.HelloKey{
		Token: secret.NewText(req.GetAccessToken()), Key: req.GetKey(), Correlation: correlationOf(ctx, req.GetCaller()),
	})
	if err != nil {
		return nil, err
	}
	return &idpv1.RegisterHelloKeyResponse{Kid: kid, UserPrincipalName: string(upn)}, nil
}

// CheckDevice answers whether the tenant still takes the device that signed.
func (s *Registration) CheckDevice(ctx context.Context, req *idpv1.CheckDeviceRequest) (*idpv1.CheckDeviceResponse, error) {
	if err := s.Devices.Check(ctx, secret.NewText(req.GetRequest()), correlationOf(ctx, req.GetCaller())); err != nil {
		return nil, err
	}
	return &idpv1.CheckDeviceResponse{}, nil
}

// DeleteDevice removes the device that signed the request.
func (s *Registration) DeleteDevice(ctx context.Context, req *idpv1.DeleteDeviceRequest) (*idpv1.DeleteDeviceResponse, error) {
	if err := s.Devices.Remove(ctx, secret.NewText(req.GetRequest())); err != nil {
		return nil, err
	}
	return &idpv1.DeleteDeviceResponse{}, nil
}
