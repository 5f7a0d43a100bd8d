package authority

import (
	"bytes"
	"context"
	"slices"

	prt "github.com/lockstep-sso/lockstep/pkg/authority"
	"github.com/lockstep-sso/lockstep/pkg/authority/newdevice"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/pkg/sid"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/account"
)

// Added says whose account is to be added.
type Added struct {
	SID    sid.SID
	Tenant ids.TenantID
	UPN    ids.UPN
	// Registered is the user whom the device was registered for just now, or empty.
	Registered ids.UserID
}

// Managed refuses a user whose password the identity provider does not check.
func (a *Authority) Managed(ctx context.Context, upn ids.UPN) error {
	return a.cfg.Protocol.Managed(ctx, upn)
}

// Room says whether one more account fits, before anything is done for it.
func (a *Authority) Room(of sid.SID) error {
	all, mine := a.snapshots(), 0
	for _, r := range all {
		if r.SID == of {
			mine++
		}
	}
	if mine >= maxAccounts || len(all) >= maxAll {
		return prterr.New(prterr.Exhausted, "there are too many work accounts: disconnect one first")
	}
	return nil
}

// Add obtains the PRT of an account with the password of its user and keeps both; no
// token of any resource comes of it. When the device was registered for it just now the
// account is there whatever becomes of the PRT: obtained is false without one, and the
// first app brings its user to a sign-in page.
func (a *Authority) Add(ctx context.Context, n Added, password secret.Text) (obtained bool, err error) {
	isNew := func() bool { return n.Registered != "" }
	got, err := newdevice.UntilKnown(ctx, a.cfg.Clock, isNew, func() (prt.Issued, error) {
		return a.cfg.Protocol.WithPassword(ctx, n.Tenant, n.UPN, password)
	})
	defer func() { a.cfg.Meter.Acquired(ctx, prt.KindPassword, err) }()
	if err == nil && n.Registered != "" && got.User != n.Registered {
		err = prterr.New(prterr.Denied, "the PRT is for another user than the device was registered for")
	}
	if err == nil {
		a.cfg.Points.Reached("answer-received")
		return true, a.keep(ctx, n.SID, got)
	}
	if n.Registered == "" {
		return false, err
	}
	id := account.ID{SID: n.SID, Tenant: n.Tenant, User: n.Registered}
	e, failed := a.open(id, account.Record{ID: id, UPN: n.UPN})
	if failed != nil {
		return false, failed
	}
	a.failed(ctx, e, err, "obtain")
	return false, nil
}

// keep puts a PRT that was obtained from scratch in its account.
func (a *Authority) keep(ctx context.Context, of sid.SID, got prt.Issued) error {
	id := account.ID{SID: of, Tenant: got.Tenant, User: got.User}
	fresh, err := a.protect(ctx, got, nil)
	if err != nil {
		return err
	}
	e, err := a.open(id, account.Record{ID: id, UPN: got.UPN})
	if err != nil {
		return err
	}
	return a.install(e, got, fresh, nil)
}

// protect brings a PRT and its session key into the form in which they are kept. key is
// the session key that stays when none came with the PRT.
func (a *Authority) protect(ctx context.Context, got prt.Issued, key []byte) (*account.PRT, error) {
	var err error
	if got.WrappedKey != "" {
		if key, err = a.cfg.Protocol.Import(ctx, got.Key(), got.WrappedKey); err != nil {
			return nil, err
		}
		a.cfg.Points.Reached("session-key-imported")
	}
	sealed, err := a.cfg.Protocol.Protect(ctx, got.Key(), got.PRT)
	if err != nil {
		return nil, err
	}
	now := a.cfg.Clock.Now()
	return &account.PRT{
		Kind: got.Kind, Sealed: sealed, Hash: account.HashOf(got.PRT), SealedKey: key, ObtainedAt: now, ExpiresAt: now.Add(got.Life),
		Validity: account.Good, Factor: factor(got.Identity),
	}, nil
}

// open is the account of an id, made when there is none.
func (a *Authority) open(id account.ID, fresh account.Record) (*entry, error) {
	first := len(a.Accounts(id.SID)) == 0
	a.mu.Lock()
	defer a.mu.Unlock()
	if e := a.entries[id]; e != nil {
		return e, nil
	}
	fresh.AddedAt = a.cfg.Clock.Now()
	if first {
		fresh.DefaultSince = fresh.AddedAt
	}
	if err := a.cfg.Store.Save(fresh); err != nil {
		return nil, prterr.Wrap(prterr.Internal, err, "the work account could not be written to disk")
	}
	e := &entry{rec: fresh}
	a.entries[id] = e
	return e, nil
}

// install puts a PRT in the place of the old one. old is
// the session key that the new PRT was obtained under, nil for a PRT from scratch: one
// that was overtaken by a newer PRT changes nothing.
func (a *Authority) install(e *entry, got prt.Issued, fresh *account.PRT, old []byte) error {
	return a.replace(e, func(r *account.Record) error {
		if old != nil && (r.PRT == nil || !bytes.Equal(r.PRT.SealedKey, old)) {
			return prterr.New(prterr.Conflict, "the PRT was replaced meanwhile: the newer one stays")
		}
		if got.UPN != "" {
			r.UPN = got.UPN
		}
		if got.Name != "" {
			r.DisplayName = got.Name
		}
		if fresh.Factor == "" && old != nil {
			fresh.Factor = r.PRT.Factor // a renewal that says nothing takes nothing away
		}
		r.PRT = fresh
		return nil
	})
}

// factor is what an answer says of a second factor.
func factor(who prt.Identity) account.Factor {
	switch {
	case !who.MFATime.IsZero() || slices.Contains(who.AMR, "mfa"):
		return account.HasFactor
	case !who.AuthTime.IsZero():
		return account.NoFactor
	default:
		return ""
	}
}
