package actor

import (
	"context"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/secret"
	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
	wamv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/wam/v1"
)

// AddWorkAccount is the prompt of the app's first sign-in: what the user of a desktop
// typed, and whether the organisation may manage the device.
func (a App) AddWorkAccount(ctx context.Context, d Desktop, user string, password secret.Text, consent bool) (*wamv1.AddWorkAccountResponse, error) {
	return wamv1.NewBrokerServiceClient(a.Broker).AddWorkAccount(ctx, &wamv1.AddWorkAccountRequest{
		LogonSession: d.Session.Reveal(), UserPrincipalName: user, Password: password.Reveal(), AllowManagement: consent,
	})
}

// Accounts lists the accounts that the app can ask tokens for.
func (a App) Accounts(ctx context.Context, d Desktop) ([]*wamv1.Account, error) {
	resp, err := wamv1.NewBrokerServiceClient(a.Broker).ListAccounts(ctx, &wamv1.ListAccountsRequest{LogonSession: d.Session.Reveal()})
	return resp.GetAccounts(), err
}

// Settings is the page "access work or school" of the device's settings.
type Settings struct{ Broker grpc.ClientConnInterface }

// Connect adds a work account.
func (s Settings) Connect(ctx context.Context, d Desktop, user string, password secret.Text) (*wamv1.ConnectAccountResponse, error) {
	return wamv1.NewAccountSettingsServiceClient(s.Broker).ConnectAccount(ctx, &wamv1.ConnectAccountRequest{
		LogonSession: d.Session.Reveal(), UserPrincipalName: user, Password: password.Reveal(),
	})
}

// Prefer makes an account the default one.
func (s Settings) Prefer(ctx context.Context, d Desktop, account string) error {
	_, err := wamv1.NewAccountSettingsServiceClient(s.Broker).SetDefaultAccount(ctx, &wamv1.SetDefaultAccountRequest{
		LogonSession: d.Session.Reveal(), Account: account,
	})
	return err
}

// Disconnect removes an account.
func (s Settings) Disconnect(ctx context.Context, d Desktop, account string) (*wamv1.DisconnectAccountResponse, error) {
	return wamv1.NewAccountSettingsServiceClient(s.Broker).DisconnectAccount(ctx, &wamv1.DisconnectAccountRequest{
		LogonSession: d.Session.Reveal(), Account: account,
	})
}

// WorkAccounts reads what the broker holds for all users of the device.
func (o Operator) WorkAccounts(ctx context.Context) ([]*wamv1.AccountState, error) {
	resp, err := wamv1.NewAccountStateServiceClient(o.WAM).GetAccountState(ctx, &wamv1.GetAccountStateRequest{})
	return resp.GetAccounts(), err
}

// PutLocalAccount makes an account of the device's own; the answer is its security
// identifier.
func (o Operator) PutLocalAccount(ctx context.Context, name string, password secret.Text) (string, error) {
	resp, err := lsav1.NewLocalAccountServiceClient(o.LSA).PutLocalAccount(ctx, &lsav1.PutLocalAccountRequest{Name: name, Password: password.Reveal()})
	return resp.GetSid(), err
}
