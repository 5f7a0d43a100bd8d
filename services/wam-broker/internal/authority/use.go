package authority

import (
	"bytes"
	"context"
	"slices"
	"time"

	prt "github.com/lockstep-sso/lockstep/pkg/authority"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/pkg/wincode"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/account"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/apptoken"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/upstream"
)

// hresultInteraction is what apps on Windows know as "the request needs the user".
const hresultInteraction = uint32(wincode.InteractionRequired)

// User is one account as the plug-in uses it for apps.
type User struct {
	authority *Authority
	id        account.ID
}

// Use gives the plug-in an account.
func (a *Authority) Use(id account.ID) *User { return &User{authority: a, id: id} }

// usable is the account with a PRT that has not ended. What is wrong otherwise is for
// the user to repair at a sign-in page.
func (u *User) usable() (*entry, account.Record, error) {
	e, err := u.authority.find(u.id)
	if err != nil {
		return nil, account.Record{}, err
	}
	r := e.snapshot()
	switch {
	case !u.authority.cfg.Store.Verified():
		// Nothing works without the agent anyway, and one that answers has been asked: an
		// account that somebody brought back must not be used before it is found out.
		return e, r, prterr.New(prterr.Unavailable, "the work accounts could not be checked against the TPM yet: start the tpm-agent, or try again")
	case r.PRT == nil:
		return e, r, needsUser("this work account has no PRT yet: sign in")
	case r.PRT.Expired(u.authority.cfg.Clock.Now()):
		return e, r, needsUser("the PRT has expired: sign in again")
	case r.PRT.Validity == account.KeysLost:
		return e, r, needsUser("the session key of the PRT is lost: sign in again")
	}
	return e, r, nil
}

func needsUser(what string) error {
	return prterr.New(prterr.Interaction, "%s", what).WithHRESULT(hresultInteraction)
}

// Sign has a token request signed with the session key. A new PRT is asked for when the
// PRT itself is redeemed and is older than the refresh cycle.
func (u *User) Sign(ctx context.Context, r apptoken.Request, redirect, nonce string, rt apptoken.Sealed) (secret.Text, error) {
	e, rec, err := u.usable()
	if err != nil {
		return secret.Text{}, u.noted(ctx, e, err)
	}
	signed, err := u.authority.signUnlocked(ctx, rec.Cached(), prt.TokenRequest{
		Client: r.Client, Resource: string(r.Resource), RedirectURI: redirect, Nonce: nonce, RefreshToken: rt,
		NewPRT: rt == nil && rec.PRT.Age(u.authority.cfg.Clock.Now()) >= u.authority.cfg.RenewEvery,
	})
	if prterr.KindOf(err) == prterr.KeysLost {
		u.authority.mark(ctx, e, rec.PRT, account.KeysLost)
		err = needsUser("the session key of the PRT is lost: sign in again")
	}
	return secret.NewText(signed), u.noted(ctx, e, err)
}

// Open has an encrypted answer opened.
func (u *User) Open(ctx context.Context, r apptoken.Request, answer string) (upstream.Opened, error) {
	e, err := u.authority.find(u.id)
	if err != nil {
		return upstream.Opened{}, err
	}
	err = needsUser("this work account has no PRT yet: sign in")
	openers := e.openers(u.authority.cfg.Clock.Now())
	for _, cached := range openers {
		opened, failed := u.authority.openUnlocked(ctx, cached, openers[0], r.Client, answer)
		if err = failed; err == nil {
			return upstream.ReadOpened(opened, r)
		}
		// Only "this does not open" is worth a second key.
		if k := prterr.KindOf(err); k != prterr.Invalid && k != prterr.Denied {
			break
		}
	}
	return upstream.Opened{}, u.noted(ctx, e, err)
}

// OfferPRT adopts a PRT that came with an answer, once the identity provider has taken
// it as one of this user under this session key. Until it is on disk, and whenever
// anything fails, the old PRT stays.
func (u *User) OfferPRT(ctx context.Context, _, offered secret.Text, life time.Duration) error {
	e, err := u.authority.find(u.id)
	if err != nil {
		return err
	}
	rec := e.snapshot()
	if rec.PRT == nil || rec.PRT.Is(offered) {
		return nil
	}
	cached := rec.Cached()
	cached.PRT, cached.SealedPRT = offered, nil
	if err := u.authority.cfg.Protocol.Validate(ctx, cached); err != nil {
		return u.noted(ctx, e, err)
	}
	sealed, err := u.authority.cfg.Protocol.Protect(ctx, cached.Key, offered)
	if err != nil {
		return u.noted(ctx, e, err)
	}
	now := u.authority.cfg.Clock.Now()
	return u.authority.replace(e, func(r *account.Record) error {
		if r.PRT == nil || !bytes.Equal(r.PRT.SealedKey, cached.SealedKey) {
			return prterr.New(prterr.Conflict, "the PRT was replaced meanwhile: the newer one stays")
		}
		next := *r.PRT
		next.Sealed, next.Hash = sealed, account.HashOf(offered)
		next.ObtainedAt, next.ExpiresAt, next.Validity = now, now.Add(life), account.Good
		r.PRT = &next
		return nil
	})
}

// Kept is told that an app has a refresh token of this account, which goes when the
// account does. One too many is not kept track of; it is of no use without the account.
func (u *User) Kept(client ids.ClientID) error {
	e, err := u.authority.find(u.id)
	if err != nil {
		return err
	}
	if known := e.snapshot().Clients; slices.Contains(known, client) || len(known) >= account.MaxClients {
		return nil
	}
	return u.authority.replace(e, func(r *account.Record) error {
		if !slices.Contains(r.Clients, client) {
			r.Clients = append(slices.Clone(r.Clients), client)
		}
		return nil
	})
}
