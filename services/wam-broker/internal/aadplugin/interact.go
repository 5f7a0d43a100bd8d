package aadplugin

import (
	"cmp"
	"context"
	"errors"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/wincode"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/apptoken"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/wamevent"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/window"
)

// hresultInteraction is what apps on Windows know as "the request needs the user".
const hresultInteraction = uint32(wincode.InteractionRequired)

// GetToken gives an access token and says whose it is: silently when that goes, and
// with the user at a sign-in page when it does not and the app lets the broker ask.
// To an app that does not, the error is prterr.Interaction, with the claims that the
// page has to be asked for.
func (p *Plugin) GetToken(ctx context.Context, r apptoken.Request) (apptoken.Account, apptoken.Grant, error) {
	acc, g, err := p.get(ctx, r)
	p.tell(ctx, false, err, acc.UPN)
	return acc, g, err
}

// tell writes the event of a failure. The app gets the error all the same.
func (p *Plugin) tell(ctx context.Context, renewal bool, err error, upn ids.UPN) {
	var e *prterr.Error
	switch {
	case err == nil:
		return
	case !errors.As(err, &e):
		e = prterr.New(prterr.KindOf(err), "internal error: see the component's log")
	}
	p.events.Add(ctx, wamevent.Of(renewal, e, upn))
}

func (p *Plugin) get(ctx context.Context, r apptoken.Request) (apptoken.Account, apptoken.Grant, error) {
	acc, err := p.pick(ctx, r.Session, r.Account)
	if err != nil {
		return apptoken.Account{}, apptoken.Grant{}, err
	}
	g, err := p.silent(ctx, r, acc)
	if !repairable(err) {
		return acc.Account, g, err
	}
	if !r.Interactive || p.desk == nil {
		if prterr.KindOf(err) == prterr.KeysLost {
			return acc.Account, apptoken.Grant{}, err // what is lost is said: the whole device may have to be recovered
		}
		return acc.Account, apptoken.Grant{}, interactionRequired(err)
	}
	r.Account = string(acc.User) // whatever becomes the default meanwhile
	return p.interact(ctx, r, err)
}

// again goes the silent way once more. What a page brought may have moved the session, so
// the account is looked up anew.
func (p *Plugin) again(ctx context.Context, r apptoken.Request) (known, apptoken.Grant, error) {
	acc, err := p.pick(ctx, r.Session, r.Account)
	if err != nil {
		return known{}, apptoken.Grant{}, err
	}
	g, err := p.silent(ctx, r, acc)
	return acc, g, err
}

// interact brings the user to a page that gives what the silent way did not have,
// and goes the silent way once more. What is missing then may be another thing, such as
// a second factor after a sign-in: each is asked for once in a request, and of what was
// proven just now nothing again. There is one page at a time in a session; who waited
// for another one first looks whether that one was enough.
func (p *Plugin) interact(ctx context.Context, r apptoken.Request, err error) (apptoken.Account, apptoken.Grant, error) {
	turn, full := p.desk.Take(ctx, r.Session)
	if full != nil {
		return apptoken.Account{}, apptoken.Grant{}, full
	}
	defer turn.End()
	again := r
	again.Force, again.FromPRT = true, true
	var acc known
	var g apptoken.Grant
	if turn.Waited {
		acc, g, err = p.again(ctx, again)
	}
	for asked := map[need]bool{}; repairable(err); {
		var e *prterr.Error
		errors.As(err, &e)
		missing := needOf(e)
		if asked[missing] {
			if e.Kind == prterr.KeysLost {
				return apptoken.Account{}, apptoken.Grant{}, err // no page gives a key back to this TPM
			}
			return apptoken.Account{}, apptoken.Grant{}, interactionRequired(err) // the app decides whether to ask anew
		}
		asked[missing] = true
		again.Claims = cmp.Or(e.Claims, again.Claims)
		if err := p.page(ctx, turn, again, missing); err != nil {
			return apptoken.Account{}, apptoken.Grant{}, err
		}
		again.Claims = cmp.Or(r.Claims, again.Claims)
		acc, g, err = p.again(ctx, again)
	}
	return acc.Account, g, err
}

// page shows one page and hands its end down.
func (p *Plugin) page(ctx context.Context, turn *window.Turn, r apptoken.Request, missing need) error {
	acc, err := p.pick(ctx, r.Session, r.Account)
	if err != nil {
		return err
	}
	page, err := begin(ctx, acc.by, r, missing)
	if err != nil {
		return err
	}
	final, err := turn.Show(ctx, page, string(r.Client))
	if err != nil {
		return err
	}
	return acc.by.CompleteInteraction(ctx, r.Session, page.GetInteractionId(), final)
}

func begin(ctx context.Context, by authority, r apptoken.Request, missing need) (*authorityv1.Interaction, error) {
	if missing == consent {
		return by.BeginConsent(ctx, r)
	}
	return by.BeginInteraction(ctx, r, missing == signIn)
}

// need is what a page is for.
type need int

const (
	// nothing that a page gives.
	nothing need = iota
	// signIn whatever PRT there is: it has ended, was revoked, or is older than a
	// policy allows.
	signIn
	// proof beyond the one of the PRT.
	proof
	// consent of the user to what the app wants. The page is the app's own, so there is
	// no new PRT.
	consent
)

// repairable reports whether a sign-in page could give what was missing: a proof, a
// newer one, a consent, or a PRT. That nobody is signed in under the session is no such error: a
// page needs a user.
func repairable(err error) bool {
	var e *prterr.Error
	return errors.As(err, &e) && needOf(e) != nothing
}

func needOf(e *prterr.Error) need {
	switch e.Code {
	case aadsts.MFARequired, aadsts.MFAEnrolmentRequired, aadsts.MFAExpired, aadsts.StrongAuthRequired, aadsts.EnrolmentInterrupt:
		return proof
	case aadsts.ConsentRequired:
		return consent
	case aadsts.SignInFrequency, aadsts.SessionTooOld, aadsts.UserInformationMissing, aadsts.FreshTokenNeeded, aadsts.SessionInvalid,
		aadsts.SessionRevoked, aadsts.InvalidGrant, aadsts.ExpiredToken, aadsts.ExpiredGrant:
		return signIn
	case 0:
		// A session key that is lost with the TPM's key ends the PRT as its time does.
		if e.Kind == prterr.Interaction && e.HRESULT == hresultInteraction || e.Kind == prterr.KeysLost {
			return signIn
		}
	}
	return nothing
}

// interactionRequired is the same refusal for an app: kind and HRESULT say that the
// user is needed, code and claims what for.
func interactionRequired(err error) error {
	var e *prterr.Error
	if !errors.As(err, &e) {
		return err
	}
	out := *e
	out.Kind = prterr.Interaction
	return out.WithHRESULT(cmp.Or(e.HRESULT, hresultInteraction))
}
