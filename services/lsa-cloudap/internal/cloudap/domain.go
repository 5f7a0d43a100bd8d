package cloudap

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/authority/artefact"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/pkg/sid"
	"github.com/lockstep-sso/lockstep/pkg/step"
	domainv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/domain/v1"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	stepv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/step/v1"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/partition"
)

// ticketLife bounds how long a typed password is kept for a PRT that is to come: the
// life of a ticket-granting ticket, whatever the domain says.
const ticketLife = 10 * time.Hour

// ticket is what the domain gives who may use its computers.
type ticket struct {
	sid   sid.SID
	name  string
	until time.Time
}

// domain is the domain controller; the zero value is none.
type domain struct {
	service domainv1.DomainServiceClient
	timeout time.Duration
}

func newDomain(conn grpc.ClientConnInterface, timeout time.Duration) domain {
	if conn == nil {
		return domain{}
	}
	return domain{service: domainv1.NewDomainServiceClient(conn), timeout: timeout}
}

// ticket asks the domain; its answer is read as from a stranger.
func (d domain) ticket(ctx context.Context, upn ids.UPN, password secret.Text, now time.Time) (ticket, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	a, err := d.service.RequestTicket(ctx, &domainv1.RequestTicketRequest{UserPrincipalName: string(upn), Password: password.Reveal()})
	if err != nil {
		return ticket{}, err
	}
	who, err := sid.Parse(a.GetSid())
	if err != nil || who.Entra() || len(a.GetDisplayName()) > artefact.MaxName || a.GetValidUntil().CheckValid() != nil {
		return ticket{}, prterr.New(prterr.Unavailable, "domain: answer is not usable")
	}
	until := now.Add(ticketLife)
	if end := a.GetValidUntil().AsTime(); end.Before(until) {
		until = end
	}
	return ticket{sid: who, name: a.GetDisplayName(), until: until}, nil
}

// domainLogon is the sign-in with a password to a computer that is joined to a domain as
// well: the domain lets in, with a ticket, and the PRT may come later. in is false where
// this way is none: no such computer, the domain is out of reach, or it is not the
// user's. A password that the domain refuses is refused, whatever the cache knows.
func (c *CloudAP) domainLogon(ctx context.Context, upn ids.UPN, cred proof, e *entry) (_ Logon, in bool, _ error) {
	t, in, err := c.askDomain(ctx, upn, cred.password)
	if !in || err != nil {
		return Logon{}, false, err
	}
	// Device registration was asked just now, whether the device is a domain's.
	if e != nil && c.cacheUsable() == nil && c.stillMember(ctx, e, closed()) == nil {
		if p, ok := e.snapshot(); ok && p.BlockedCode == 0 && p.Verifier.Matches(cred.password) {
			if p.SID != t.sid {
				c.note(ctx, e, func(p *partition.Partition) { p.SID = t.sid })
			}
			logon, err := c.enter(step.Begin(ctx, stepv1.Step_STEP_RENEWAL_A), e, cred, Logon{ByDomain: true})
			return logon, true, err
		}
	}
	logon, err := c.openPending(step.Begin(ctx, stepv1.Step_STEP_FIRST_SIGN_IN_A), upn, cred, t)
	return logon, true, err
}

// closed is a question that was answered before.
func closed() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// askDomain has the domain check a password; asked is false when it cannot be asked.
func (c *CloudAP) askDomain(ctx context.Context, upn ids.UPN, password secret.Text) (_ ticket, asked bool, _ error) {
	if c.domain.service == nil || password.Empty() || upn == "" || !c.hybrid(ctx) {
		return ticket{}, false, nil
	}
	t, err := c.domain.ticket(ctx, upn, password, c.cfg.Clock.Now())
	if err == nil && c.locals.Owns(t.sid) {
		err = prterr.New(prterr.Unavailable, "domain: answer is not usable: it names an account of this device")
	}
	switch {
	case err == nil:
		return t, true, nil
	case prterr.KindOf(err) == prterr.Unauthenticated:
		return ticket{}, true, prterr.New(prterr.Unauthenticated, "the user name or the password is wrong").WithHRESULT(hresultLogonFailure)
	default:
		c.cfg.Log.InfoContext(ctx, "the domain does not let in, so it is as without one", "kind", prterr.KindOf(err))
		return ticket{}, false, nil
	}
}

// hybrid reports whether this computer is joined to a domain as well. When device
// registration does not answer it is not known, and the sign-in goes on as without.
func (c *CloudAP) hybrid(ctx context.Context) bool {
	device, err := c.recovery.state(ctx, c.cfg.CallTimeout)
	return err == nil && device.GetJoinState() == dsregv1.JoinState_JOIN_STATE_HYBRID
}

// pending is the wait for the PRT of somebody whom the domain let in. It ends with the
// PRT, with the session, or with the ticket.
type pending struct {
	upn    ids.UPN
	ticket ticket
	// cred is what the domain took last; CloudAP.mu guards it.
	cred proof
	// wrong counts wrong passwords at the locked screen while the domain is out of
	// reach; CloudAP.mu guards it.
	wrong  int
	ctx    context.Context
	cancel context.CancelFunc
}

// stop ends the wait; CloudAP.mu is held. nil has nothing to end.
func (p *pending) stop() {
	if p != nil {
		p.cancel()
	}
}

// openPending opens a desktop without a PRT and goes on for one behind it.
func (c *CloudAP) openPending(ctx context.Context, upn ids.UPN, cred proof, t ticket) (Logon, error) {
	wait, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s := &session{sid: t.sid, upn: upn, name: t.name, pending: &pending{upn: upn, cred: cred, ticket: t, ctx: wait, cancel: cancel}}
	opened, err := c.openSession(s)
	if err != nil {
		cancel()
		return Logon{}, err
	}
	c.cfg.Log.InfoContext(ctx, "signed in by the domain, the PRT is still to come", "sid", t.sid)
	return Logon{Session: opened, DisplayName: t.name, SID: t.sid, PRTPending: true, ByDomain: true}, nil
}

// await obtains the PRT: at once, and then as often as a renewal is tried, each time in a
// trace of its own, as the renewals of the clock have one.
func (c *CloudAP) await(s *session, p *pending) {
	ctx := p.ctx
	defer c.running.Done()
	defer p.cancel()
	defer context.AfterFunc(c.life, p.cancel)()
	err := c.tryPending(ctx, p)
	for n := 1; err != nil; n++ {
		c.cfg.Log.WarnContext(ctx, "no PRT behind the sign-in by the domain yet", "sid", p.ticket.sid, "kind", prterr.KindOf(err), "error", err)
		// The password is not kept past the ticket, however long the wait would be.
		left := p.ticket.until.Sub(c.cfg.Clock.Now())
		if clock.Sleep(ctx, c.cfg.Clock, max(0, min(left, retryAfter(err, n, c.cfg.RenewEvery)))) != nil {
			return
		}
		if !c.cfg.Clock.Now().Before(p.ticket.until) {
			break
		}
		err = c.tryPending(ctx, p)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s.pending = nil // the password is forgotten, whatever came of it
}

func (c *CloudAP) tryPending(ctx context.Context, p *pending) (err error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.LogonTimeout)
	defer cancel()
	ctx, root := c.tracer.Start(ctx, "PRT behind a sign-in by the domain", trace.WithNewRoot())
	defer func() { step.End(root, err) }()
	ctx = step.In(ctx, step.FirstSignIn)
	c.mu.Lock()
	cred := p.cred
	c.mu.Unlock()
	e, err := c.acquire(ctx, p.upn, cred)
	if err != nil {
		return err
	}
	c.note(ctx, e, func(q *partition.Partition) { q.SID = p.ticket.sid })
	return nil
}

// arrived gives a PRT to the sessions of a user that wait for one.
func (c *CloudAP) arrived(e *entry, upn ids.UPN) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing || c.entries[e.key] != e {
		return
	}
	for _, s := range c.sessions {
		if s.pending != nil && s.entry == nil && s.pending.upn == upn {
			s.pending.stop()
			s.pending = nil
			c.attach(s, e)
		}
	}
}
