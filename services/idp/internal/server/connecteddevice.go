package server

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/registration"
)

// ConnectedDevice serves ConnectedDeviceService.
type ConnectedDevice struct {
	idpv1.UnimplementedConnectedDeviceServiceServer
	Devices *registration.Service
}

// RemoveDevice removes the device at the other end of the connection.
func (s *ConnectedDevice) RemoveDevice(ctx context.Context, req *idpv1.RemoveDeviceRequest) (*idpv1.RemoveDeviceResponse, error) {
	id, err := ids.ParseDevice(req.GetDeviceId())
	if err != nil {
		return nil, prterr.New(prterr.Invalid, "device_id is not right: %v", err)
	}
	if err := s.Devices.RemoveConnected(ctx, id, req.GetCertificate(), correlationOf(ctx, req.GetCaller())); err != nil {
		return nil, err
	}
	return &idpv1.RemoveDeviceResponse{}, nil
}
