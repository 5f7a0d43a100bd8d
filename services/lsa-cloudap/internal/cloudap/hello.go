package cloudap

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	cloudapv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/cloudap/v1"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/hello"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/partition"
)

// helloOf finds the Windows Hello key of a user name; the newest, should a renamed
// user have left another.
func (c *CloudAP) helloOf(upn ids.UPN) (hello.Record, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found hello.Record
	ok := false
	for _, r := range c.hellos {
		if r.UPN == upn && (!ok || r.MadeAt.After(found.MadeAt)) {
			found, ok = r, true
		}
	}
	return found, ok
}

// ProvisionHello makes a Windows Hello key for the user of a session and registers it
// with the identity provider, which demands a second factor of the last ten minutes:
// the page brings the token that says so.
func (c *CloudAP) ProvisionHello(ctx context.Context, session, id, final, pin secret.Text) (keyID string, err error) {
	_, p, err := c.signedIn(session)
	if err != nil {
		return "", err
	}
	// From the look at what there is: another one may be made at another page.
	c.helloWork.Lock()
	defer c.helloWork.Unlock()
	d, err := c.describeHello(ctx, p)
	if err != nil {
		return "", err
	}
	if d.Set {
		return "", prterr.New(prterr.Conflict, "this user has a Windows Hello key on this device: reset its PIN, or remove it first")
	}
	if unmet := d.unmet(); unmet != "" {
		return "", prterr.New(prterr.Conflict, "Windows Hello is not set up here: prerequisite %s is not met", unmet)
	}
	own := digest(session)
	b, err := c.bearerOf(ctx, PageEnd{ID: id, Final: final}, &own, cloudapv1.PagePurpose_PAGE_PURPOSE_PROVISION_HELLO)
	if err != nil {
		return "", err
	}
	if b.user.Tenant != p.Tenant || b.user.User != p.User {
		return "", prterr.New(prterr.Denied, "another user signed in at the page: no key was made")
	}
	return c.provision(ctx, b, pin, func() error { return nil })
}

// bearerOf takes the end of a page and has it made into an access token.
func (c *CloudAP) bearerOf(ctx context.Context, end PageEnd, session *sessionDigest, purpose cloudapv1.PagePurpose) (bearer, error) {
	i, err := c.take(end.ID, session, purpose)
	if err != nil {
		return bearer{}, err
	}
	return c.plugin.redeemPage(ctx, purpose, pageEnd{state: i.state, final: end.Final})
}

// provision makes a key, registers it, and remembers it; helloWork is held. A key that
// is in the TPM without a record is left over from a crash before it was remembered:
// nobody can sign in with it, and it makes room. drop removes an older one, once
// nothing else is missing. Whatever fails, the new key is destroyed again.
func (c *CloudAP) provision(ctx context.Context, b bearer, pin secret.Text, drop func() error) (string, error) {
	resetKey, err := c.plugin.pinResetKey(ctx)
	if err != nil {
		return "", err
	}
	if err := drop(); err != nil {
		return "", err
	}
	if err := c.tpm.deleteHello(ctx, b.user); err != nil {
		return "", err
	}
	made, err := c.tpm.createHello(ctx, b.user, pin, resetKey)
	if err != nil {
		return "", err
	}
	c.cfg.Points.Reached("hello-key-made")
	if err = c.plugin.registerHello(ctx, b.access, made.GetPublicKey()); err == nil {
		c.cfg.Points.Reached("hello-key-registered")
		err = c.rememberHello(hello.Record{
			User: b.user, UPN: b.upn, KeyID: made.GetKeyId(), WrappedReset: made.GetWrappedResetSecret(), MadeAt: c.cfg.Clock.Now(),
		})
	}
	if err != nil {
		if undo := c.tpm.deleteHello(context.WithoutCancel(ctx), b.user); undo != nil {
			c.cfg.Log.ErrorContext(ctx, "a Windows Hello key that is not registered stayed in the TPM; the next one takes its place", "user", b.user.User, "error", undo)
		}
		return "", err
	}
	c.cfg.Log.InfoContext(ctx, "Windows Hello key made and registered", "user", b.user.User, "key", made.GetKeyId(), "pin_reset", resetKey != nil)
	return made.GetKeyId(), nil
}

func (c *CloudAP) rememberHello(r hello.Record) error {
	if err := c.helloStore.Save(r); err != nil {
		return prterr.Wrap(prterr.Internal, err, "the Windows Hello key could not be remembered: see the component's log")
	}
	c.cfg.Points.Reached("hello-record-written")
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hellos[r.User] = r
	return nil
}

// dropHello forgets a key and everything that it opened, and destroys it. The record
// goes first: a crash leaves a key that nobody can use, never a record of no key.
func (c *CloudAP) dropHello(ctx context.Context, u hello.User) error {
	c.mu.Lock()
	err := c.forgetHello(u)
	if e := c.entries[partition.Key{Tenant: u.Tenant, User: u.User, Kind: partition.Hello}]; e != nil && err == nil {
		c.retire(e)
	}
	c.mu.Unlock()
	if err != nil {
		return err
	}
	return c.tpm.deleteHello(ctx, u)
}

// forgetHello removes the record of a key. CloudAP.mu is held.
func (c *CloudAP) forgetHello(u hello.User) error {
	if err := c.helloStore.Remove(u); err != nil {
		c.cfg.Log.Error("the record of a Windows Hello key could not be removed", "user", u.User, "error", err)
		return prterr.Wrap(prterr.Internal, err, "the Windows Hello key could not be forgotten: see the component's log")
	}
	delete(c.hellos, u)
	return nil
}

// ChangePIN changes the PIN of a user who knows it.
func (c *CloudAP) ChangePIN(ctx context.Context, upn ids.UPN, pin, next secret.Text) error {
	r, ok := c.helloOf(upn)
	if !ok {
		return noHello()
	}
	return c.tpm.changePIN(ctx, r.User, pin, next)
}

// ResetPIN sets a new PIN for a user who forgot it, and who proved at a page who they
// are. Non-destructive, the PIN reset service opens the secret of the key, and the key
// stays. Destructive, the key is destroyed with the PRT that it brought, and another
// one is made.
func (c *CloudAP) ResetPIN(ctx context.Context, upn ids.UPN, end PageEnd, next secret.Text, destructive bool) (string, error) {
	r, ok := c.helloOf(upn)
	if !ok {
		return "", noHello()
	}
	purpose := cloudapv1.PagePurpose_PAGE_PURPOSE_RESET_PIN
	switch {
	case destructive && c.cfg.Hello.Off:
		return "", prterr.New(prterr.Conflict, "Windows Hello is turned off on this device, so there would be no other key: remove this one instead")
	case destructive:
		purpose = cloudapv1.PagePurpose_PAGE_PURPOSE_PROVISION_HELLO
	case len(r.WrappedReset) == 0:
		return "", prterr.New(prterr.Conflict, "this Windows Hello key was made without a PIN reset service: only a destructive reset helps")
	}
	b, err := c.bearerOf(ctx, end, nil, purpose)
	if err != nil {
		return "", err
	}
	if b.user != r.User {
		return "", prterr.New(prterr.Denied, "another user signed in at the page: nothing was changed")
	}
	c.helloWork.Lock()
	defer c.helloWork.Unlock()
	if destructive {
		return c.provision(ctx, b, next, func() error { return c.dropHello(ctx, r.User) })
	}
	reset, err := c.plugin.openReset(ctx, b.access, r)
	if err != nil {
		return "", err
	}
	defer reset.Wipe()
	return r.KeyID, c.tpm.resetPIN(ctx, r.User, reset, next)
}

// RemoveHello destroys the key of the user of a session, and ends the sessions that it
// opened.
func (c *CloudAP) RemoveHello(ctx context.Context, session secret.Text) error {
	_, p, err := c.signedIn(session)
	if err != nil {
		return err
	}
	c.helloWork.Lock()
	defer c.helloWork.Unlock()
	u := hello.User{Tenant: p.Tenant, User: p.User}
	c.mu.Lock()
	_, there := c.hellos[u]
	c.mu.Unlock()
	if !there {
		return noHello()
	}
	return c.dropHello(ctx, u)
}
