package upstream

import (
	"context"
	"errors"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/ids"
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

// State is how the device is registered, as dsreg says. When dsreg cannot be asked the
// zero value says that it is not known, and the identity provider decides, as it does in
// any case.
type State struct {
	// Known is false when dsreg could not be asked.
	Known bool
	// Left says that the device is registered nowhere, Registered that it is registered
	// for work accounts and not joined.
	Left, Registered bool
	// ID and Tenant are empty when it is registered nowhere.
	ID     ids.DeviceID
	Tenant ids.TenantID
}

// State asks for it.
func (d *Device) State(ctx context.Context) (State, error) {
	if d == nil {
		return State{}, nil
	}
	resp, err := d.client.GetDeviceState(ctx, &dsregv1.GetDeviceStateRequest{})
	if err != nil {
		return State{}, err
	}
	s := State{
		Known: true, Left: resp.GetJoinState() == dsregv1.JoinState_JOIN_STATE_NONE,
		Registered: resp.GetJoinState() == dsregv1.JoinState_JOIN_STATE_REGISTERED,
	}
	if !s.Registered {
		return s, nil
	}
	if s.ID, err = ids.ParseDevice(resp.GetDeviceId()); err == nil {
		s.Tenant, err = ids.ParseTenant(resp.GetTenantId())
	}
	if err != nil {
		return State{}, prterr.Wrap(prterr.Internal, err, "dsreg's answer about the device cannot be used")
	}
	return s, nil
}

// Leave takes the device out of its tenant. told is false when the tenant could not be
// told: the keys are destroyed here all the same, and the tenant lists the device until
// somebody there removes it.
func (d *Device) Leave(ctx context.Context) (told bool, err error) {
	if d == nil {
		return false, noRegistration()
	}
	_, first := d.registration.LeaveDevice(ctx, &dsregv1.LeaveDeviceRequest{})
	if first == nil {
		return true, nil
	}
	if _, err := d.registration.LeaveDevice(ctx, &dsregv1.LeaveDeviceRequest{LocalOnly: true}); err != nil {
		return false, errors.Join(err, first)
	}
	return false, nil
}

func noRegistration() error {
	return prterr.New(prterr.Unavailable, "there is no device registration here: run dsreg and give it to wam-broker as a peer")
}

// Register has the device registered for a work account, under the computer's own
// name. A device that has an identity already is prterr.Conflict.
func (d *Device) Register(ctx context.Context, c workaccount.Credentials) (workaccount.Device, error) {
	if d == nil {
		return workaccount.Device{}, noRegistration()
	}
	resp, err := d.registration.RegisterDevice(ctx, &dsregv1.RegisterDeviceRequest{
		UserPrincipalName: string(c.User), Password: c.Password.Reveal(),
	})
	if err != nil {
		return workaccount.Device{}, err
	}
	registered, err := workaccount.ParseDevice(resp.GetDeviceId(), resp.GetTenantId())
	if err == nil {
		registered.User, err = ids.ParseUser(resp.GetUserId())
	}
	if err != nil {
		return workaccount.Device{}, prterr.Wrap(prterr.Internal, err, "dsreg's answer cannot be used: read the device state")
	}
	return registered, nil
}
