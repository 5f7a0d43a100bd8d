package cloudap

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/partition"
)

// Cache is how the cache on disk is.
type Cache struct {
	// Quarantined files are kept aside and not used.
	Quarantined []durable.Quarantined
}

// Cache tells how the cache on disk is.
func (c *CloudAP) Cache() Cache { return Cache{Quarantined: c.files.Quarantined()} }

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
