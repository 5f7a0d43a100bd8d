package cloudap

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/pkg/sid"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/local"
)

// LocalLogon signs in to an account of the device's own. Nobody else is asked: not the
// plug-in, not device registration, not a tenant; the session has no PRT.
func (c *CloudAP) LocalLogon(ctx context.Context, name local.Name, password secret.Text) (Logon, error) {
	c.settleCache(ctx)
	if err := c.cacheUsable(); err != nil {
		return Logon{}, err
	}
	a, err := c.locals.Check(name, password, c.cfg.Clock.Now())
	if err != nil {
		return Logon{}, err
	}
	opened, err := c.openSession(&session{sid: a.SID, local: a.Name, name: string(a.Name)})
	if err != nil {
		return Logon{}, err
	}
	// An account that was removed since the check has left no session behind, so this one
	// must not stay either.
	if !c.locals.Has(a) {
		_ = c.Logoff(opened) // ended by the removal already, or here
		return Logon{}, noSession()
	}
	c.cfg.Log.InfoContext(ctx, "signed in to a local account", "sid", a.SID)
	return Logon{Session: opened, DisplayName: string(a.Name), FromCache: true, SID: a.SID}, nil
}

// PutLocal makes a local account or gives it another password.
func (c *CloudAP) PutLocal(name local.Name, password secret.Text) (local.Account, error) {
	return c.locals.Put(name, password)
}

// RemoveLocal removes a local account and ends its sessions.
func (c *CloudAP) RemoveLocal(name local.Name) error {
	if _, err := c.locals.Remove(name); err != nil {
		return err
	}
	c.dropLocal(func(s *session) bool { return s.local == name })
	return nil
}

// LocalRemoved reports whether an identifier is one of a local account that was removed.
func (c *CloudAP) LocalRemoved(s sid.SID) bool { return c.locals.Removed(s) }

// dropLocal ends sessions of local accounts.
func (c *CloudAP) dropLocal(which func(*session) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for d, s := range c.sessions {
		if s.local != "" && which(s) {
			c.drop(d)
		}
	}
}

// ListLocal lists the local accounts.
func (c *CloudAP) ListLocal() []local.Account { return c.locals.List() }
