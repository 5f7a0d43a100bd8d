package statefiles

import (
	"context"
	"time"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/step"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
)

// recordTime bounds a call about the record of the cache, which writes wait for.
const recordTime = 3 * time.Second

// RemoteRecords is the tpm-agent's memory, over a connection to it. The agent keeps a
// record for each component that calls it, by the name it is authenticated as.
type RemoteRecords struct {
	service tpmv1.StateRecordServiceClient
}

// NewRemoteRecords uses a connection.
func NewRemoteRecords(conn grpc.ClientConnInterface) RemoteRecords {
	return RemoteRecords{tpmv1.NewStateRecordServiceClient(conn)}
}

// call has a context of its own: a write that was begun is ended, whoever gave up
// waiting. Keeping files is a step of no flow.
func (r RemoteRecords) call() (context.Context, context.CancelFunc) {
	return context.WithTimeout(step.Outside(context.Background()), recordTime)
}

// Begin announces a digest.
func (r RemoteRecords) Begin(digest [32]byte) error {
	ctx, cancel := r.call()
	defer cancel()
	_, err := r.service.BeginState(ctx, &tpmv1.BeginStateRequest{Digest: digest[:]})
	return err
}

// Confirm makes it the current one.
func (r RemoteRecords) Confirm(digest [32]byte) error {
	ctx, cancel := r.call()
	defer cancel()
	_, err := r.service.ConfirmState(ctx, &tpmv1.ConfirmStateRequest{Digest: digest[:]})
	return err
}

// Check compares; an answer is read as from a stranger.
func (r RemoteRecords) Check(digest [32]byte) (Outcome, error) {
	ctx, cancel := r.call()
	defer cancel()
	a, err := r.service.CheckState(ctx, &tpmv1.CheckStateRequest{Digest: digest[:]})
	switch {
	case err != nil:
		return 0, err
	case a.GetOutcome() == tpmv1.StateOutcome_STATE_OUTCOME_CURRENT:
		return Current, nil
	case a.GetOutcome() == tpmv1.StateOutcome_STATE_OUTCOME_NO_RECORD:
		return NoRecord, nil
	case a.GetOutcome() == tpmv1.StateOutcome_STATE_OUTCOME_STALE:
		return Stale, nil
	}
	return 0, prterr.New(prterr.TPMFailed, "tpm-agent: answer is not usable: outcome is none of the known ones")
}
