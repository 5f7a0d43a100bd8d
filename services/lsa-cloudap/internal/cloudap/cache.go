package cloudap

import (
	"context"
	"slices"

	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/statefiles"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/hello"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/local"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/partition"
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
