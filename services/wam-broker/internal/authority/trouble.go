package authority

import (
	"context"
	"errors"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	prt "github.com/lockstep-sso/lockstep/pkg/authority"
	"github.com/lockstep-sso/lockstep/pkg/authority/lastattempt"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/wincode"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/account"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/wamevent"
)

// noted keeps a failure to use a PRT and passes it on.
func (u *User) noted(ctx context.Context, e *entry, err error) error {
	if err != nil && e != nil {
		u.authority.failed(ctx, e, err, "use")
	}
	return err
}

// Used is told how the identity provider answered a request with the PRT. What it says
// of the PRT and of the device is remembered; it decides nothing, because it is asked
// again the next time.
func (u *User) Used(ctx context.Context, err error) {
	e, missing := u.authority.find(u.id)
	if missing != nil {
		return
	}
	p := e.snapshot().PRT
	if p == nil {
		return
	}
	switch {
	case err == nil:
		u.authority.mark(ctx, e, p, account.Good)
		return
	case ends(err):
		u.authority.mark(ctx, e, p, account.Revoked)
	case aboutDevice(err):
		u.authority.mark(ctx, e, p, account.DeviceInvalid)
	}
	u.authority.failed(ctx, e, err, "use")
}

// ends reports whether the identity provider took the PRT away.
func ends(err error) bool {
	switch prterr.CodeOf(err) {
	case aadsts.FreshTokenNeeded, aadsts.InvalidGrant, aadsts.SessionRevoked, aadsts.SessionInvalid, aadsts.InvalidSessionKey, aadsts.ExpiredToken:
		return true
	default:
		return false
	}
}

// aboutDevice reports whether it refuses the device, whoever uses it.
func aboutDevice(err error) bool {
	switch prterr.CodeOf(err) {
	case aadsts.DeviceAuthenticationFailed, aadsts.DeviceDisabled:
		return true
	default:
		return false
	}
}

// mark keeps what is known of a PRT, unless another one has taken its place.
func (a *Authority) mark(ctx context.Context, e *entry, of *account.PRT, v account.Validity) {
	if of == nil || of.Validity == v {
		return
	}
	err := a.replace(e, func(r *account.Record) error {
		if r.PRT != of {
			return prterr.New(prterr.Conflict, "there is a newer PRT")
		}
		next := *of
		next.Validity = v
		r.PRT = &next
		return nil
	})
	if err != nil && prterr.KindOf(err) == prterr.Internal {
		a.cfg.Log.WarnContext(ctx, "what is known of a PRT was not kept", "error", err)
	}
}

// failed keeps a failure as the last attempt of an account.
func (a *Authority) failed(ctx context.Context, e *entry, err error, operation string) {
	var named *prterr.Error
	if !errors.As(err, &named) {
		named = prterr.New(prterr.KindOf(err), "internal error: see the component's log")
	}
	attempt := prt.Failed(ctx, a.cfg.Clock.Now(), named)
	attempt.Status, attempt.Message = statusOf(named), wamevent.Said(named)
	e.mu.Lock()
	attempt.UPN = e.rec.UPN
	if e.rec.PRT != nil {
		attempt.Kind = e.rec.PRT.Kind
	}
	name, gone := attemptName(e.rec.ID), e.gone
	e.mu.Unlock()
	if !gone {
		a.cfg.Attempts.Set(name, attempt)
	}
	// What a use came to is the plug-in's to tell, once for each request of an app.
	if operation != "use" {
		a.cfg.Events.Add(ctx, wamevent.Of(operation == "renew", named, attempt.UPN))
	}
}

// attemptName is under which name the last failure of an account is kept.
func attemptName(id account.ID) lastattempt.Name {
	return lastattempt.Name{What: lastattempt.Use, Of: id.FileName()}
}

// statusOf is the Windows code of an attempt: an ended PRT is one that its user repairs.
func statusOf(e *prterr.Error) wincode.Code {
	if e.HRESULT == 0 && ends(e) {
		return wincode.InteractionRequired
	}
	return wincode.Of(e)
}
