package upstream

import (
	"context"

	"google.golang.org/grpc"

	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
)

// Device is device registration as the broker needs it.
type Device struct {
	client dsregv1.DeviceStateServiceClient
}

// NewDevice uses an authenticated connection; nil when there is none.
func NewDevice(conn grpc.ClientConnInterface) *Device {
	if conn == nil {
		return nil
	}
	return &Device{client: dsregv1.NewDeviceStateServiceClient(conn)}
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
