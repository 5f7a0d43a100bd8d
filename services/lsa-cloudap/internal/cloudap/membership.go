package cloudap

import (
	"context"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/eventlog"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/step"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/hello"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/partition"
)

// EventFormerMembership is a cached sign-in that was dropped because the device has left
// the tenant as whose member it was cached. Windows has no event for it; ids from 9000 are
// Lockstep's own.
const EventFormerMembership = 9006

// memberWait is how much longer than the check of the credential, which goes on meanwhile,
// a sign-in from the cache waits for device registration.
const memberWait = time.Second

// askMembership has device registration asked whose member this device is. The channel is
// closed when there is an answer, or none to come. The question goes on when nobody waits
// any more: what it hears counts for whoever comes next. It is a step of no flow.
func (c *CloudAP) askMembership(ctx context.Context) <-chan struct{} {
	ctx = step.Outside(context.WithoutCancel(ctx))
	answered := make(chan struct{})
	c.behind(func() {
		defer close(answered)
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(c.questions, cancel)()
		if _, err := c.recovery.state(ctx, c.cfg.CallTimeout); err != nil {
			c.cfg.Log.InfoContext(ctx, "device registration does not say whose member this device is: its last answer counts", "error", err)
		}
	}, func() { close(answered) })
	return answered
}

// behind runs something that nobody waits for, or says that it is too late for that.
func (c *CloudAP) behind(do, closing func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		closing()
		return
	}
	c.running.Go(do)
}

// former reports whether a partition is none of the present membership, which is empty
// when the device is in no tenant that people sign in to it with. One that does not name
// its own is taken for the present one.
func former(p partition.Partition, present ids.MembershipID) bool {
	return present == "" || p.Membership != "" && p.Membership != present
}

// stillMember refuses what was cached as a member of a tenant that the device has left
// since, also when it is in it again. Silence is no answer: then the last one counts that
// device registration ever gave, and without one the cache lets in, so that its outage
// costs nobody the desktop. A refusal goes before what the caller found out about the
// credential, and is the same for a right one and a wrong one.
func (c *CloudAP) stillMember(ctx context.Context, e *entry, answered <-chan struct{}) error {
	wait := time.NewTimer(memberWait)
	defer wait.Stop()
	select {
	case <-answered:
	case <-wait.C:
	case <-ctx.Done():
	}
	present, known := c.recovery.said.last()
	p, there := e.snapshot()
	switch {
	case !there:
		return replacedMeanwhile()
	case !known:
		return nil
	case former(p, present):
		c.dropFormer(ctx, e, present)
		c.behind(func() { c.dropFormers(context.WithoutCancel(ctx)) }, func() {})
		return refusal{err: formerMember(), former: true}
	case p.Membership == "":
		c.behind(func() { c.nameMembership(context.WithoutCancel(ctx), e, present) }, func() {})
	}
	return nil
}

// whyFormer is why the cache of a former member lets nobody in.
const whyFormer = "this device has left its tenant, or joined anew, since this user signed in to it, so the cache does not let in"

func formerMember() *prterr.Error {
	return prterr.New(prterr.Conflict, "%s: sign in with the network", whyFormer)
}

// nameMembership writes into a partition of an earlier release whose member the device is.
func (c *CloudAP) nameMembership(ctx context.Context, e *entry, present ids.MembershipID) {
	c.note(ctx, e, func(p *partition.Partition) {
		if p.Membership == "" {
			p.Membership = present
		}
	})
}

// entryOf finds or makes the entry for a PRT that was obtained just now. What is there of a
// former membership goes first: neither its password nor the desktops that it opened take
// part in what is proven today.
func (c *CloudAP) entryOf(ctx context.Context, got issued) *entry {
	e := c.entryFor(got.key)
	if p, there := e.snapshot(); !there || got.membership == "" || !former(p, got.membership) {
		return e
	}
	c.dropFormer(ctx, e, got.membership)
	return c.entryFor(got.key)
}

// dropFormers forgets all that was cached under a former membership.
func (c *CloudAP) dropFormers(ctx context.Context) {
	present, known := c.recovery.said.last()
	if !known {
		return
	}
	for _, e := range c.entriesWhere(func(p partition.Partition) bool { return former(p, present) }) {
		c.dropFormer(ctx, e, present)
	}
}

// dropFormer forgets a partition of a former membership, and says so.
func (c *CloudAP) dropFormer(ctx context.Context, e *entry, present ids.MembershipID) {
	p, dropped := c.forgetFormer(e, present)
	if !dropped {
		return // somebody else was here, or it has a PRT of the present membership now
	}
	c.cfg.Log.WarnContext(ctx, "the device has left the tenant as whose member a sign-in was cached: it was dropped", "user", p.User, "kind", p.Kind)
	c.cfg.Events.Add(ctx, eventlog.Event{
		Channel: eventlog.AADOperational, ID: EventFormerMembership, Level: eventlog.Warning,
		Message: "The device has left the tenant, or joined anew, since this user signed in: the cached sign-in was dropped, and the user signs in as for the first time.",
		Fields:  []eventlog.Field{{Name: "UPN", Value: string(p.UPN)}, {Name: "CredentialType", Value: string(p.Kind)}},
	})
}

// forgetFormer forgets a partition, and the record of a Windows Hello key that ended with
// the same membership. Open sessions stay open without a PRT, because the desktop is the
// user's; they unlock with the network. The partition goes last: a crash leaves it, and with
// it the reason to come back here.
func (c *CloudAP) forgetFormer(e *entry, present ids.MembershipID) (partition.Partition, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	// Nothing is written into it any more from here on: a PRT of today that arrives now
	// would go with it.
	e.writing.Lock()
	defer e.writing.Unlock()
	p, there := e.snapshot()
	if !there || c.entries[e.key] != e || !former(p, present) {
		return p, false
	}
	if latest, known := c.recovery.said.last(); known && p.Membership != "" && p.Membership == latest {
		return p, false // what the caller had heard is of before
	}
	for d, s := range c.sessions {
		if s.entry == e {
			c.detach(s)
			s.was, s.upn, s.name = e.key, p.UPN, p.DisplayName
			c.dropPages(d)
		}
	}
	if u := (hello.User{Tenant: e.key.Tenant, User: e.key.User}); !c.hasOther(e, present) {
		if _, there := c.hellos[u]; there && c.forgetHello(u) != nil {
			delete(c.hellos, u) // its file stays, which is in the log, and names a key that the TPM does not know
		}
	}
	c.retireHeld(e)
	return p, true
}

// hasOther reports whether the user of a partition has another one of the present
// membership. CloudAP.mu is held.
func (c *CloudAP) hasOther(e *entry, present ids.MembershipID) bool {
	for k, other := range c.entries {
		if p, there := other.snapshot(); other != e && there && sameUser(k, e.key) && !former(p, present) {
			return true
		}
	}
	return false
}
