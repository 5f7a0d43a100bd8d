package aadplugin

import (
	"context"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/authority"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
)

// device is the rest of this device: its keys in the tpm-agent and its
// registration in dsreg. Nothing of it is ever kept here.
type device struct {
	hello   tpmv1.HelloKeyServiceClient
	state   dsregv1.DeviceStateServiceClient
	timeout time.Duration
}

// tenant the device is joined to. A registered device has a tenant too, but people
// sign in to it with other accounts: CloudAP gets no PRT of that tenant.
func (d device) tenant(ctx context.Context) (ids.TenantID, error) {
	s, err := call(ctx, d.timeout, d.state.GetDeviceState, &dsregv1.GetDeviceStateRequest{})
	if err != nil {
		return "", err
	}
	switch s.GetJoinState() {
	case dsregv1.JoinState_JOIN_STATE_JOINED, dsregv1.JoinState_JOIN_STATE_HYBRID:
	case dsregv1.JoinState_JOIN_STATE_REGISTERED:
		return "", prterr.New(prterr.Conflict, "device is registered, not joined: sign in to it with an account of its own, the work account is for apps only")
	default:
		return "", prterr.New(prterr.Conflict, "device is not joined: run lockstep join")
	}
	t, err := ids.ParseTenant(s.GetTenantId())
	if err != nil {
		return "", authority.BadAnswer("dsreg", "tenant_id is not a GUID")
	}
	return t, nil
}

// signHello has a PRT request built around a Hello assertion: the Hello key signs the
// one, the device key the other.
func (d device) signHello(ctx context.Context, upn ids.UPN, h helloPIN, nonce string) (string, error) {
	a, err := call(ctx, d.timeout, d.hello.SignHelloPRTRequest, &tpmv1.SignHelloPRTRequestRequest{
		User: &tpmv1.HelloUser{TenantId: string(h.tenant), UserId: string(h.user)}, UserPrincipalName: string(upn), Pin: h.pin.Reveal(), RequestNonce: nonce,
	})
	return a.GetRequest(), err
}
