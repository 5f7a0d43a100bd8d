package aadplugin

import (
	"context"
	"errors"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/authority/freshnonce"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/apptoken"
)

// brokerRedirect is the redirect address that every app registration has for the
// broker of Windows; the app's id follows.
const brokerRedirect = "ms-appx-web://Microsoft.AAD.BrokerPlugin/"

// obtain gets a token from the identity provider: with the app's refresh token
// if there is one (step B), else with the PRT (step C). A refresh token that is
// spent, or whose proof is too weak or too old, makes way for the PRT, once.
func (p *Plugin) obtain(ctx context.Context, r apptoken.Request, acc known) (apptoken.Grant, error) {
	if err := p.stillThere(ctx, acc); err != nil {
		return apptoken.Grant{}, err
	}
	if r.Redirect == "" {
		r.Redirect = brokerRedirect + string(r.Client)
	}
	if r.FromPRT {
		return p.withPRT(ctx, r, acc)
	}
	rt, err := p.cache.Refresh(refreshKey(r, acc.Account))
	if err != nil { // the PRT brings a new one, which replaces it
		p.log.WarnContext(ctx, "refresh token of an app cannot be used", "client", r.Client, "error", err)
	}
	if rt != nil {
		g, again, err := p.withRefreshToken(ctx, r, acc, rt)
		if !again {
			return g, err
		}
		p.log.InfoContext(ctx, "refresh token of an app is not enough, using the PRT", "client", r.Client, "error", err)
	}
	return p.withPRT(ctx, r, acc)
}

// stillThere refuses an account whose tenant the device has left. Work accounts are of
// the tenant that the device is registered with, and of no other one that it once was.
func (p *Plugin) stillThere(ctx context.Context, acc known) error {
	s, err := p.device.State(ctx)
	switch {
	case err != nil:
		p.log.WarnContext(ctx, "device state is not known", "error", err)
		return nil
	case !s.Known:
		return nil
	case acc.own == nil && s.Left:
		return prterr.New(prterr.Conflict, "this device is not joined: join it and sign in again")
	case acc.own != nil && (!s.Registered || s.Tenant != acc.Tenant):
		return prterr.New(prterr.Conflict, "this device is not registered with the organisation of the account any more: add the account again")
	}
	return nil
}

// withRefreshToken is step B: the app's refresh token, signed with the session
// key to prove that it is redeemed on the device it was given to. again says that
// the PRT should be tried.
func (p *Plugin) withRefreshToken(ctx context.Context, r apptoken.Request, acc known, rt apptoken.Sealed) (g apptoken.Grant, again bool, err error) {
	sealed := false
	answer, err := freshnonce.With(ctx, p.nonce, func(ctx context.Context, nonce string) (string, error) {
		request, err := acc.by.Sign(ctx, r, r.Redirect, nonce, rt)
		if sealed = err != nil && unsealable(err); err != nil {
			return "", unsigned{err}
		}
		return p.idp.RedeemRefreshToken(ctx, request, r.Claims)
	})
	var own unsigned
	if errors.As(err, &own) {
		return g, sealed, own.error
	}
	if spent(err) {
		if err := p.cache.DropRefresh(refreshKey(r, acc.Account), rt); err != nil {
			p.log.WarnContext(ctx, "spent refresh token was not removed", "client", r.Client, "error", err)
		}
		return g, true, err
	}
	if err != nil {
		// The PRT may have a proof that is newer than the app's refresh token.
		return g, repairable(err), err
	}
	if g, _, err = p.open(ctx, r, acc, answer); err == nil {
		acc.by.Served(ctx)
	}
	return g, false, err
}

// nonce gets one; without it no request is made.
func (p *Plugin) nonce(ctx context.Context) (string, error) {
	n, err := p.idp.Nonce(ctx)
	if err != nil {
		return "", unsigned{err}
	}
	return n, nil
}

// unsigned is an error before a request was made: no token was used.
type unsigned struct{ error }

func (u unsigned) Unwrap() error { return u.error }

// withPRT is step C: the PRT, signed with the session key as proof of possession.
func (p *Plugin) withPRT(ctx context.Context, r apptoken.Request, acc known) (apptoken.Grant, error) {
	answer, err := freshnonce.With(ctx, p.nonce, func(ctx context.Context, nonce string) (string, error) {
		request, err := acc.by.Sign(ctx, r, r.Redirect, nonce, nil)
		if err != nil {
			return "", unsigned{err}
		}
		return p.idp.RedeemPRT(ctx, request, r.Claims)
	})
	var own unsigned
	if errors.As(err, &own) {
		return apptoken.Grant{}, own.error
	}
	acc.by.Used(ctx, err)
	p.tell(ctx, true, err, acc.UPN)
	if err != nil {
		return apptoken.Grant{}, err
	}
	return p.keep(ctx, r, acc, answer)
}

// spent reports whether the identity provider refused the refresh token itself:
// it ended, was revoked, or belongs to a session key that has been replaced. Any
// other refusal would meet the PRT too, and goes to the app.
func spent(err error) bool {
	switch prterr.CodeOf(err) {
	case aadsts.InvalidGrant, aadsts.ExpiredToken, aadsts.FreshTokenNeeded, aadsts.InvalidSessionKey:
		return true
	default:
		return false
	}
}

// unsealable reports whether the sealed refresh token may be what could not be
// signed: it was sealed by a TPM that has been cleared, or for somebody else. The
// file stays until a new one replaces it, because the fault may lie elsewhere.
func unsealable(err error) bool {
	switch prterr.KindOf(err) {
	case prterr.Invalid, prterr.Denied, prterr.KeysLost:
		return prterr.CodeOf(err) == 0
	default:
		return false
	}
}
