package upstream

import (
	"context"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/workaccount"
)

// Device is device registration as the broker needs it.
type Device struct {
	client       dsregv1.DeviceStateServiceClient
	registration dsregv1.RegistrationServiceClient
}

// NewDevice uses an authenticated connection; nil when there is none.
func NewDevice(conn grpc.ClientConnInterface) *Device {
	if conn == nil {
		return nil
	}
	return &Device{client: dsregv1.NewDeviceStateServiceClient(conn), registration: dsregv1.NewRegistrationServiceClient(conn)}
}

// Left reports whether the device is known to be registered nowhere. It is true
// only when dsreg says so: when dsreg cannot be asked, the identity provider
// decides, as it does in any case.
func (d *Device) Left(ctx context.Context) (bool, error) {
	if d == nil {
		return false, nil
	}
	resp, err := d.client.GetDeviceState(ctx, &dsregv1.GetDeviceStateRequest{})
	if err != nil {
		return false, err
	}
	return resp.GetJoinState() == dsregv1.JoinState_JOIN_STATE_NONE, nil
}

// Register has the device registered for a work account, under the computer's own
// name. A device that has an identity already is prterr.Conflict.
func (d *Device) Register(ctx context.Context, c workaccount.Credentials) (workaccount.Device, error) {
	if d == nil {
		return workaccount.Device{}, prterr.New(prterr.Unavailable, "there is no device registration here: run dsreg and give it to wam-broker as a peer")
	}
	resp, err := d.registration.RegisterDevice(ctx, &dsregv1.RegisterDeviceRequest{
		UserPrincipalName: string(c.User), Password: c.Password.Reveal(),
	})
	if err != nil {
		return workaccount.Device{}, err
	}
	registered, err := workaccount.ParseDevice(resp.GetDeviceId(), resp.GetTenantId())
	if err != nil {
		return workaccount.Device{}, prterr.Wrap(prterr.Internal, err, "dsreg's answer cannot be used: read the device state")
	}
	return registered, nil
}
