package cloudap

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/lockstep-sso/lockstep/pkg/authority"
	"github.com/lockstep-sso/lockstep/pkg/authority/lastattempt"
	"github.com/lockstep-sso/lockstep/pkg/eventlog"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/wincode"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/partition"
)

// obtaining is under which name it is kept that somebody tries with a kind of credential,
// before it is known whose partition that is. Neither part has a space.
func obtaining(upn ids.UPN, kind partition.Kind) lastattempt.Name {
	return lastattempt.Name{What: lastattempt.Obtain, Of: string(kind) + " " + string(upn)}
}

func renewing(k partition.Key) lastattempt.Name {
	return lastattempt.Name{What: lastattempt.Renew, Of: partition.FileName(k)}
}

// acquiring begins an attempt to obtain a PRT; the caller ends it with how it ended.
func (c *CloudAP) acquiring(ctx context.Context, upn ids.UPN, cred proof) func(error) {
	return c.counted(ctx, cred.kind(), c.attempt(ctx, obtaining(upn, cred.kind()), upn, cred.kind()))
}

// refreshing is the same for a renewal.
func (c *CloudAP) refreshing(ctx context.Context, e *entry) func(error) {
	p, _ := e.snapshot()
	return c.countedRenewal(ctx, p, c.attempt(ctx, renewing(e.key), p.UPN, e.key.Kind))
}

// attempt brackets with the events 1006 and 1007 and keeps a failure.
func (c *CloudAP) attempt(ctx context.Context, name lastattempt.Name, upn ids.UPN, kind partition.Kind) func(error) {
	what := string(name.What)
	add := func(id uint32, level eventlog.Level, message string, status wincode.Code, fields ...eventlog.Field) {
		c.cfg.Events.Add(ctx, eventlog.Event{
			Channel: eventlog.AADAnalytic, ID: id, Level: level, Message: message, Status: uint32(status), Fields: fields,
		})
	}
	add(1006, eventlog.Information, "An attempt to "+what+" a PRT begins.", 0, eventlog.Field{Name: "CredentialType", Value: authority.CredentialType(string(kind))})
	add(1144, eventlog.Information, "The user of the attempt.", 0, eventlog.Field{Name: "UPN", Value: string(upn)})
	return func(err error) {
		if err == nil {
			c.attempts.Drop(name)
			add(1007, eventlog.Information, "The attempt to "+what+" a PRT ended well.", 0)
			return
		}
		a := authority.Failed(ctx, c.cfg.Clock.Now(), err)
		a.UPN, a.Kind, a.Message = upn, string(kind), message(err)
		c.attempts.Set(name, a)
		add(1007, eventlog.Error, "The attempt to "+what+" a PRT failed.", a.Status,
			eventlog.Field{Name: "Status", Value: a.Status.String()}, eventlog.Field{Name: "Error", Value: a.Message})
	}
}

// lastAttempts are the last failures for a partition, each zero unless it is younger than
// the PRT.
func (c *CloudAP) lastAttempts(p partition.Partition) (acquire, refresh authority.Attempt) {
	if one := c.attempts.Get(obtaining(p.UPN, attemptKind(p.Kind))); one.At.After(p.ObtainedAt) {
		acquire = one
	}
	if one := c.attempts.Get(renewing(p.Key)); one.At.After(p.ObtainedAt) {
		refresh = one
	}
	return acquire, refresh
}

// Attempts are the failures to obtain a PRT that belong to no partition, the newest
// first.
func (c *CloudAP) Attempts() []authority.Attempt {
	found := c.attempts.All(lastattempt.Obtain)
	for _, s := range c.States() {
		delete(found, obtaining(s.UPN, attemptKind(s.Kind)))
	}
	return slices.SortedFunc(maps.Values(found), func(a, b authority.Attempt) int {
		return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.UPN, b.UPN))
	})
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
