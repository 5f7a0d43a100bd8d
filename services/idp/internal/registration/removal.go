package registration

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/grants"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
)

// Remove deletes the device that signed the request. The request names no
// device, so there is no way to name another one.
func (s *Service) Remove(ctx context.Context, request secret.Text) error {
	_, err := grants.ByDevice(ctx, s.gate, grants.DeviceKind[entrawire.DeviceProof, struct{}]{
		Flow:   signinlog.DeleteDevice,
		Nonce:  func(p *entrawire.DeviceProof) string { return p.RequestNonce },
		User:   func(*entrawire.DeviceProof) string { return "" },
		Client: func(*entrawire.DeviceProof) string { return "" },
		Check:  proofFor(entrawire.GrantDeviceRemoval, "is not the one for the removal of a device"),
		Answer: func(ctx context.Context, d grants.Device, _ *entrawire.DeviceProof) (struct{}, error) {
			return struct{}{}, s.gate.Directory.RemoveDevice(ctx, d.Device.ID)
		},
	}, request)
	return err
}
