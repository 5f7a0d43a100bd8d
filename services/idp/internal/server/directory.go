package server

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/directory"
	"github.com/lockstep-sso/lockstep/services/idp/internal/registration"
)

// Read serves ReadService.
type Read struct {
	directoryv1.UnimplementedReadServiceServer
	Directory *directory.Directory
}

// ListDevices lists the devices of a tenant.
func (s *Read) ListDevices(ctx context.Context, req *directoryv1.ListDevicesRequest) (*directoryv1.ListDevicesResponse, error) {
	t, err := ids.ParseTenant(req.GetTenantId())
	if err != nil {
		return nil, prterr.New(prterr.Invalid, "tenant_id is not right: %v", err)
	}
	devices, err := s.Directory.Devices(ctx, t)
	if err != nil {
		return nil, err
	}
	out := &directoryv1.ListDevicesResponse{}
	for _, d := range devices {
		out.Devices = append(out.Devices, &directoryv1.Device{
			DeviceId: string(d.ID), DisplayName: d.DisplayName, Enabled: d.Enabled, RegisteredBy: string(d.RegisteredByUPN),
			RegisteredAt: timestamppb.New(d.RegisteredAt), CertificateThumbprint: registration.Thumbprint(d.Certificate),
			DevicePublicKey: d.DeviceKey, TransportPublicKey: d.TransportKey,
		})
	}
	return out, nil
}

// Admin serves AdminService.
type Admin struct {
	directoryv1.UnimplementedAdminServiceServer
	Directory *directory.Directory
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

// SetDeviceEnabled enables or disables a device.
func (s *Admin) SetDeviceEnabled(ctx context.Context, req *directoryv1.SetDeviceEnabledRequest) (*directoryv1.SetDeviceEnabledResponse, error) {
	id, err := deviceID(req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	if err := s.Directory.SetDeviceEnabled(ctx, id, req.GetEnabled()); err != nil {
		return nil, err
	}
	return &directoryv1.SetDeviceEnabledResponse{}, nil
}

// RemoveDevice deletes a device.
func (s *Admin) RemoveDevice(ctx context.Context, req *directoryv1.RemoveDeviceRequest) (*directoryv1.RemoveDeviceResponse, error) {
	id, err := deviceID(req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	if err := s.Directory.RemoveDevice(ctx, id); err != nil {
		return nil, err
	}
	return &directoryv1.RemoveDeviceResponse{}, nil
}

func deviceID(s string) (ids.DeviceID, error) {
	id, err := ids.ParseDevice(s)
	if err != nil {
		return "", prterr.New(prterr.Invalid, "device_id is not right: %v", err)
	}
	return id, nil
}
