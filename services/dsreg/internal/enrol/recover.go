package enrol

import (
	"context"
	"slices"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/dsreg/internal/state"
)

// recoveryTime bounds a recovery that its caller does not wait for any more: a chip
// may take a minute for two RSA keys, which is longer than a sign-in waits.
const recoveryTime = 3 * time.Minute

// Outcome of a recovery.
type Outcome int

// What came of a recovery.
const (
	_                   Outcome = iota
	NotNeeded                   // the keys are well
	Recovered                   // new keys are registered
	Waiting                     // new keys wait for the sync of the domain
	AdministratorNeeded         // somebody has to do it (Recover)
)

// StartRecovery does what the device can do by itself about lost keys. It tests them
// first: whoever says that they are lost may be wrong, and a TPM that does not work
// today may work tomorrow. A hybrid joined device then makes new keys and joins
// again under the same device id, with no user and no prompt; any other needs an
// administrator, and that is written down.
//
// It goes on when its caller does not wait for it.
func (e *Enroller) StartRecovery(ctx context.Context) (Outcome, error) {
	end, err := e.await(ctx)
	if err != nil {
		return 0, err
	}
	defer end()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recoveryTime)
	defer cancel()
	defer func() { e.goOn(e.store.Get()) }()
	cur := e.store.Get().Current
	if cur == nil {
		return 0, notRegistered()
	}
	if e.store.Get().Waiting == nil {
		lost, err := e.found(ctx)
		switch {
		case err != nil:
			return 0, err
		case !lost:
			return NotNeeded, nil
		case !cur.Hybrid():
			e.log.WarnContext(ctx, "the keys of the device are lost: an administrator has to recover it", "device_id", cur.DeviceID)
			return AdministratorNeeded, nil
		}
		e.log.WarnContext(ctx, "the keys of the device are lost: it joins again with new ones", "device_id", cur.DeviceID)
		if err := e.prepare(ctx, state.Waiting{Computer: *cur.Computer, TenantID: cur.TenantID, DisplayName: cur.DisplayName}); err != nil {
			return 0, err
		}
	}
	id, err := e.attempt(ctx)
	switch {
	case err != nil:
		return 0, err
	case id == nil:
		return Waiting, nil
	default:
		return Recovered, nil
	}
}

// found tests the keys and keeps what came of it.
func (e *Enroller) found(ctx context.Context) (lost bool, err error) {
	if lost, err = e.test(ctx); err != nil {
		return false, err
	}
	return lost, e.judge(lost)
}

// Recover gives a device whose keys are lost new ones and a new registration of the
// same kind, in the name of a user who is an administrator of this device. The key that
// could remove the old device is gone, so the tenant is asked to do it for that user;
// left is the old device when it stays there all the same.
func (e *Enroller) Recover(ctx context.Context, user ids.UPN, password secret.Text) (id *state.Identity, left ids.DeviceID, err error) {
	end, err := e.begin(ctx)
	if err != nil {
		return nil, "", err
	}
	defer end()
	if err := e.heldBack(byUser(user)); err != nil {
		return nil, "", err
	}
	done, err := e.recoverNow(ctx, user, password)
	e.tried(ctx, ended{kind: typeRecover, left: done.left, err: err})
	return done.id, done.left, e.heard(byUser(user), err)
}

// recoverNow is a recovery in somebody's name; the change is under way.
func (e *Enroller) recoverNow(ctx context.Context, user ids.UPN, password secret.Text) (enrolment, error) {
	cur := e.store.Get().Current
	switch {
	case cur == nil:
		return enrolment{}, notRegistered()
	case cur.Hybrid():
		return enrolment{}, prterr.New(prterr.Conflict, "a hybrid joined device recovers by itself: sign in to it")
	}
	lost, err := e.found(ctx)
	if err != nil {
		return enrolment{}, err
	}
	if !lost {
		return enrolment{}, prterr.New(prterr.Conflict, "the keys of this device are well: there is nothing to recover")
	}
	req := Request{User: user, Password: password, DisplayName: cur.DisplayName}
	by, err := e.authenticate(ctx, req)
	if err != nil {
		return enrolment{}, err
	}
	if err := administers(by.token, cur); err != nil {
		return enrolment{}, in(auth, err)
	}
	by.replaces = cur.DeviceID
	return e.enrolWith(ctx, cur.Kind, req, by)
}

// administers checks that the user of a token is an administrator of the device. The
// token came from the identity provider itself over an authenticated connection,
// for the password that was typed; so its claims are believed without a signature,
// for which the device would have no key.
func administers(token secret.Text, cur *state.Identity) error {
	t, err := jose.Parse(token.Reveal())
	if err != nil {
		return refuse("the registration token does not say whose it is")
	}
	var who struct {
		OID string `json:"oid"`
		TID string `json:"tid"`
	}
	if err := t.Claims(&who); err != nil {
		return refuse("the registration token does not say whose it is")
	}
	sid, err := ids.SID(who.OID)
	if err != nil {
		return refuse("the registration token does not say whose it is")
	}
	if who.TID != string(cur.TenantID) || !slices.Contains(cur.Administrators, sid) {
		return prterr.New(prterr.Denied, "the user is not an administrator of this device: have one recover it")
	}
	return nil
}

func notRegistered() error {
	return prterr.New(prterr.Conflict, "this device is neither joined nor registered")
}
