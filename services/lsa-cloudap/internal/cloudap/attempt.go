package cloudap

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/authority"
	"github.com/lockstep-sso/lockstep/pkg/eventlog"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/wincode"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/partition"
)

// maxNamedAttempts bounds what is kept of user names without a partition, which anybody
// at the lock screen can make up: with one more, the oldest is forgotten.
const maxNamedAttempts = 64

// named is who tries with what, before it is known whose partition that is.
type named struct {
	upn  ids.UPN
	kind partition.Kind
}

// attempts keeps the last failure of each kind. It is in memory only: after a restart
// there is none.
type attempts struct {
	mu      sync.Mutex
	acquire map[named]authority.Attempt
	refresh map[partition.Key]authority.Attempt
}

func newAttempts() *attempts {
	return &attempts{acquire: map[named]authority.Attempt{}, refresh: map[partition.Key]authority.Attempt{}}
}

// acquiring begins an attempt to obtain a PRT; the caller ends it with how it ended.
func (c *CloudAP) acquiring(ctx context.Context, upn ids.UPN, cred proof) func(error) {
	who := named{upn, cred.kind()}
	return c.attempt(ctx, who, "obtain", func(a *authority.Attempt) {
		c.attempts.mu.Lock()
		defer c.attempts.mu.Unlock()
		if a == nil {
			delete(c.attempts.acquire, who)
			return
		}
		c.attempts.acquire[who] = *a
		if len(c.attempts.acquire) > maxNamedAttempts {
			c.attempts.forgetOldest()
		}
	})
}

// refreshing is the same for a renewal.
func (c *CloudAP) refreshing(ctx context.Context, e *entry) func(error) {
	p, _ := e.snapshot()
	return c.attempt(ctx, named{p.UPN, e.key.Kind}, "renew", func(a *authority.Attempt) {
		c.attempts.mu.Lock()
		defer c.attempts.mu.Unlock()
		if a == nil {
			delete(c.attempts.refresh, e.key)
			return
		}
		c.attempts.refresh[e.key] = *a
	})
}

// attempt brackets with the events 1006 and 1007 and keeps a failure.
func (c *CloudAP) attempt(ctx context.Context, who named, what string, keep func(*authority.Attempt)) func(error) {
	add := func(id uint32, level eventlog.Level, message string, status wincode.Code, fields ...eventlog.Field) {
		c.cfg.Events.Add(ctx, eventlog.Event{
			Channel: eventlog.AADAnalytic, ID: id, Level: level, Message: message, Status: uint32(status), Fields: fields,
		})
	}
	add(1006, eventlog.Information, "An attempt to "+what+" a PRT begins.", 0, eventlog.Field{Name: "CredentialType", Value: authority.CredentialType(string(who.kind))})
	add(1144, eventlog.Information, "The user of the attempt.", 0, eventlog.Field{Name: "UPN", Value: string(who.upn)})
	return func(err error) {
		if err == nil {
			keep(nil)
			add(1007, eventlog.Information, "The attempt to "+what+" a PRT ended well.", 0)
			return
		}
		a := authority.Failed(ctx, c.cfg.Clock.Now(), err)
		a.UPN, a.Kind, a.Message = who.upn, string(who.kind), message(err)
		keep(&a)
		add(1007, eventlog.Error, "The attempt to "+what+" a PRT failed.", a.Status,
			eventlog.Field{Name: "Status", Value: a.Status.String()}, eventlog.Field{Name: "Error", Value: a.Message})
	}
}

// forgetOldest drops one; attempts.mu is held.
func (a *attempts) forgetOldest() {
	var oldest named
	var at time.Time
	for who, one := range a.acquire {
		if at.IsZero() || one.At.Before(at) {
			oldest, at = who, one.At
		}
	}
	delete(a.acquire, oldest)
}

// of are the last failures for a partition, each zero unless it is younger than the PRT.
func (a *attempts) of(p partition.Partition) (acquire, refresh authority.Attempt) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if one := a.acquire[named{p.UPN, attemptKind(p.Kind)}]; one.At.After(p.ObtainedAt) {
		acquire = one
	}
	if one := a.refresh[p.Key]; one.At.After(p.ObtainedAt) {
		refresh = one
	}
	return acquire, refresh
}

// Attempts are the failures to obtain a PRT that belong to no partition, the newest
// first.
func (c *CloudAP) Attempts() []authority.Attempt {
	known := map[named]bool{}
	for _, s := range c.States() {
		known[named{s.UPN, attemptKind(s.Kind)}] = true
	}
	c.attempts.mu.Lock()
	defer c.attempts.mu.Unlock()
	var found []authority.Attempt
	for who, a := range c.attempts.acquire {
		if !known[who] {
			found = append(found, a)
		}
	}
	slices.SortFunc(found, func(a, b authority.Attempt) int { return b.At.Compare(a.At) })
	return found
}

// kind of partition that a credential is for; what a page proves is not known before
// its end.
func (p proof) kind() partition.Kind {
	switch {
	case p.hello != nil:
		return partition.Hello
	case p.card != nil:
		return partition.SmartCard
	case p.page != nil:
		return partition.Web
	default:
		return partition.Password
	}
}

// attemptKind is under which kind an attempt for a partition of kind k was kept.
func attemptKind(k partition.Kind) partition.Kind {
	if k == partition.FIDO || k == partition.AccessPass {
		return partition.Web
	}
	return k
}
