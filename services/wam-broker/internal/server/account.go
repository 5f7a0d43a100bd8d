package server

import (
	"context"

	wamv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/wam/v1"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/broker"
)

// ListAccounts lists the accounts of a user for an app.
func (s *Broker) ListAccounts(ctx context.Context, req *wamv1.ListAccountsRequest) (*wamv1.ListAccountsResponse, error) {
	all, err := s.Framework.Accounts(ctx, req.GetLogonSession())
	if err != nil {
		return nil, err
	}
	return &wamv1.ListAccountsResponse{Accounts: all}, nil
}

// Settings serves prt.wam.v1.AccountSettingsService.
type Settings struct {
	wamv1.UnimplementedAccountSettingsServiceServer
	Framework *broker.Broker
}

// ConnectAccount adds a work account. Who adds one in the settings of the device lets
// the organisation manage it: that is what the page there is for.
func (s *Settings) ConnectAccount(ctx context.Context, req *wamv1.ConnectAccountRequest) (*wamv1.ConnectAccountResponse, error) {
	d, _, err := s.Framework.AddAccount(ctx, req.GetLogonSession(), req.GetUserPrincipalName(), req.GetPassword(), true)
	if err != nil {
		return nil, err
	}
	return &wamv1.ConnectAccountResponse{DeviceId: string(d.ID), TenantId: string(d.Tenant), PrtObtained: d.PRT}, nil
}

// SetDefaultAccount chooses the default account.
func (s *Settings) SetDefaultAccount(ctx context.Context, req *wamv1.SetDefaultAccountRequest) (*wamv1.SetDefaultAccountResponse, error) {
	if err := s.Framework.SetDefault(ctx, req.GetLogonSession(), req.GetAccount()); err != nil {
		return nil, err
	}
	return &wamv1.SetDefaultAccountResponse{}, nil
}

// DisconnectAccount removes a work account.
func (s *Settings) DisconnectAccount(ctx context.Context, req *wamv1.DisconnectAccountRequest) (*wamv1.DisconnectAccountResponse, error) {
	left, told, err := s.Framework.Disconnect(ctx, req.GetLogonSession(), req.GetAccount())
	if err != nil {
		return nil, err
	}
	return &wamv1.DisconnectAccountResponse{DeviceLeft: left, TenantTold: told}, nil
}

// State serves prt.wam.v1.AccountStateService.
type State struct {
	wamv1.UnimplementedAccountStateServiceServer
	Framework *broker.Broker
}

// GetAccountState lists the accounts of all users.
func (s *State) GetAccountState(ctx context.Context, _ *wamv1.GetAccountStateRequest) (*wamv1.GetAccountStateResponse, error) {
	all, err := s.Framework.State(ctx)
	if err != nil {
		return nil, err
	}
	return &wamv1.GetAccountStateResponse{Accounts: all}, nil
}
