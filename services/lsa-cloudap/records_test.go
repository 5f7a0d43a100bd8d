package lsacloudap_test

import (
	"bytes"
	"context"
	"sync"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
)

// fakeRecords remembers the state of the component as the tpm-agent does.
type fakeRecords struct {
	tpmv1.UnimplementedStateRecordServiceServer
	faults

	mu            sync.Mutex
	current, next []byte
	// begun counts the writes.
	begun int
}

func (f *fakeRecords) BeginState(ctx context.Context, r *tpmv1.BeginStateRequest) (*tpmv1.BeginStateResponse, error) {
	if err := f.strike(ctx, "BeginState"); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next = r.GetDigest()
	f.begun++
	return &tpmv1.BeginStateResponse{}, nil
}

func (f *fakeRecords) ConfirmState(ctx context.Context, r *tpmv1.ConfirmStateRequest) (*tpmv1.ConfirmStateResponse, error) {
	if err := f.strike(ctx, "ConfirmState"); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !bytes.Equal(f.next, r.GetDigest()) {
		return nil, prterr.New(prterr.Conflict, "digest: it is not the one that was announced")
	}
	f.current, f.next = f.next, nil
	return &tpmv1.ConfirmStateResponse{}, nil
}

func (f *fakeRecords) CheckState(ctx context.Context, r *tpmv1.CheckStateRequest) (*tpmv1.CheckStateResponse, error) {
	if err := f.strike(ctx, "CheckState"); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	out := tpmv1.StateOutcome_STATE_OUTCOME_CURRENT
	switch d := r.GetDigest(); {
	case f.current == nil && f.next == nil:
		return &tpmv1.CheckStateResponse{Outcome: tpmv1.StateOutcome_STATE_OUTCOME_NO_RECORD}, nil
	case f.next != nil && bytes.Equal(f.next, d):
		f.current, f.next = f.next, nil
	case bytes.Equal(f.current, d):
		f.next = nil
	default:
		out = tpmv1.StateOutcome_STATE_OUTCOME_STALE
	}
	return &tpmv1.CheckStateResponse{Outcome: out}, nil
}

// forget is what clearing the TPM does.
func (f *fakeRecords) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.current, f.next = nil, nil
}
