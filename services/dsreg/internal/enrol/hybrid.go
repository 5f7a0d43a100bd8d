package enrol

import (
	"context"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/eventlog"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/dsreg/internal/state"
)

// HybridRequest names the computer in its domain and the tenant of the domain.
type HybridRequest struct {
	TenantID    ids.TenantID
	Computer    state.Computer
	DisplayName string
}

// JoinHybrid gives a computer of an on-premises domain its identity in the tenant
// (hybrid join in the sync form; protocol of MS-DVRJ). No user takes part:
//
//  1. New keys are made, and the device key signs a certificate for itself. Both are
//     written down. The computer would now write the certificate to its object in the
//     domain (userCertificate), and the domain's sync bring it to the tenant.
//  2. The tenant is asked to complete the join, with a text signed by the same key.
//     Until the sync has run it knows no such object, and the join waits: it is tried
//     again by itself, and with every call.
//  3. The identity changes as with every enrolment (become).
//
// A crash in 1 leaves nothing but keys that the next ones replace. One after the
// question of 2 leaves it open whether the tenant has completed the join, and a
// completed object waits no more; so when the tenant does not know a waiting object
// after that, the join begins anew with other keys, which the sync brings again.
//
// The identity is nil while the join waits.
func (e *Enroller) JoinHybrid(ctx context.Context, req HybridRequest) (*state.Identity, error) {
	end, err := e.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	defer func() { e.goOn(e.store.Get()) }()
	done, err := e.readyHybrid(ctx, req)
	if err != nil || done != nil {
		if err != nil {
			e.tried(ctx, ended{kind: typeSync, err: err})
		}
		return done, err
	}
	return e.attempt(ctx)
}

// readyHybrid has a hybrid join of this request wait, or answers the identity when
// there is nothing to do.
func (e *Enroller) readyHybrid(ctx context.Context, req HybridRequest) (*state.Identity, error) {
	r := e.store.Get()
	if cur := r.Current; cur != nil && cur.Joined() {
		if !cur.Hybrid() || *cur.Computer != req.Computer || cur.TenantID != req.TenantID {
			return nil, prterr.New(prterr.Conflict, "this device is joined already: leave first to join it as another computer")
		}
		if r.Waiting == nil && !r.KeysLost {
			return cur, nil
		}
	}
	if w := r.Waiting; w != nil && w.Computer == req.Computer && w.TenantID == req.TenantID {
		return nil, nil
	}
	return nil, in(joining, e.prepare(ctx, state.Waiting{Computer: req.Computer, TenantID: req.TenantID, DisplayName: req.DisplayName}))
}

// ComputerAccount is what the computer has written to its object in the domain.
type ComputerAccount struct {
	HybridRequest
	Certificate []byte // DER
}

// Account is that of the join that waits, else of the one that is done.
func (e *Enroller) Account(ctx context.Context) (ComputerAccount, error) {
	if err := e.resolve(ctx); err != nil {
		return ComputerAccount{}, err
	}
	r := e.store.Get()
	switch {
	case r.Waiting != nil:
		w := r.Waiting
		return ComputerAccount{HybridRequest{w.TenantID, w.Computer, w.DisplayName}, w.Certificate.Raw}, nil
	case r.Current != nil && r.Current.Hybrid():
		c := r.Current
		return ComputerAccount{HybridRequest{c.TenantID, *c.Computer, c.DisplayName}, c.ComputerCertificate}, nil
	}
	return ComputerAccount{}, prterr.New(prterr.NotFound, "this device has no account in a domain: have it join hybrid")
}

// prepare is step 1.
func (e *Enroller) prepare(ctx context.Context, w state.Waiting) error {
	r, err := e.abandon()
	if err != nil {
		return err
	}
	if w.Keys, err = e.keys.create(ctx); err != nil {
		return err
	}
	e.points.Reached("keys-created")
	if w.Certificate, err = e.keys.computerCertificate(ctx, w.Keys, string(w.Computer.ID)); err != nil {
		return err
	}
	w.Asked, r.Waiting = false, &w
	if err := e.put(r); err != nil {
		return err
	}
	e.points.Reached("waiting-written")
	e.events.Add(ctx, eventlog.Event{
		Channel: eventlog.DeviceRegistration, ID: eventObject, Level: eventlog.Information,
		Message: "The certificate of this computer is ready for its object in the domain: the sync brings it to the tenant.",
		Fields:  []eventlog.Field{{Name: "ComputerID", Value: string(w.Computer.ID)}, {Name: "Thumbprint", Value: state.Thumbprint(w.Certificate.Raw)}},
	})
	return nil
}

// attempt is steps 2 and 3 for the join that waits; the change is under way.
func (e *Enroller) attempt(ctx context.Context) (*state.Identity, error) {
	kind, who := typeSync, byComputer(*e.store.Get().Waiting)
	if e.store.Get().KeysLost {
		kind = typeRecover
	}
	if err := e.heldBack(who); err != nil {
		return nil, err
	}
	id, waits, err := e.attemptNow(ctx)
	e.tried(ctx, ended{kind: kind, waits: in(joining, waits), err: in(joining, err)})
	return id, e.heard(who, err)
}

// attemptNow is an attempt. waits is what the tenant said when the join waits on.
func (e *Enroller) attemptNow(ctx context.Context) (id *state.Identity, waits, err error) {
	r := e.store.Get()
	w := *r.Waiting
	if _, err := e.discover(ctx, string(w.TenantID)); err != nil {
		return nil, nil, err
	}
	now, err := e.newSecond(ctx)
	if err != nil {
		return nil, nil, err
	}
	identity, signature, err := e.keys.computerIdentity(ctx, w.Keys, w.Computer.SID, now)
	if gone(err) {
		return nil, err, e.anew(ctx, w) // the keys that waited are lost too
	}
	if err != nil {
		return nil, nil, err
	}
	offer, err := e.offer(ctx, w.Keys, string(w.TenantID))
	if err != nil {
		return nil, nil, err
	}
	if err := e.note(true); err != nil {
		return nil, nil, err
	}
	answer, err := e.cloud.joinHybrid(ctx, w, offer, e.machine(w.DisplayName, w.Computer.TargetDomain), identity, signature)
	switch {
	case err == nil:
		id, err := e.completed(ctx, w, offer, answer)
		return id, nil, err
	case uncertain(err):
		return nil, nil, e.refused(ctx, err) // it may have happened
	case prterr.KindOf(err) == prterr.NotFound && w.Asked:
		return nil, err, e.anew(ctx, w)
	}
	if failed := e.note(w.Asked); failed != nil {
		return nil, nil, failed
	}
	err = e.refused(ctx, err)
	if kind := prterr.KindOf(err); kind == prterr.NotFound || kind == prterr.Unauthenticated {
		// Not synchronised at all, or with the certificate of former keys.
		e.log.InfoContext(ctx, "a hybrid join waits for the sync of the domain", "device_id", w.Computer.ID, "error", err)
		return nil, err, nil
	}
	return nil, nil, err
}

// newSecond is now, in another second than the last time: an identity has its time in
// seconds, and the tenant takes each text once.
func (e *Enroller) newSecond(ctx context.Context) (time.Time, error) {
	now := e.clock.Now()
	if now.Unix() == e.identified {
		if next := now.Truncate(time.Second).Add(time.Second); clock.Sleep(ctx, e.clock, next.Sub(now)) != nil {
			return now, prterr.FromContext(ctx)
		}
		now = e.clock.Now()
	}
	e.identified = now.Unix()
	return now, nil
}

// gone reports whether a pending key set is not there any more, or not in this TPM.
func gone(err error) bool {
	kind := prterr.KindOf(err)
	return kind == prterr.NotFound || kind == prterr.KeysLost
}

// anew begins a waiting join again with other keys.
func (e *Enroller) anew(ctx context.Context, w state.Waiting) error {
	e.log.WarnContext(ctx, "a hybrid join begins anew with other keys: the tenant has completed it and the answer was lost, or the keys were", "device_id", w.Computer.ID)
	return e.prepare(ctx, w)
}

// note writes down whether a question to the tenant is open.
func (e *Enroller) note(asked bool) error {
	r := e.store.Get()
	if r.Waiting.Asked == asked {
		return nil
	}
	w := *r.Waiting
	w.Asked, r.Waiting = asked, &w
	return e.put(r)
}

func (e *Enroller) completed(ctx context.Context, w state.Waiting, o offer, answer registered) (*state.Identity, error) {
	id, err := accept(answer, asked{
		kind: entrawire.JoinJoined, keys: w.Keys, displayName: w.DisplayName, now: e.clock.Now(),
		device: w.Computer.ID, tenant: w.TenantID, attested: o.attestation,
	})
	e.joinAnswer(ctx, id, err)
	if err != nil {
		return nil, err
	}
	id.Computer, id.ComputerCertificate = &w.Computer, w.Certificate.Raw
	e.points.Reached("registered")
	r := e.store.Get()
	if c := r.Current; c != nil && c.Hybrid() && *c.Computer == w.Computer && c.TenantID == id.TenantID {
		id.Membership = c.Membership // the same computer with new keys
	}
	var bye farewell
	if r.Current != nil && r.Current.DeviceID != id.DeviceID {
		bye = e.farewell(ctx, r.Current)
	}
	if err := e.become(ctx, id, answer.native, r); err != nil {
		return nil, err
	}
	e.remove(ctx, bye, r.Current)
	e.log.InfoContext(ctx, "device hybrid joined", "device_id", id.DeviceID, "tenant_id", id.TenantID, "key_protection", id.Protection)
	return id, nil
}
