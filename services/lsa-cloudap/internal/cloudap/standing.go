package cloudap

import (
	"context"
	"slices"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/partition"
)

// hresultAccountDisabled is ERROR_ACCOUNT_DISABLED, as STATUS_ACCOUNT_DISABLED
// (0xC0000072) becomes.
const hresultAccountDisabled = 0x80070533

// blocks reports whether an error is the identity provider's word that it wants no
// sign-in of the user: disabled, deleted, or no user of the tenant any more. A word
// about the device is none: who is signed in on a device that was disabled or deleted
// may go on signing in locally.
func blocks(err error) (aadsts.Code, bool) {
	code := prterr.CodeOf(err)
	return code, slices.Contains([]aadsts.Code{aadsts.UserDisabled, aadsts.UserAccountNotFound, aadsts.UserNotInTenant, aadsts.UserNotInDirectory}, code)
}

// verdict is what an error of the identity provider says of the PRT that was used;
// false when it says nothing of it.
func verdict(err error) (partition.Validity, bool) {
	switch prterr.CodeOf(err) {
	case aadsts.FreshTokenNeeded, aadsts.SessionRevoked, aadsts.InvalidGrant, aadsts.InvalidSessionKey:
		return partition.Revoked, true
	case aadsts.ExpiredToken, aadsts.ExpiredGrant:
		return partition.Ended, true
	case aadsts.DeviceAuthenticationFailed, aadsts.DeviceDisabled, aadsts.DeviceInformationNotPresent, aadsts.KeyNotFound:
		return partition.DeviceInvalid, true
	default:
		return partition.Good, false
	}
}

// learn keeps what the refusal of a partition's own PRT says of it and of its user.
func (c *CloudAP) learn(ctx context.Context, e *entry, err error) {
	if code, ok := blocks(err); ok {
		c.block(ctx, c.ofUser(e.key), code)
		return
	}
	p, there := e.snapshot()
	if v, ok := verdict(err); ok && there && v != p.Validity {
		c.note(ctx, e, func(p *partition.Partition) { p.Validity = v })
	}
}

// learnByName keeps what the refusal of a sign-in says of the user of a name.
func (c *CloudAP) learnByName(ctx context.Context, upn ids.UPN, err error) {
	if code, ok := blocks(err); ok && upn != "" {
		c.block(ctx, c.entriesWhere(func(p partition.Partition) bool { return p.UPN == upn }), code)
	}
}

// block keeps the user of these partitions out of the cache, also after a restart.
// Sessions that are open stay.
func (c *CloudAP) block(ctx context.Context, all []*entry, code aadsts.Code) {
	now := c.cfg.Clock.Now()
	for _, e := range all {
		if p, ok := e.snapshot(); ok && p.BlockedCode != code {
			c.cfg.Log.WarnContext(ctx, "the identity provider wants no sign-in of this user: the cache does not let in any more", "user", e.key.User, "kind", e.key.Kind, "code", code.String())
			c.note(ctx, e, func(p *partition.Partition) { p.BlockedCode, p.BlockedAt = code, now })
		}
	}
}

// accepted is what changes in a partition whose user the identity provider has just
// taken.
func accepted(p *partition.Partition, now time.Time) {
	p.LastOnlineAt, p.Validity = now, partition.Good
	p.BlockedCode, p.BlockedAt = 0, time.Time{}
}

// welcome undoes a block in the user's other partitions, when one was accepted.
func (c *CloudAP) welcome(ctx context.Context, e *entry) {
	if err := c.offline.Online(c.cfg.Clock.Now()); err != nil {
		c.cfg.Log.ErrorContext(ctx, "the time of the contact could not be kept", "error", err)
	}
	for _, other := range c.ofUser(e.key) {
		if p, ok := other.snapshot(); ok && p.BlockedCode != 0 {
			c.note(ctx, other, func(p *partition.Partition) { p.BlockedCode, p.BlockedAt = 0, time.Time{} })
		}
	}
}

// note changes a partition beside its PRT. What cannot be written is in the log, and is
// learnt again at the next refusal.
func (c *CloudAP) note(ctx context.Context, e *entry, change func(*partition.Partition)) {
	err := c.replace(e, func(p *partition.Partition) error { change(p); return nil })
	if err != nil {
		c.cfg.Log.ErrorContext(ctx, "what was learnt of a user could not be kept", "user", e.key.User, "error", err)
	}
}

// mayEnter decides whether the cache lets in the user of a partition, whose credential
// was found right before: nobody learns more by a wrong one.
func (c *CloudAP) mayEnter(e *entry) error {
	p, ok := e.snapshot()
	if !ok {
		return replacedMeanwhile()
	}
	if p.BlockedCode != 0 {
		refused := prterr.New(prterr.Denied, "the identity provider has said that this account is disabled or deleted, so the cache does not let it in: connect to the network to ask again")
		refused.Code = p.BlockedCode
		return refusal{err: refused.WithHRESULT(hresultAccountDisabled)}
	}
	if err := c.offline.Check(c.cfg.Clock.Now(), c.lastOnline(e.key)); err != nil {
		return asRefusal(err)
	}
	return nil
}

// lastOnline is when the identity provider last accepted a user, whatever with.
func (c *CloudAP) lastOnline(k partition.Key) time.Time {
	var last time.Time
	for _, e := range c.ofUser(k) {
		if p, ok := e.snapshot(); ok && p.LastOnlineAt.After(last) {
			last = p.LastOnlineAt
		}
	}
	return last
}

// ofUser are the partitions of one user.
func (c *CloudAP) ofUser(k partition.Key) []*entry {
	return c.entriesWhere(func(p partition.Partition) bool { return sameUser(p.Key, k) })
}

func (c *CloudAP) entriesWhere(match func(partition.Partition) bool) []*entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []*entry
	for _, e := range c.entries {
		if p, ok := e.snapshot(); ok && match(p) {
			found = append(found, e)
		}
	}
	return found
}

// OpenBreakGlass lifts the offline limit for a while; CloseBreakGlass ends that.
func (c *CloudAP) OpenBreakGlass(ctx context.Context, d time.Duration) (time.Time, error) {
	until, err := c.offline.Open(c.cfg.Clock.Now(), d)
	if err == nil {
		c.cfg.Log.WarnContext(ctx, "break-glass: the offline limit is lifted", "until", until)
	}
	return until, err
}

// CloseBreakGlass puts the offline limit back.
func (c *CloudAP) CloseBreakGlass(ctx context.Context) error {
	err := c.offline.Close()
	if err == nil {
		c.cfg.Log.InfoContext(ctx, "break-glass was closed")
	}
	return err
}
