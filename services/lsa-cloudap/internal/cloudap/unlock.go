package cloudap

import (
	"context"
	"errors"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/pkg/step"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/partition"
)

// Unlocked is a session whose user is back.
type Unlocked struct {
	RenewalStarted bool
	// Kind of the partition that the session uses from here on; empty without one.
	Kind partition.Kind
}

// Unlock checks the credential of somebody who locked the screen, as a sign-in from the
// cache does, and renews behind it a PRT that is older than the cycle. A credential of
// another kind than the session's lets the session go over to that kind's partition.
// What the cache refuses, the identity provider may still take: the password may be
// newer. The session stays the same one; a refusal does not end it.
func (c *CloudAP) Unlock(ctx context.Context, name secret.Text, cred Credential) (Unlocked, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.LogonTimeout)
	defer cancel()
	c.settleCache(ctx)
	s, err := c.find(name)
	switch {
	case err != nil:
		return Unlocked{}, err
	case s.local != "":
		if err := c.cacheUsable(); err != nil {
			return Unlocked{}, err
		}
		a, err := c.locals.Check(s.local, cred.Password, c.cfg.Clock.Now())
		if err == nil && a.SID != s.sid {
			// The account was removed and the name given anew: the session is not theirs.
			return Unlocked{}, noSession()
		}
		return Unlocked{}, err
	case s.entry == nil && s.was == partition.Key{}:
		return Unlocked{}, c.unlockPending(ctx, s, cred)
	}
	own := partition.Partition{Key: s.was, UPN: s.upn}
	if s.entry != nil {
		var ok bool
		if own, ok = s.entry.snapshot(); !ok {
			return Unlocked{}, noSession()
		}
	}
	p, e, err := c.resolve(own.UPN, cred)
	switch {
	case err != nil:
		return Unlocked{}, err
	case e != nil && !sameUser(e.key, own.Key), p.hello != nil && (p.hello.user.Tenant != own.Tenant || p.hello.user.User != own.User):
		return Unlocked{}, replacedMeanwhile()
	}
	e, renewing, err := c.unlock(ctx, own, e, p)
	if err != nil {
		return Unlocked{}, err
	}
	if err := c.moveSession(name, e); err != nil {
		return Unlocked{}, err
	}
	c.cfg.Log.InfoContext(ctx, "unlocked", "user", e.key.User, "kind", e.key.Kind, "renewal", renewing)
	return Unlocked{RenewalStarted: renewing, Kind: e.key.Kind}, nil
}

// unlock asks the cache, where it knows the kind of credential, and then the identity
// provider. It returns the partition of the credential.
func (c *CloudAP) unlock(ctx context.Context, own partition.Partition, e *entry, cred proof) (*entry, bool, error) {
	var refused refusal
	if e != nil {
		cache := step.In(ctx, step.Renewal)
		err := c.judge(cache, e, cred)
		if err == nil {
			return e, c.renewBehind(cache, e, cred), nil
		}
		if !errors.As(err, &refused) {
			return nil, false, err
		}
	}
	e, err := c.acquire(step.In(ctx, step.FirstSignIn), own.UPN, cred)
	return e, false, refused.over(err)
}

// unlockPending unlocks a session that the domain opened and that has no PRT yet: the
// domain judges, and where it is out of reach, what it took before.
func (c *CloudAP) unlockPending(ctx context.Context, s session, cred Credential) error {
	if cred.Password.Empty() {
		return noPRT()
	}
	if t, asked, err := c.askDomain(ctx, s.upn, cred.Password); asked {
		if err == nil && t.sid != s.sid {
			// The domain gave the name to somebody else: the session is not theirs.
			return replacedMeanwhile()
		}
		if err == nil {
			c.retype(s.pending, cred.Password)
		}
		return err
	}
	return c.compare(s.pending, cred.Password)
}

// retype keeps the password that the domain took last in the place of the one before,
// which is not to unlock any more, nor to be tried for the PRT.
func (c *CloudAP) retype(p *pending, password secret.Text) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p != nil {
		p.cred.password, p.wrong = password, 0
	}
}

// compare checks a password against the one that the domain took. Ten wrong ones in a
// row, and only the domain can unlock.
func (c *CloudAP) compare(p *pending, password secret.Text) error {
	if p == nil {
		return prterr.New(prterr.Unavailable, "the domain cannot be reached: check the network")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case p.wrong >= c.cfg.MaxWrongPasswords:
		return prterr.New(prterr.Exhausted, "too many wrong passwords: connect to the network of the domain").WithHRESULT(hresultAccountLocked)
	case !p.cred.password.Equal(password):
		p.wrong++
		return prterr.New(prterr.Unauthenticated, "the user name or the password is wrong").WithHRESULT(hresultLogonFailure)
	}
	p.wrong = 0
	return nil
}
