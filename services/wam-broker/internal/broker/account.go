package broker

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	wamv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/wam/v1"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/apptoken"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/workaccount"
)

// maxListed bounds the accounts of one user that a plug-in may list.
const maxListed = 64

// AddAccount is what follows the prompt of an app's first sign-in with a work
// account, or of the settings. Only with the user's consent does the provider's plug-in
// learn of it, register the device and obtain the PRT; registered is false without.
func (b *Broker) AddAccount(ctx context.Context, session, user, password string, consent bool) (d workaccount.Device, registered bool, err error) {
	c, err := workaccount.Parse(user, password)
	if err != nil || !consent {
		return d, false, err
	}
	of, err := apptoken.ParseSession(session)
	if err != nil {
		return d, false, err
	}
	resp, err := b.plugin.AddAccount(ctx, &wamv1.AddAccountRequest{
		UserPrincipalName: string(c.User), Password: c.Password.Reveal(), LogonSession: of.Reveal(),
	})
	if err != nil {
		return d, false, err
	}
	if d, err = workaccount.ParseDevice(resp.GetDeviceId(), resp.GetTenantId()); err != nil {
		return d, false, prterr.Wrap(prterr.Internal, err, "the plug-in's answer cannot be used")
	}
	d.PRT = resp.GetPrtObtained()
	b.log.InfoContext(ctx, "work account added", "device_id", d.ID, "tenant_id", d.Tenant, "prt", d.PRT)
	return d, true, nil
}

// Accounts lists the accounts of the user of a session.
func (b *Broker) Accounts(ctx context.Context, session string) ([]*wamv1.Account, error) {
	of, err := apptoken.ParseSession(session)
	if err != nil {
		return nil, err
	}
	resp, err := b.plugin.DescribeAccounts(ctx, &wamv1.DescribeAccountsRequest{LogonSession: of.Reveal()})
	if err != nil {
		return nil, err
	}
	if len(resp.GetAccounts()) > maxListed {
		return nil, prterr.New(prterr.Internal, "the plug-in lists more than %d accounts", maxListed)
	}
	return resp.GetAccounts(), nil
}

// SetDefault makes an account the default one of the user of a session.
func (b *Broker) SetDefault(ctx context.Context, session, account string) error {
	of, err := named(session, account)
	if err != nil {
		return err
	}
	_, err = b.plugin.ChooseAccount(ctx, &wamv1.ChooseAccountRequest{LogonSession: of, Account: account})
	return err
}

// Disconnect removes an account of the user of a session.
func (b *Broker) Disconnect(ctx context.Context, session, account string) (left, told bool, err error) {
	of, err := named(session, account)
	if err != nil {
		return false, false, err
	}
	resp, err := b.plugin.RemoveAccount(ctx, &wamv1.RemoveAccountRequest{LogonSession: of, Account: account})
	return resp.GetDeviceLeft(), resp.GetTenantTold(), err
}

func named(session, account string) (string, error) {
	of, err := apptoken.ParseSession(session)
	if err != nil {
		return "", err
	}
	return of.Reveal(), apptoken.CheckAccount(account)
}

// State lists the accounts of all users of the device.
func (b *Broker) State(ctx context.Context) ([]*wamv1.AccountState, error) {
	resp, err := b.plugin.ReadAccountState(ctx, &wamv1.ReadAccountStateRequest{})
	return resp.GetAccounts(), err
}
