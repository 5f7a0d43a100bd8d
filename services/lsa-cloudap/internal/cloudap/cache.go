package cloudap

import (
	"context"
	"slices"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/hello"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/local"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/partition"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/statefiles"
)

// Cache is how the cache on disk is.
type Cache struct {
	// Verification against what the tpm-agent remembers of it.
	Verification statefiles.Verification
	// Quarantined files are kept aside and not used.
	Quarantined []durable.Quarantined
}

// Cache tells how the cache on disk is.
func (c *CloudAP) Cache() Cache { return Cache{c.files.Verification(), c.files.Quarantined()} }

// settleCache does what is left to do of the check of the start, and forgets what was
// read of files that turn out to be old ones: their sessions end, because nobody can
// tell who they belong to. Whoever is about to rely on the cache, or to write to it,
// calls it first. It needs no lock held.
func (c *CloudAP) settleCache(ctx context.Context) {
	old := c.files.Settle()
	c.mu.Lock()
	for k, e := range c.entries {
		if slices.Contains(old, partition.FileName(k)) {
			c.retire(e)
		}
	}
	for u := range c.hellos {
		if slices.Contains(old, hello.FileName(u)) {
			delete(c.hellos, u)
		}
	}
	c.mu.Unlock()
	if slices.Contains(old, local.FileName) {
		if err := c.locals.Forget(); err != nil {
			c.cfg.Log.ErrorContext(ctx, "an old file of local accounts could not be removed", "error", err)
		}
		c.dropLocal(func(*session) bool { return true })
	}
	c.sealOld(ctx)
}

// cacheUsable refuses sign-in from a cache that could not be checked, where the policy
// says so. The identity provider may still let the user in.
func (c *CloudAP) cacheUsable() error {
	if c.cfg.RefuseUnverified && c.files.Verification() == statefiles.Pending {
		return refusal{err: prterr.New(prterr.Unavailable, "the cache could not be checked against the TPM yet, and is not used until it was: start the tpm-agent, or sign in with the network")}
	}
	return nil
}

// sealOld has PRTs sealed that an earlier release left in the clear. What cannot be
// sealed now stays as it is until the next time.
func (c *CloudAP) sealOld(ctx context.Context) {
	c.mu.Lock()
	var old []*entry
	for _, e := range c.entries {
		if p, ok := e.snapshot(); ok && !p.PRT.Empty() {
			old = append(old, e)
		}
	}
	c.mu.Unlock()
	for _, e := range old {
		if err := c.sealOne(ctx, e); err != nil {
			c.cfg.Log.WarnContext(ctx, "a PRT of an earlier release stays in the clear for now", "user", e.key.User, "kind", e.key.Kind, "error", err)
		}
	}
}

func (c *CloudAP) sealOne(ctx context.Context, e *entry) error {
	old, ok := e.snapshot()
	if !ok || old.PRT.Empty() {
		return nil
	}
	sealed, err := c.tpm.protectPRT(ctx, e.key, old.PRT)
	if err != nil {
		return err
	}
	return c.replace(e, func(p *partition.Partition) error {
		if p.SamePRT(old) {
			p.SetPRT(old.PRT, sealed)
		}
		return nil
	})
}

// recordTime bounds a call about the record of the cache, which writes wait for.
const recordTime = 3 * time.Second

// records is the tpm-agent's memory of this component's files.
type records struct {
	service tpmv1.StateRecordServiceClient
}

func newRecords(conn grpc.ClientConnInterface) records {
	return records{tpmv1.NewStateRecordServiceClient(conn)}
}

// call has a context of its own: a write that was begun is ended, whoever gave up
// waiting. It is under a span that is not recorded, because keeping files is a step of
// no flow.
func (r records) call() (context.Context, context.CancelFunc) {
	silent := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, Remote: true})
	return context.WithTimeout(trace.ContextWithRemoteSpanContext(context.Background(), silent), recordTime)
}

func (r records) Begin(digest [32]byte) error {
	ctx, cancel := r.call()
	defer cancel()
	_, err := r.service.BeginState(ctx, &tpmv1.BeginStateRequest{Digest: digest[:]})
	return err
}

func (r records) Confirm(digest [32]byte) error {
	ctx, cancel := r.call()
	defer cancel()
	_, err := r.service.ConfirmState(ctx, &tpmv1.ConfirmStateRequest{Digest: digest[:]})
	return err
}

func (r records) Check(digest [32]byte) (statefiles.Outcome, error) {
	ctx, cancel := r.call()
	defer cancel()
	a, err := r.service.CheckState(ctx, &tpmv1.CheckStateRequest{Digest: digest[:]})
	switch {
	case err != nil:
		return 0, err
	case a.GetOutcome() == tpmv1.StateOutcome_STATE_OUTCOME_CURRENT:
		return statefiles.Current, nil
	case a.GetOutcome() == tpmv1.StateOutcome_STATE_OUTCOME_NO_RECORD:
		return statefiles.NoRecord, nil
	case a.GetOutcome() == tpmv1.StateOutcome_STATE_OUTCOME_STALE:
		return statefiles.Stale, nil
	}
	return 0, prterr.New(prterr.TPMFailed, "tpm-agent: answer is not usable: outcome is none of the known ones")
}
