package aadplugin

import (
	"context"
	"errors"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	prt "github.com/lockstep-sso/lockstep/pkg/authority"
	"github.com/lockstep-sso/lockstep/pkg/eventlog"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/account"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/apptoken"
	own "github.com/lockstep-sso/lockstep/services/wam-broker/internal/authority"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/tokencache"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/workaccount"
)

// eventTenantNotTold is a device that left without its tenant's knowledge; ids from 9000
// are Lockstep's own.
const eventTenantNotTold = 9010

// AddAccount adds a work account for who is signed in under a session, who has
// consented: the device is registered with the account's organisation unless it is
// already, and the PRT is obtained. No token comes of it.
func (p *Plugin) AddAccount(ctx context.Context, session secret.Text, c workaccount.Credentials) (workaccount.Device, error) {
	if p.own == nil {
		return workaccount.Device{}, prterr.New(prterr.Unavailable, "this broker has no tpm-agent: give it one as a peer")
	}
	who, err := p.cloudAP.Who(ctx, session)
	if err != nil {
		return workaccount.Device{}, err
	}
	if who.SID == "" {
		return workaccount.Device{}, prterr.New(prterr.Internal, "lsa-cloudap does not say who is signed in")
	}
	done, err := p.changing(ctx)
	if err != nil {
		return workaccount.Device{}, err
	}
	defer done()
	if err := p.own.Room(who.SID); err != nil {
		return workaccount.Device{}, err
	}
	d, err := p.registered(ctx, c)
	if err != nil {
		return workaccount.Device{}, err
	}
	d.PRT, err = p.own.Add(ctx, own.Added{SID: who.SID, Tenant: d.Tenant, UPN: c.User, Registered: d.User}, c.Password)
	if d.User == "" && foreign(err) {
		return workaccount.Device{}, prterr.Wrap(prterr.Conflict, err, "this device is registered with another organisation than the account's: disconnect its accounts first")
	}
	return d, err
}

// changing waits for the turn to change which accounts there are. Two who add one at once
// would both find the device unregistered, and who removes the last one beside somebody who
// adds one would have the device leave under that one's account.
func (p *Plugin) changing(ctx context.Context) (done func(), err error) {
	select {
	case p.turn <- struct{}{}:
		return func() { <-p.turn }, nil
	case <-ctx.Done():
		return nil, prterr.Wrap(prterr.Deadline, ctx.Err(), "another account is being added or removed")
	}
}

// registered is the device after it was registered for an account, or as it is when it
// is registered already. A joined device is refused by dsreg, by name.
func (p *Plugin) registered(ctx context.Context, c workaccount.Credentials) (workaccount.Device, error) {
	s, err := p.device.State(ctx)
	if err != nil {
		return workaccount.Device{}, err
	}
	if !s.Registered {
		return p.device.Register(ctx, c)
	}
	// dsreg has seen to this for the first account.
	if err := p.own.Managed(ctx, c.User); err != nil {
		return workaccount.Device{}, err
	}
	return workaccount.Device{ID: s.ID, Tenant: s.Tenant}, nil
}

// foreign reports whether the identity provider does not know the device in the tenant
// of the user.
func foreign(err error) bool {
	switch prterr.CodeOf(err) {
	case aadsts.DeviceAuthenticationFailed, aadsts.UserNotInTenant:
		return true
	default:
		return false
	}
}

// Choose makes an account the default one of its user.
func (p *Plugin) Choose(ctx context.Context, session secret.Text, name string) error {
	k, err := p.pickOwn(ctx, session, name)
	if err != nil {
		return err
	}
	return p.own.Choose(k.own.ID)
}

// Left is what became of the device when an account was removed.
type Left struct{ Device, TenantTold bool }

// RemoveAccount removes a work account with its PRT and tokens. With the last one of a
// registered device the device leaves its tenant.
func (p *Plugin) RemoveAccount(ctx context.Context, session secret.Text, name string) (Left, error) {
	k, err := p.pickOwn(ctx, session, name)
	if err != nil {
		return Left{}, err
	}
	done, err := p.changing(ctx)
	if err != nil {
		return Left{}, err
	}
	defer done()
	if err := p.remove(ctx, k.own.ID); err != nil {
		return Left{}, err
	}
	return p.leaveWithLast(ctx)
}

// remove removes an account with what was got by it; the turn is the caller's.
func (p *Plugin) remove(ctx context.Context, id account.ID) error {
	rec, err := p.own.Remove(ctx, id)
	if err != nil {
		return err
	}
	p.log.InfoContext(ctx, "work account removed", "user", rec.User)
	p.cache.DropAccess(func(o apptoken.Owner) bool { return o.SID == rec.SID && o.Tenant == rec.Tenant && o.User == rec.User })
	var errs []error
	for _, client := range rec.Clients {
		for _, kind := range prt.Kinds() {
			owner := apptoken.Owner{Tenant: rec.Tenant, User: rec.User, Kind: apptoken.CredentialKind(kind), SID: rec.SID}
			errs = append(errs, p.cache.RemoveRefresh(tokencache.RefreshKey{Owner: owner, Client: client}))
		}
	}
	if err := errors.Join(errs...); err != nil {
		p.log.WarnContext(ctx, "refresh tokens of a removed account are still on disk; nothing can open them", "error", err)
	}
	return nil
}

func (p *Plugin) leaveWithLast(ctx context.Context) (Left, error) {
	if !p.own.Empty() {
		return Left{}, nil
	}
	s, err := p.device.State(ctx)
	if err != nil || !s.Registered {
		return Left{}, err
	}
	told, err := p.device.Leave(ctx)
	if err != nil {
		return Left{}, prterr.Wrap(prterr.KindOf(err), err, "the account is removed, and the device could not leave its tenant")
	}
	if !told {
		p.events.Add(ctx, eventlog.Event{
			Channel: eventlog.AADOperational, ID: eventTenantNotTold, Level: eventlog.Warning,
			Message: "the device left its tenant with its last work account, and the tenant could not be told: have the device removed there",
			Fields:  []eventlog.Field{{Name: "DeviceId", Value: string(s.ID)}, {Name: "TenantId", Value: string(s.Tenant)}},
		})
	}
	return Left{Device: true, TenantTold: told}, nil
}
