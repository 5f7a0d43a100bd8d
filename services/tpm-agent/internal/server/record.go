package server

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/keystore"
)

// StateRecords serves StateRecordService. Each caller has the record of its own name.
type StateRecords struct {
	tpmv1.UnimplementedStateRecordServiceServer
	Store *keystore.Store
}

func digestOf(b []byte) (keystore.Digest, error) {
	var d keystore.Digest
	if len(b) != len(d) {
		return d, prterr.New(prterr.Invalid, "digest: must be a SHA-256, %d bytes", len(d))
	}
	return keystore.Digest(b), nil
}

// BeginState announces a digest.
func (s *StateRecords) BeginState(ctx context.Context, r *tpmv1.BeginStateRequest) (*tpmv1.BeginStateResponse, error) {
	d, err := digestOf(r.GetDigest())
	if err != nil {
		return nil, err
	}
	return &tpmv1.BeginStateResponse{}, s.Store.BeginState(ctx, rpc.Caller(ctx), d)
}

// ConfirmState confirms it.
func (s *StateRecords) ConfirmState(ctx context.Context, r *tpmv1.ConfirmStateRequest) (*tpmv1.ConfirmStateResponse, error) {
	d, err := digestOf(r.GetDigest())
	if err != nil {
		return nil, err
	}
	return &tpmv1.ConfirmStateResponse{}, s.Store.ConfirmState(ctx, rpc.Caller(ctx), d)
}

// CheckState compares.
func (s *StateRecords) CheckState(ctx context.Context, r *tpmv1.CheckStateRequest) (*tpmv1.CheckStateResponse, error) {
	d, err := digestOf(r.GetDigest())
	if err != nil {
		return nil, err
	}
	outcome, err := s.Store.CheckState(ctx, rpc.Caller(ctx), d)
	if err != nil {
		return nil, err
	}
	return &tpmv1.CheckStateResponse{Outcome: map[keystore.StateOutcome]tpmv1.StateOutcome{
		keystore.StateCurrent: tpmv1.StateOutcome_STATE_OUTCOME_CURRENT,
		keystore.StateUnknown: tpmv1.StateOutcome_STATE_OUTCOME_NO_RECORD,
		keystore.StateStale:   tpmv1.StateOutcome_STATE_OUTCOME_STALE,
	}[outcome]}, nil
}
