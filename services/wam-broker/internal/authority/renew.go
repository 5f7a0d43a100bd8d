package authority

import (
	"context"
	"runtime/debug"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/step"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/account"
)

const (
	instrumentation = "github.com/lockstep-sso/lockstep/services/wam-broker/internal/authority"
	// renewalTime bounds a renewal as a whole.
	renewalTime = time.Minute
	// firstRetry and lastRetry bound the wait after a failure that may pass.
	firstRetry = time.Minute
	lastRetry  = 30 * time.Minute
)

// Served is told that an app got its token by its own refresh token. There is no clock
// here that renews: a PRT older than the refresh cycle is renewed now, behind the app,
// which does not wait for it. A PRT that has ended is the user's to renew, and an app
// that needs it will say so.
func (u *User) Served(ctx context.Context) {
	a := u.authority
	e, err := a.find(u.id)
	if err != nil || !a.claim(e) {
		return
	}
	// A renewal outlives the app's call, so it is a trace of its own that links to it. Its
	// calls are no rows of a table: those are CloudAP's.
	app := trace.SpanFromContext(ctx)
	ctx, span := app.TracerProvider().Tracer(instrumentation).Start(step.In(context.WithoutCancel(ctx), ""), "renewal behind an app",
		trace.WithNewRoot(), trace.WithLinks(trace.Link{SpanContext: app.SpanContext()}))
	go func() {
		defer a.running.Done()
		defer span.End()
		ctx, cancel := context.WithTimeout(ctx, renewalTime)
		defer cancel()
		defer context.AfterFunc(a.life, cancel)()
		old := e.snapshot().PRT
		err := a.renewGuarded(ctx, e)
		a.cfg.Meter.Renewed(ctx, old.Kind, old.Age(a.cfg.Clock.Now()), err)
		a.finish(ctx, e, err)
	}()
}

// claim makes the caller the one who renews, when the PRT is due.
func (a *Authority) claim(e *entry) bool {
	now := a.cfg.Clock.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.rec.PRT
	if a.closing || e.gone || e.renewing || p == nil || p.Expired(now) || p.Age(now) < a.cfg.RenewEvery || now.Before(e.retryAt) {
		return false
	}
	e.renewing = true
	a.running.Add(1)
	return true
}

// renewGuarded keeps a bug in one renewal from taking down the broker of the whole device,
// as the RPC server does for its handlers.
func (a *Authority) renewGuarded(ctx context.Context, e *entry) (err error) {
	defer func() {
		if p := recover(); p != nil {
			a.cfg.Log.ErrorContext(ctx, "renewal panicked", "panic", p, "stack", string(debug.Stack()))
			err = prterr.New(prterr.Internal, "internal error: see the component's log")
		}
	}()
	return a.renew(ctx, e)
}

func (a *Authority) renew(ctx context.Context, e *entry) error {
	rec := e.snapshot()
	cached := rec.Cached()
	got, err := a.cfg.Protocol.Renew(ctx, cached, "", nil)
	if err != nil {
		return err
	}
	a.cfg.Points.Reached("answer-received")
	fresh, err := a.protect(ctx, got, cached.SealedKey)
	if err != nil {
		return err
	}
	return a.install(e, got, fresh, cached.SealedKey)
}

// finish records how a renewal ended and lets the next one begin.
func (a *Authority) finish(ctx context.Context, e *entry, err error) {
	e.mu.Lock()
	e.renewing = false
	upn := e.rec.UPN
	if err != nil {
		e.failures++
		e.retryAt = a.cfg.Clock.Now().Add(a.retryAfter(err, e.failures))
	}
	e.mu.Unlock()
	if err == nil {
		a.cfg.Log.InfoContext(ctx, "the PRT of a work account was renewed", "user", upn)
		return
	}
	a.cfg.Log.WarnContext(ctx, "renewal failed, the old PRT stays", "user", upn, "error", err)
	if ends(err) {
		a.mark(ctx, e, e.snapshot().PRT, account.Revoked)
	}
	a.failed(ctx, e, err, "renew")
}

// retryAfter is how long to wait after the nth failure in a row. What a network or a
// broken component caused may pass; what was refused will be refused again until the
// user has signed in.
func (a *Authority) retryAfter(err error, n int) time.Duration {
	switch prterr.KindOf(err) {
	case prterr.Unavailable, prterr.Deadline, prterr.Exhausted, prterr.TPMFailed, prterr.Internal:
		return max(prterr.RetryAfterOf(err), min(firstRetry<<min(n-1, 10), lastRetry))
	default:
		return a.cfg.RenewEvery
	}
}
