package cloudap

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/authority"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/sid"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/hello"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/partition"
)

// State is what can be shown of one partition.
type State struct {
	partition.Partition
	// Authority is the address of the issuer.
	Authority      string
	RenewalRunning bool
	LastError      string
	// KeysLost and Over are true when the session key is lost with the TPM and when the
	// PRT is past its end. Sessions use the partition.
	KeysLost, Over bool
	Sessions       int
	// Acquire and Refresh are the last failures, if they are younger than the PRT.
	Acquire, Refresh authority.Attempt
}

// States lists the partitions by user name and kind.
func (c *CloudAP) States() []State {
	now := c.cfg.Clock.Now()
	c.mu.Lock()
	all := make([]State, 0, len(c.entries))
	for _, e := range c.entries {
		if p, ok := e.snapshot(); ok {
			e.mu.Lock()
			s := State{
				Partition: p, Authority: c.cfg.SignInURL + "/" + string(p.Tenant), RenewalRunning: e.flight != nil, LastError: e.lastError,
				KeysLost: e.keysLost, Over: p.Expired(now), Sessions: e.sessions,
			}
			e.mu.Unlock()
			s.Acquire, s.Refresh = c.lastAttempts(p)
			all = append(all, s)
		}
	}
	c.mu.Unlock()
	slices.SortFunc(all, func(a, b State) int { return cmp.Or(cmp.Compare(a.UPN, b.UPN), cmp.Compare(a.Kind, b.Kind)) })
	return all
}

// UserState is what can be shown of one user of a tenant.
type UserState struct {
	UPN ids.UPN
	SID sid.SID
	// Hello has no prerequisites where they were not asked for or could not be seen.
	Hello       HelloState
	BlockedCode aadsts.Code
	BlockedAt   time.Time
}

// Users lists the users of tenants that have a partition here, by name. The
// prerequisites of Windows Hello are looked at when they are asked for: device
// registration and the TPM know them.
func (c *CloudAP) Users(ctx context.Context, prerequisites bool) []UserState {
	var all []UserState
	newest := map[hello.User]partition.Partition{}
	for _, s := range c.States() {
		u := hello.User{Tenant: s.Tenant, User: s.User}
		if old, ok := newest[u]; !ok || s.LastOnlineAt.After(old.LastOnlineAt) {
			newest[u] = s.Partition
		}
	}
	for u, p := range newest {
		state := UserState{UPN: p.UPN, SID: sidOf(p), Hello: c.knownHello(u), BlockedCode: p.BlockedCode, BlockedAt: p.BlockedAt}
		if prerequisites {
			if h, err := c.describeHello(ctx, p); err == nil {
				state.Hello = h
			} else {
				c.cfg.Log.WarnContext(ctx, "the prerequisites of Windows Hello could not be looked at", "user", p.User, "error", err)
			}
		}
		all = append(all, state)
	}
	slices.SortFunc(all, func(a, b UserState) int { return cmp.Or(cmp.Compare(a.UPN, b.UPN), cmp.Compare(a.SID, b.SID)) })
	return all
}

// knownHello is what this component knows by itself of a user's key.
func (c *CloudAP) knownHello(u hello.User) HelloState {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, ok := c.hellos[u]
	h := HelloState{Set: ok, KeyID: r.KeyID, CanReset: "none"}
	switch {
	case len(r.WrappedReset) > 0:
		h.CanReset = "DestructiveAndNonDestructive"
	case ok:
		h.CanReset = "DestructiveOnly"
	}
	return h
}

// OfflineLimit is how long the cache lets in without the identity provider, 0 without a
// limit, and until when that is lifted.
func (c *CloudAP) OfflineLimit() (limit time.Duration, breakGlass time.Time) {
	return c.offline.Lifetime(), c.offline.BreakGlassUntil(c.cfg.Clock.Now())
}
