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

// joined is what the device is in a tenant.
type joined struct {
	tenant ids.TenantID
	// membership is empty when a dsreg of an earlier release does not know it.
	membership ids.MembershipID
}

// issued says of a PRT under which membership it was asked for. It was this one before the
// request was made: should the device have left meanwhile, the PRT is taken for one of
// before, and opens nothing.
func (j joined) issued(got authority.Issued, err error) (authority.Issued, error) {
	got.Membership = j.membership
	return got, err
}

// joined is the tenant that the device is joined to. A registered device has a tenant too,
// but people sign in to it with other accounts: CloudAP gets no PRT of that tenant.
func (d device) joined(ctx context.Context) (joined, error) {
	s, err := call(ctx, d.timeout, d.state.GetDeviceState, &dsregv1.GetDeviceStateRequest{})
	if err != nil {
		return joined{}, err
	}
	switch s.GetJoinState() {
	case dsregv1.JoinState_JOIN_STATE_JOINED, dsregv1.JoinState_JOIN_STATE_HYBRID:
	case dsregv1.JoinState_JOIN_STATE_REGISTERED:
		return joined{}, prterr.New(prterr.Conflict, "device is registered, not joined: sign in to it with an account of its own, the work account is for apps only")
	default:
		return joined{}, prterr.New(prterr.Conflict, "device is not joined: run lockstep join")
	}
	t, err := ids.ParseTenant(s.GetTenantId())
	if err != nil {
		return joined{}, authority.BadAnswer("dsreg", "tenant_id is not a GUID")
	}
	var m ids.MembershipID
	if s.GetMembershipId() != "" {
		if m, err = ids.ParseMembership(s.GetMembershipId()); err != nil {
			return joined{}, authority.BadAnswer("dsreg", "membership_id is not a GUID")
		}
	}
	return joined{t, m}, nil
}

// signHello has a PRT request built around a Hello assertion: the Hello key signs the
// one, the device key the other.
func (d device) signHello(ctx context.Context, upn ids.UPN, h helloPIN, nonce string) (string, error) {
	a, err := call(ctx, d.timeout, d.hello.SignHelloPRTRequest, &tpmv1.SignHelloPRTRequestRequest{
		User: &tpmv1.HelloUser{TenantId: string(h.tenant), UserId: string(h.user)}, UserPrincipalName: string(upn), Pin: h.pin.Reveal(), RequestNonce: nonce,
	})
	return a.GetRequest(), err
}
