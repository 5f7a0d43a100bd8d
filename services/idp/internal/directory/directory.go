// Package directory knows the users and devices of every tenant and checks
// passwords and assertions.
//
// What lives here: look-ups with their tenant, the check of a credential, and
// the few changes an operator may make. What never may: tokens, keys, and any
// rule about signed requests. Every room that needs a user or a device asks it;
// it alone talks to the store.
package directory

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/lockout"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// Config of a directory.
type Config struct {
	Tenants *tenant.Set
	Store   store.Store
	// Assertions checks federated users; nil refuses all of them.
	Assertions AssertionVerifier
	// Attempts counts wrong passwords where anybody may try them.
	Attempts *lockout.Counters
	// QuickHashes makes hashes that cost next to nothing and protect nothing.
	QuickHashes bool
	// Lag is how long nobody finds a device that was registered, as in a directory whose
	// replicas learn of it one after the other; 0 is not at all. For laboratories. Clock
	// tells the time for it; nil is the machine's.
	Lag   time.Duration
	Clock clock.Clock
}

// Directory is the objects of all tenants. It is safe for concurrent use.
type Directory struct {
	tenants    *tenant.Set
	store      store.Store
	assertions AssertionVerifier
	passwords  *passwords
	// changing is held by those who change a tenant.
	changing sync.Mutex
	attempts *lockout.Counters
	lag      time.Duration
	clock    clock.Clock
}

// New makes a directory and adds the users and devices of the tenant file that
// the store does not have and that nobody removed. One that the store has keeps
// what it has. Then it puts into the tenants what an operator had changed.
func New(ctx context.Context, cfg Config) (*Directory, error) {
	d := &Directory{
		tenants: cfg.Tenants, store: cfg.Store, assertions: cfg.Assertions, passwords: newPasswords(cost(cfg.QuickHashes)), attempts: cfg.Attempts,
		lag: cfg.Lag, clock: clock.Or(cfg.Clock),
	}
	for _, t := range cfg.Tenants.All() {
		for _, u := range t.Users {
			if err := d.seed(ctx, t.ID, u); err != nil {
				return nil, fmt.Errorf("user %s of the tenant file: %w", u.UPN, err)
			}
		}
		for _, h := range t.Devices {
			if err := d.seedDevice(ctx, t.ID, h); err != nil {
				return nil, fmt.Errorf("device %s of the tenant file: %w", h.ID, err)
			}
		}
	}
	return d, d.replayChanges(ctx)
}

func (d *Directory) seed(ctx context.Context, t ids.TenantID, u tenant.User) error {
	if !u.Password.Empty() {
		d.passwords.seeds[u.ID] = &seed{plain: u.Password}
	}
	if gone, err := d.isBuried(ctx, "user/"+string(u.UPN)); gone || err != nil {
		return err
	}
	if _, err := d.store.UserByUPN(ctx, u.UPN); err == nil {
		return nil
	}
	err := d.store.AddUser(ctx, record(t, u))
	if errors.Is(err, store.ErrExists) {
		return nil // another replica begins at the same time
	}
	return err
}

// User finds a user of a tenant.
func (d *Directory) User(ctx context.Context, t ids.TenantID, id ids.UserID) (store.User, error) {
	u, err := d.store.User(ctx, t, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return store.User{}, prterr.AADSTS(aadsts.UserAccountNotFound, "")
	case err != nil:
		return store.User{}, prterr.Wrap(prterr.Internal, err, "the directory cannot be read")
	case !u.Enabled:
		return u, prterr.AADSTS(aadsts.UserDisabled, "")
	}
	return u, nil
}

// Device finds a device of a tenant. One that is gone, belongs to another tenant, or
// is too new for this directory to know, is AADSTS50155; a disabled one is returned and its state is the
// caller's to judge.
func (d *Directory) Device(ctx context.Context, t ids.TenantID, id ids.DeviceID) (store.Device, error) {
	dev, err := d.store.Device(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound) || err == nil && (dev.Tenant != t || d.isTooNew(dev)):
		return store.Device{}, prterr.AADSTS(aadsts.DeviceAuthenticationFailed, "")
	case err != nil:
		return store.Device{}, prterr.Wrap(prterr.Internal, err, "the directory cannot be read")
	}
	return dev, nil
}

// isTooNew says that a device was registered only just now.
func (d *Directory) isTooNew(dev store.Device) bool {
	return d.lag > 0 && d.clock.Now().Before(dev.RegisteredAt.Add(d.lag))
}

// Password checks a user name and a password, every name at one cost. A wrong
// password is AADSTS50126; so is an unknown user, unless the tenant's profile tells
// them apart (AADSTS50034). That a user is disabled is told only to who knows the
// password.
func (d *Directory) Password(ctx context.Context, upn ids.UPN, password secret.Text) (store.User, error) {
	home, known := d.tenants.Home(upn.Domain())
	if known && home.Domain.Federated != nil {
		// Realm discovery says so to everybody, so there is nothing to hide.
		return store.User{}, prterr.AADSTS(aadsts.NoPassword, "")
	}
	u, err := d.store.UserByUPN(ctx, upn)
	unknown := errors.Is(err, store.ErrNotFound)
	if err != nil && !unknown {
		return store.User{}, prterr.Wrap(prterr.Internal, err, "the directory cannot be read")
	}
	ok, err := d.passwords.of(ctx, u, password)
	switch {
	case err != nil:
		return store.User{}, err
	case unknown && known && home.Tenant.Profile.TellsUnknownUsers:
		return store.User{}, prterr.AADSTS(aadsts.UserAccountNotFound, "")
	case !ok:
		return store.User{}, prterr.AADSTS(aadsts.InvalidCredentials, "")
	case !u.Enabled:
		return u, prterr.AADSTS(aadsts.UserDisabled, "")
	}
	return u, nil
}
