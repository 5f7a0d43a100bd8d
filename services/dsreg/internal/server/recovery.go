package server

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	"github.com/lockstep-sso/lockstep/services/dsreg/internal/enrol"
	"github.com/lockstep-sso/lockstep/services/dsreg/internal/state"
)

// JoinHybridDevice joins the computer of an on-premises domain.
func (s *Registration) JoinHybridDevice(ctx context.Context, req *dsregv1.JoinHybridDeviceRequest) (*dsregv1.JoinHybridDeviceResponse, error) {
	r, err := hybridRequest(req)
	if err != nil {
		return nil, err
	}
	id, err := s.Enroller.JoinHybrid(ctx, r)
	if err != nil {
		return nil, err
	}
	return &dsregv1.JoinHybridDeviceResponse{Pending: id == nil, DeviceId: string(r.Computer.ID), TenantId: string(r.TenantID)}, nil
}

func hybridRequest(req *dsregv1.JoinHybridDeviceRequest) (enrol.HybridRequest, error) {
	tenant, err := ids.ParseTenant(req.GetTenantId())
	if err != nil {
		return enrol.HybridRequest{}, prterr.New(prterr.Invalid, "tenant_id is not a GUID")
	}
	computer, err := ids.ParseDevice(req.GetComputerId())
	switch {
	case err != nil:
		return enrol.HybridRequest{}, prterr.New(prterr.Invalid, "computer_id is not a GUID")
	case !state.IsSID(req.GetComputerSid()):
		return enrol.HybridRequest{}, prterr.New(prterr.Invalid, "computer_sid is not a security identifier such as S-1-5-21-1-2-3-1104")
	case !state.IsDomain(req.GetTargetDomain()):
		return enrol.HybridRequest{}, prterr.New(prterr.Invalid, "target_domain is not the name of a domain")
	case !IsDisplayName(req.GetDisplayName()):
		return enrol.HybridRequest{}, badName()
	}
	return enrol.HybridRequest{
		TenantID: tenant, DisplayName: req.GetDisplayName(),
		Computer: state.Computer{ID: computer, SID: req.GetComputerSid(), TargetDomain: req.GetTargetDomain()},
	}, nil
}

// DescribeComputerAccount is what the sync of the domain reads.
func (s *Registration) DescribeComputerAccount(ctx context.Context, _ *dsregv1.DescribeComputerAccountRequest) (*dsregv1.DescribeComputerAccountResponse, error) {
	a, err := s.Enroller.Account(ctx)
	if err != nil {
		return nil, err
	}
	return &dsregv1.DescribeComputerAccountResponse{
		ComputerId: string(a.Computer.ID), ComputerSid: a.Computer.SID, DisplayName: a.DisplayName,
		Certificate: a.Certificate, TenantId: string(a.TenantID),
	}, nil
}

// RecoverDevice gives a device with lost keys new ones, in the name of one of its
// administrators.
func (s *Registration) RecoverDevice(ctx context.Context, req *dsregv1.RecoverDeviceRequest) (*dsregv1.RecoverDeviceResponse, error) {
	user, password, err := credential(req.GetUserPrincipalName(), req.GetPassword())
	if err != nil {
		return nil, err
	}
	id, left, err := s.Enroller.Recover(ctx, user, password)
	s.Meter.recovered(ctx, "administrator", enrol.Recovered, err)
	if err != nil {
		return nil, err
	}
	return &dsregv1.RecoverDeviceResponse{DeviceId: string(id.DeviceID), TenantId: string(id.TenantID), LeftBehindDeviceId: string(left)}, nil
}

// MigrateDeviceKeys moves the device's keys from software to the TPM.
func (s *Registration) MigrateDeviceKeys(ctx context.Context, _ *dsregv1.MigrateDeviceKeysRequest) (*dsregv1.MigrateDeviceKeysResponse, error) {
	if _, err := s.Enroller.Migrate(ctx); err != nil {
		return nil, err
	}
	return &dsregv1.MigrateDeviceKeysResponse{KeyProvider: s.Enroller.Provider(ctx).Name}, nil
}

// Recovery serves prt.dsreg.v1.RecoveryService.
type Recovery struct {
	dsregv1.UnimplementedRecoveryServiceServer
	Enroller *enrol.Enroller
	Meter    *Meter
}

// StartRecovery does what the device can do by itself about lost keys.
func (s *Recovery) StartRecovery(ctx context.Context, _ *dsregv1.StartRecoveryRequest) (*dsregv1.StartRecoveryResponse, error) {
	outcome, err := s.Enroller.StartRecovery(ctx)
	s.Meter.recovered(ctx, "device", outcome, err)
	if err != nil {
		return nil, err
	}
	return &dsregv1.StartRecoveryResponse{Outcome: map[enrol.Outcome]dsregv1.RecoveryOutcome{
		enrol.NotNeeded:           dsregv1.RecoveryOutcome_RECOVERY_OUTCOME_NOT_NEEDED,
		enrol.Recovered:           dsregv1.RecoveryOutcome_RECOVERY_OUTCOME_RECOVERED,
		enrol.Waiting:             dsregv1.RecoveryOutcome_RECOVERY_OUTCOME_PENDING,
		enrol.AdministratorNeeded: dsregv1.RecoveryOutcome_RECOVERY_OUTCOME_ADMINISTRATOR_NEEDED,
	}[outcome]}, nil
}
