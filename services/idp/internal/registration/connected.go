package registration

import (
	"bytes"
	"context"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
)

// RemoveConnected deletes the device whose certificate authenticated the caller's
// connection. It must be the one that is asked for, and the certificate the one in
// force: there is one error for everything else, so that nobody learns who exists.
func (s *Service) RemoveConnected(ctx context.Context, id ids.DeviceID, certificate []byte, correlation string) (err error) {
	e := signinlog.Event{Flow: signinlog.DeleteDevice, Correlation: correlation}
	defer func() { s.gate.Log.Record(ctx, s.gate.Clock.Now(), e, err) }()
	refused := prterr.New(prterr.Unauthenticated, "the connection was not authenticated with the certificate of the device that is to go")
	who, _, err := s.gate.Authority.CheckDeviceCertificate(certificate)
	if err != nil || who.DeviceID != id {
		return refused
	}
	e.Tenant = who.TenantID
	dev, err := s.gate.Directory.Device(ctx, who.TenantID, who.DeviceID)
	switch {
	case prterr.KindOf(err) == prterr.Internal:
		return err
	case err != nil || !bytes.Equal(dev.Certificate, certificate):
		return refused
	}
	e.Device = dev.ID
	if !dev.Enabled {
		return prterr.AADSTS(aadsts.DeviceDisabled, "")
	}
	return s.gate.Directory.RemoveDevice(ctx, dev.ID)
}
