package enrol

import (
	"context"
	"errors"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/dsreg/internal/state"
)

// Request says who joins or registers the device and under which name.
type Request struct {
	User        ids.UPN
	Password    secret.Text
	DisplayName string
}

// Join makes the device a member of the user's tenant, with new keys and a new
// identity; an identity it had before ends.
//
// A registration is replaced like a former join.
func (e *Enroller) Join(ctx context.Context, req Request) (*state.Identity, error) {
	return e.enrol(ctx, entrawire.JoinJoined, req)
}

// enrol gives the device an identity of some kind. The order is chosen so that a
// crash between any two steps leaves the old identity or the new one, whole, and
// trying again works:
//
//  1. New keys are made beside the old ones and stay pending in the TPM, which
//     proves to the tenant that they live there, and it is written down for whom. A
//     crash up to here leaves the old identity, and so does one before 4.
//  2. The tenant registers the device. When the answer is lost, or is not to be
//     used, the next enrolment of the same kind for the same user asks with the same
//     keys, for which the tenant has the same device (ready).
//  3. The proof that removes the old device is signed while its key still exists.
//  4. The new identity is written down as pending, beside the old one.
//  5. The TPM installs the certificate, and in the same action destroys the old
//     keys. This is the one moment at which the identity changes.
//  6. The new identity is written down as current. After a crash between 4 and 6
//     settle asks the TPM which of the two it holds.
//  7. The old device is removed from its tenant. A crash leaves it there without
//     keys.
func (e *Enroller) enrol(ctx context.Context, kind entrawire.JoinType, req Request) (*state.Identity, error) {
	end, err := e.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	if err := e.heldBack(byUser(req.User)); err != nil {
		return nil, err
	}
	done, err := e.enrolNow(ctx, kind, req)
	e.tried(ctx, ended{kind: attemptType(kind), left: done.left, err: err})
	return done.id, e.heard(byUser(req.User), err)
}

// enrolment is what came of one: the identity, and the device before it that stays at
// its tenant though no key of it exists any more, or empty.
type enrolment struct {
	id   *state.Identity
	left ids.DeviceID
}

// enrolNow is an enrolment; the change is under way.
func (e *Enroller) enrolNow(ctx context.Context, kind entrawire.JoinType, req Request) (enrolment, error) {
	if err := makesWay(e.store.Get(), kind); err != nil {
		return enrolment{}, err
	}
	// The token comes before the keys: a wrong password must not cost two RSA keys.
	by, err := e.authenticate(ctx, req)
	if err != nil {
		return enrolment{}, err
	}
	return e.enrolWith(ctx, kind, req, by)
}

func attemptType(kind entrawire.JoinType) string {
	if kind == entrawire.JoinRegistered {
		return typeRegister
	}
	return typeJoin
}

// pass is what a user registers a device with, and in which tenant.
type pass struct {
	token  secret.Text
	tenant ids.TenantID
	// replaces is the device whose keys are lost, in a recovery.
	replaces ids.DeviceID
}

// authenticate finds the user's tenant and gets a token with which the user registers
// a device.
func (e *Enroller) authenticate(ctx context.Context, req Request) (pass, error) {
	if err := e.cloud.managed(ctx, req.User); err != nil {
		return pass{}, in(discover, err)
	}
	tenant, err := e.discover(ctx, req.User.Domain())
	if err != nil {
		return pass{}, err
	}
	token, err := e.cloud.token(ctx, req.User, req.Password)
	return pass{token: token, tenant: tenant}, in(auth, err)
}

// enrolWith is the enrolment of who has a token: the phase join. The change is under
// way.
func (e *Enroller) enrolWith(ctx context.Context, kind entrawire.JoinType, req Request, by pass) (enrolment, error) {
	done, err := e.joinWith(ctx, kind, req, by)
	return done, in(joining, err)
}

func (e *Enroller) joinWith(ctx context.Context, kind entrawire.JoinType, req Request, by pass) (enrolment, error) {
	old, offer, err := e.ready(ctx, kind, req)
	if err != nil {
		return enrolment{}, err
	}
	answer, offer, err := e.ask(ctx, kind, req, by, offer)
	if prterr.KindOf(err) == prterr.Invalid && offer.asked {
		// Asked again, the tenant finds these keys no good: there is no device for them.
		if _, err = e.abandon(); err != nil {
			return enrolment{}, err
		}
		if old, offer, err = e.ready(ctx, kind, req); err != nil {
			return enrolment{}, err
		}
		answer, offer, err = e.ask(ctx, kind, req, by, offer)
	}
	if err != nil {
		return enrolment{}, e.refused(ctx, err)
	}
	id, err := accept(answer, asked{
		kind: kind, keys: offer.keys, user: req.User, displayName: req.DisplayName, now: e.clock.Now(), tenant: by.tenant, old: old.Current, attested: offer.attestation,
	})
	e.joinAnswer(ctx, id, err)
	if err != nil {
		// The keys stay pending, and whoever tries again asks with them for the same device.
		e.log.WarnContext(ctx, "a registration was refused by the device: try again soon, or have a new device of this name removed from the tenant", "display_name", req.DisplayName)
		return enrolment{}, err
	}
	if by.replaces != "" {
		id.Membership = old.Current.Membership // new keys for lost ones: nobody has left
	}
	e.points.Reached("registered")
	var bye farewell
	if !answer.removed {
		bye = e.farewell(ctx, old.Current)
	}
	if err := e.become(ctx, id, answer.native, old); err != nil {
		return enrolment{}, leftOver(id, err)
	}
	done := enrolment{id: id}
	if old.Current != nil && !answer.removed && !e.remove(ctx, bye, old.Current) {
		done.left = old.Current.DeviceID
	}
	e.log.InfoContext(ctx, "device enrolled", "joined", id.Joined(), "device_id", id.DeviceID, "tenant_id", id.TenantID, "key_protection", id.Protection)
	return done, nil
}

func (e *Enroller) machine(displayName, domain string) machine {
	return machine{displayName: displayName, deviceType: e.deviceType, osVersion: e.osVersion, domain: domain}
}

// abandon gives up what waits with a pending key set: the next keys take its place.
func (e *Enroller) abandon() (state.Record, error) {
	r := e.store.Get()
	if r.Waiting == nil && r.Replacing == nil && r.Enrolling == nil {
		return r, nil
	}
	r.Waiting, r.Replacing, r.Enrolling = nil, nil, nil
	return r, e.put(r)
}

// leftOver reports a device that the tenant has and nobody can use. It cannot be
// removed from here: only an installed device key signs removals.
func leftOver(id *state.Identity, err error) error {
	var failed *unfinished
	if !errors.As(err, &failed) {
		return err
	}
	return prterr.Wrap(prterr.KindOf(err), err, "the enrolment was not finished: try again soon, which is for the same device, or have the unused device %s removed from the tenant", id.DeviceID)
}
