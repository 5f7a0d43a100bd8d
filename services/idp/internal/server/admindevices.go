package server

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/directory"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

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

// SetDeviceCompliance sets what a management service would.
func (s *Admin) SetDeviceCompliance(ctx context.Context, req *directoryv1.SetDeviceComplianceRequest) (*directoryv1.SetDeviceComplianceResponse, error) {
	id, err := deviceID(req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	if err := s.Directory.SetDeviceCompliance(ctx, id, req.GetCompliant()); err != nil {
		return nil, err
	}
	return &directoryv1.SetDeviceComplianceResponse{}, nil
}

// PutHybridDevice synchronises a device object.
func (s *Admin) PutHybridDevice(ctx context.Context, req *directoryv1.PutHybridDeviceRequest) (*directoryv1.PutHybridDeviceResponse, error) {
	t, err := tenantID(req.GetTenantId())
	if err != nil {
		return nil, err
	}
	id, err := deviceID(req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	cert, err := directory.ParseCertificate("certificate", req.GetCertificate())
	if err != nil {
		return nil, err
	}
	h := tenant.HybridDevice{ID: id, DisplayName: req.GetDisplayName(), SID: req.GetSid(), Certificate: cert}
	if err := s.Directory.PutHybridDevice(ctx, t, h); err != nil {
		return nil, err
	}
	return &directoryv1.PutHybridDeviceResponse{}, nil
}

func tenantID(s string) (ids.TenantID, error) {
	id, err := ids.ParseTenant(s)
	if err != nil {
		return "", prterr.New(prterr.Invalid, "tenant_id is not right: %v", err)
	}
	return id, nil
}

func deviceID(s string) (ids.DeviceID, error) {
	id, err := ids.ParseDevice(s)
	if err != nil {
		return "", prterr.New(prterr.Invalid, "device_id is not right: %v", err)
	}
	return id, nil
}
