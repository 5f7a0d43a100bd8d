package broker

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	wamv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/wam/v1"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/workaccount"
)

// AddAccount is what follows the prompt of an app's first sign-in with a work
// account. Only with the user's consent does the provider's plug-in learn of it
// and register the device; registered is false without.
func (b *Broker) AddAccount(ctx context.Context, user, password string, consent bool) (d workaccount.Device, registered bool, err error) {
	c, err := workaccount.Parse(user, password)
	if err != nil || !consent {
		return d, false, err
	}
	resp, err := b.plugin.AddAccount(ctx, &wamv1.AddAccountRequest{UserPrincipalName: string(c.User), Password: c.Password.Reveal()})
	if err != nil {
		return d, false, err
	}
	if d, err = workaccount.ParseDevice(resp.GetDeviceId(), resp.GetTenantId()); err != nil {
		return d, false, prterr.Wrap(prterr.Internal, err, "the plug-in's answer cannot be used")
	}
	b.log.InfoContext(ctx, "device registered at an app's prompt", "device_id", d.ID, "tenant_id", d.Tenant)
	return d, true, nil
}
