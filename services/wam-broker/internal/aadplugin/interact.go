package aadplugin

import (
	"cmp"
	"context"
	"errors"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/apptoken"
)

// hresultInteraction is what apps on Windows know as "the request needs the user".
const hresultInteraction = 0xCAA2000C

// GetToken gives an access token and says whose it is: silently when that goes, and
// with the user at a sign-in page when it does not and the app lets the broker ask.
// To an app that does not, the error is prterr.Interaction, with the claims that the
// page has to be asked for.
func (p *Plugin) GetToken(ctx context.Context, r apptoken.Request) (apptoken.Account, apptoken.Grant, error) {
	acc, g, err := p.silent(ctx, r)
	if !repairable(err) {
		return acc, g, err
	}
	if !r.Interactive || p.desk == nil {
		return apptoken.Account{}, apptoken.Grant{}, interactionRequired(err)
	}
	return p.interact(ctx, r, err)
}

// interact brings the user to a page that gives what the silent way did not have,
// and goes the silent way once more. There is one page at a time in a session; who
// waited for another one first looks whether that one was enough.
func (p *Plugin) interact(ctx context.Context, r apptoken.Request, cause error) (apptoken.Account, apptoken.Grant, error) {
	turn, err := p.desk.Take(ctx, r.Session)
	if err != nil {
		return apptoken.Account{}, apptoken.Grant{}, err
	}
	defer turn.End()
	again := r
	again.Force, again.FromPRT = true, true
	if turn.Waited {
		acc, g, err := p.silent(ctx, again)
		if !repairable(err) {
			return acc, g, err
		}
		cause = err
	}
	var e *prterr.Error
	errors.As(cause, &e)
	claims := cmp.Or(e.Claims, r.Claims)
	page, err := p.authority.BeginInteraction(ctx, r, claims, signsIn(e))
	if err != nil {
		return apptoken.Account{}, apptoken.Grant{}, err
	}
	final, err := turn.Show(ctx, page, string(r.Client))
	if err != nil {
		return apptoken.Account{}, apptoken.Grant{}, err
	}
	if err := p.authority.CompleteInteraction(ctx, r.Session, page.GetInteractionId(), final); err != nil {
		return apptoken.Account{}, apptoken.Grant{}, err
	}
	again.Claims = cmp.Or(r.Claims, claims)
	acc, g, err := p.silent(ctx, again)
	if repairable(err) {
		err = interactionRequired(err) // once is enough: the app decides whether to ask anew
	}
	return acc, g, err
}

// repairable reports whether a sign-in page could give what was missing: a proof, a
// newer one, a consent, or a PRT. That nobody is signed in under the session is no
// such error: a page needs a user.
func repairable(err error) bool {
	var e *prterr.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code {
	case aadsts.MFARequired, aadsts.MFAEnrolmentRequired, aadsts.MFAExpired, aadsts.StrongAuthRequired, aadsts.EnrolmentInterrupt, aadsts.ConsentRequired:
		return true
	default:
		return signsIn(e)
	}
}

// signsIn reports whether the page has to ask for a sign-in, whatever PRT there is:
// it has ended, was revoked, or is older than a policy allows.
func signsIn(e *prterr.Error) bool {
	switch e.Code {
	case aadsts.SignInFrequency, aadsts.SessionTooOld, aadsts.UserInformationMissing, aadsts.FreshTokenNeeded, aadsts.SessionInvalid,
		aadsts.SessionRevoked, aadsts.InvalidGrant, aadsts.ExpiredToken, aadsts.ExpiredGrant:
		return true
	case 0:
		return e.Kind == prterr.Interaction && e.HRESULT == hresultInteraction
	default:
		return false
	}
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
