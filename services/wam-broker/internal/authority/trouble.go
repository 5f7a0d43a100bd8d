package authority

import (
	"cmp"
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/eventlog"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/account"
)

// Events of the Web Account Manager in AAD/Operational, and the codes that they carry.
const (
	// eventRenewal is a PRT that was not renewed, or needs its user.
	eventRenewal = 1097
	// eventOperation is an operation of the token broker that failed.
	eventOperation = 1098

	hresultRenewalFailed   = 0xCAA90056
	hresultOperationFailed = 0xCAA5001C
)

// Attempt is the last failure to obtain, renew or use a PRT.
type Attempt struct {
	At time.Time
	// Operation is obtain, renew, use or validate.
	Operation   string
	Correlation string
	// Status is the Windows code of it.
	Status uint32
	// CredentialType is the kind of the credential behind the PRT, or empty.
	CredentialType string
	Err            *prterr.Error
}

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

// failed keeps a failure as the last attempt of an account, and writes the event of it.
func (a *Authority) failed(ctx context.Context, e *entry, err error, operation string) {
	var named *prterr.Error
	if !errors.As(err, &named) {
		named = prterr.New(prterr.KindOf(err), "internal error: see the component's log")
	}
	attempt := &Attempt{At: a.cfg.Clock.Now(), Operation: operation, Err: named}
	if sc := trace.SpanContextFromContext(ctx); sc.HasTraceID() {
		attempt.Correlation = sc.TraceID().String()
	}
	event := eventlog.Event{
		Channel: eventlog.AADOperational, ID: eventOperation, Level: eventlog.Error, Message: "Token broker operation failed", Status: hresultOperationFailed,
	}
	switch {
	case operation == "renew":
		event.ID, event.Level, event.Message, event.Status = eventRenewal, eventlog.Warning, "Renew token by the primary refresh token failed", hresultRenewalFailed
	case named.Kind == prterr.Interaction, ends(named):
		event.ID, event.Level, event.Message, event.Status = eventRenewal, eventlog.Warning, "The request requires user interaction", hresultInteraction
	}
	e.mu.Lock()
	upn := e.rec.UPN
	if e.rec.PRT != nil {
		attempt.CredentialType = e.rec.PRT.Kind
	}
	attempt.Status = cmp.Or(named.HRESULT, event.Status)
	e.attempt = attempt
	e.mu.Unlock()
	event.Fields = []eventlog.Field{
		{Name: "UPN", Value: string(upn)}, {Name: "Operation", Value: operation}, {Name: "Kind", Value: string(named.Kind)},
		{Name: "Error", Value: said(named)},
	}
	a.cfg.Events.Add(ctx, event)
}

// said is what an error says in words of ours: its causes are for the log.
func said(e *prterr.Error) string {
	if row, ok := aadsts.Lookup(e.Code); ok {
		return e.Code.String() + ": " + row.Meaning
	}
	return cmp.Or(e.Msg, string(e.Kind))
}
