package enrol

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/dsreg/internal/state"
)

// Migrate moves a device with keys in software to the TPM that is there now. The
// device stays the same device: the old key itself names the new ones to the tenant.
//
//  1. New keys are made, in the TPM, and written down. A crash leaves the old ones.
//  2. The tenant takes the new keys, proven with the old one. From here on it takes
//     the old ones for nothing but to answer this again, when its answer was lost:
//     PRTs that were bound to them have ended.
//  3. The answer is written down, then the identity changes (become). Whatever fails
//     after 2, the next call goes on with the same keys.
func (e *Enroller) Migrate(ctx context.Context) (*state.Identity, error) {
	end, err := e.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	cur := e.store.Get().Current
	if cur == nil {
		return nil, notRegistered()
	}
	if err := e.heldBack(byDevice(cur)); err != nil {
		return nil, err
	}
	id, err := e.migrateNow(ctx, cur)
	e.tried(ctx, ended{kind: typeMigrate, err: err})
	return id, e.heard(byDevice(cur), err)
}

// migrateNow is an exchange of keys; the change is under way.
func (e *Enroller) migrateNow(ctx context.Context, cur *state.Identity) (*state.Identity, error) {
	if e.store.Get().Replacing == nil {
		if err := e.prepareReplacement(ctx); err != nil {
			return nil, err
		}
	}
	if e.store.Get().Replacing.Identity == nil {
		if err := e.replace(ctx, cur); err != nil {
			return nil, in(joining, err)
		}
	}
	r := e.store.Get()
	next := *r.Replacing.Identity
	next.Membership = cur.Membership // also when an earlier release wrote it down
	id := &next
	if err := e.become(ctx, id, r.Replacing.Native, r); err != nil {
		return nil, in(joining, prterr.Wrap(prterr.KindOf(err), err, "the tenant has taken the new keys and the tpm-agent has not: migrate again"))
	}
	e.log.InfoContext(ctx, "the keys of the device moved", "device_id", id.DeviceID, "key_protection", id.Protection)
	return id, nil
}

// prepareReplacement is step 1.
func (e *Enroller) prepareReplacement(ctx context.Context) error {
	p, err := e.keys.describe(ctx)
	if err != nil {
		return err
	}
	if !p.better {
		return prterr.New(prterr.Conflict, "the keys are where they belong: there is no TPM here that could hold them better than %q", p.Name)
	}
	r, err := e.abandon()
	if err != nil {
		return err
	}
	keys, err := e.keys.create(ctx)
	if err != nil {
		return err
	}
	e.points.Reached("keys-created")
	r.Replacing = &state.Replacing{Keys: keys}
	if err := e.put(r); err != nil {
		return err
	}
	e.points.Reached("replacing-written")
	return nil
}

// replace is step 2, and what is written down of 3.
func (e *Enroller) replace(ctx context.Context, cur *state.Identity) error {
	keys := e.store.Get().Replacing.Keys
	if _, err := e.keys.request(ctx, keys); gone(err) { // the set was dropped, or its TPM exchanged
		if err := e.prepareReplacement(ctx); err != nil {
			return err
		}
		keys = e.store.Get().Replacing.Keys
	}
	offer, err := e.offer(ctx, keys, string(cur.TenantID))
	if err != nil {
		return err
	}
	answer, err := e.exchange(ctx, keys, offer)
	switch {
	case prterr.CodeOf(err) == aadsts.DeviceAuthenticationFailed:
		return prterr.AADSTS(aadsts.DeviceAuthenticationFailed, "the tenant does not take the key of this device: when an earlier exchange was cut off and its new keys are gone, leave with local_only and join again")
	case err != nil:
		return e.refused(ctx, err)
	}
	id, err := accept(answer, asked{
		kind: cur.Kind, keys: keys, displayName: cur.DisplayName, now: e.clock.Now(),
		device: cur.DeviceID, tenant: cur.TenantID, attested: offer.attestation,
	})
	e.joinAnswer(ctx, id, err)
	if err != nil {
		return err
	}
	id.JoinedBy, id.Administrators = cur.JoinedBy, cur.Administrators
	id.Computer, id.ComputerCertificate = cur.Computer, cur.ComputerCertificate
	e.points.Reached("replaced")
	r := e.store.Get()
	r.Replacing = &state.Replacing{Keys: keys, Identity: id, Native: answer.native}
	return e.put(r)
}

// exchange asks for the new keys.
func (e *Enroller) exchange(ctx context.Context, keys state.Keys, o offer) (registered, error) {
	return asDevice(ctx, e, e.isNew, e.cloud.nonce, func(ctx context.Context, nonce string) (registered, error) {
		proof, err := e.keys.replacement(ctx, keys.ID, nonce)
		if err != nil {
			return registered{}, err
		}
		return e.cloud.replace(ctx, proof, o)
	})
}
