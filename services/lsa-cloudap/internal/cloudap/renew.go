package cloudap

import (
	"bytes"
	"context"
	"errors"
	"runtime/debug"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/step"
	"github.com/lockstep-sso/lockstep/pkg/wincode"
	stepv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/step/v1"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/partition"
)

// renewalCalls is how many calls a renewal makes at most, each within
// CallTimeout; it bounds a renewal as a whole.
const renewalCalls = 12

// claim makes the caller the one who renews e, when the PRT is due. Otherwise it
// returns the renewal that is under way, or nil when nothing is to be done. So two
// renewals of one partition never run at once. A sign-in does not wait for the
// end of a back-off (patient false): somebody is there, and may have brought the
// network and the password; but it has few tries where the other side asked to wait.
func (c *CloudAP) claim(e *entry, patient bool) (flight chan struct{}, mine bool) {
	now := c.cfg.Clock.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case c.closing || e.retired:
		return nil, false
	case e.flight != nil:
		return e.flight, false
	case !patient && (e.keysLost || e.current.Validity.Over()):
	case e.current.Age(now) < c.cfg.RenewEvery || patient && now.Before(e.retryAt):
		return nil, false
	case !patient && c.hints.Try(whoseRenewal(e.current), now, personTries) != nil:
		return nil, false
	}
	c.running.Add(1)
	e.flight = make(chan struct{})
	return e.flight, true
}

// runRenewal renews on behalf of who claimed it. The credential is empty when no
// user is at the keyboard.
func (c *CloudAP) runRenewal(ctx context.Context, e *entry, cred proof) {
	defer c.running.Done()
	ctx, cancel := context.WithTimeout(ctx, renewalCalls*c.cfg.CallTimeout)
	defer cancel()
	defer context.AfterFunc(c.life, cancel)()
	ended := c.refreshing(ctx, e)
	c.settleCache(ctx)
	err := c.renewGuarded(ctx, e, cred)
	c.learn(ctx, e, err)
	ended(err)
	if p, there := e.snapshot(); there {
		c.hints.Learn(whoseRenewal(p), err, c.cfg.Clock.Now())
	}
	e.finish(err, c.cfg.Clock.Now(), c.renewalWait)
	if err != nil {
		c.cfg.Log.WarnContext(ctx, "renewal failed, the old PRT stays", "user", e.key.User, "kind", prterr.KindOf(err), "error", err)
		return
	}
	c.cfg.Log.InfoContext(ctx, "renewed", "user", e.key.User)
}

// renewGuarded keeps a bug in one renewal from taking down the sign-in of the
// whole device, as the RPC server does for its handlers.
func (c *CloudAP) renewGuarded(ctx context.Context, e *entry, cred proof) (err error) {
	defer func() {
		if p := recover(); p != nil {
			c.cfg.Log.ErrorContext(ctx, "renewal panicked", "panic", p, "stack", string(debug.Stack()))
			err = prterr.New(prterr.Internal, "internal error: see the component's log")
		}
	}()
	return c.renew(ctx, e, cred)
}

// renew is the renewal from step C on. When the identity provider says that the
// PRT is no good any more, or the session key is lost, and the user has just
// typed password or PIN, a PRT is requested as at the first sign-in. A Hello key has no
// part in a renewal: what it proved is in the PRT, and the identity provider keeps the
// second factor of such a PRT alive.
func (c *CloudAP) renew(ctx context.Context, e *entry, cred proof) error {
	old, ok := e.snapshot()
	if !ok {
		return prterr.New(prterr.Conflict, "the account is not on this device any more")
	}
	if cred.empty() { // else the cache has let somebody in just now, and has asked
		if err := c.stillMember(ctx, e, c.askMembership(ctx)); err != nil {
			return err
		}
	}
	err := signInAgain()
	if !old.Expired(c.cfg.Clock.Now()) {
		var got issued
		if got, err = c.plugin.renew(ctx, old, cred.password); err == nil {
			return c.install(ctx, stepv1.Step_STEP_RENEWAL_G, e, got, old.SealedKey, nil)
		}
	}
	if k := prterr.KindOf(damaged(err)); cred.empty() || k != prterr.Interaction && k != prterr.KeysLost {
		return err
	}
	ctx = step.In(ctx, step.FirstSignIn)
	return c.recovering(ctx, old.UPN, cred, func(got issued) error {
		return c.install(ctx, stepv1.Step_STEP_FIRST_SIGN_IN_F, e, got, nil, nil)
	})
}

// install is step F of the first sign-in and G of the renewal.
func (c *CloudAP) install(ctx context.Context, row stepv1.Step, e *entry, got issued, old []byte, also func(*partition.Partition)) (err error) {
	ctx, span := step.Start(ctx, row)
	defer func() { step.End(span, err) }()
	return c.adopt(ctx, e, got, old, also)
}

// adopt puts a PRT in its partition: the TPM takes the session key, the agent seals the
// PRT, the pair goes to disk, then memory switches. old is the session key that a renewal was made with, nil
// for a new PRT: it stays when none came with the PRT, and a renewal that was overtaken
// by a newer PRT, which may prove more, changes nothing. also changes what else changes;
// it sees the partition with the PRT of before.
func (c *CloudAP) adopt(ctx context.Context, e *entry, got issued, old []byte, also func(*partition.Partition)) (err error) {
	c.cfg.Points.Reached("answer-received")
	if got.key != e.key {
		return prterr.New(prterr.Denied, "the PRT is for another user than the cached one, or of another kind")
	}
	sealed := old
	if got.wrappedKey != "" {
		if sealed, err = c.tpm.importSessionKey(ctx, got.key, got.wrappedKey); err != nil {
			return err
		}
		c.cfg.Points.Reached("session-key-imported")
	}
	protected, err := c.tpm.protectPRT(ctx, got.key, got.prt)
	if err != nil {
		return err
	}
	c.cfg.Points.Reached("prt-sealed")
	now := c.cfg.Clock.Now()
	err = c.replace(e, func(p *partition.Partition) error {
		if old != nil && !bytes.Equal(p.SealedKey, old) {
			return prterr.New(prterr.Conflict, "the session key was replaced meanwhile: the newer PRT stays")
		}
		if also != nil {
			also(p)
		}
		p.SetPRT(got.prt, protected)
		if old == nil || p.Membership == "" {
			p.Membership = got.membership
		}
		p.SealedKey, p.ObtainedAt, p.ExpiresAt = sealed, now, now.Add(got.life)
		if got.displayName != "" {
			p.DisplayName = got.displayName
		}
		if got.mfa != partition.MFAUnknown || old == nil {
			p.MFA, p.MFATime = got.mfa, got.mfaTime
		}
		accepted(p, now)
		return nil
	})
	if err == nil {
		c.cfg.Points.Reached("memory-switched")
		c.welcome(ctx, e)
	}
	return err
}

// untilSignIn is longer than any PRT lives.
const untilSignIn = 400 * 24 * time.Hour

// renewalWait is how long the clock waits after the nth failure in a row. By the words of
// 2025 a renewal that met no network is due after a new sign-in, and not only when the
// network is back; a sign-in does not wait.
func (c *CloudAP) renewalWait(err error, n int) time.Duration {
	if k := prterr.KindOf(err); c.cfg.RenewAfterSignIn && (k == prterr.Unavailable || k == prterr.Deadline) {
		return untilSignIn
	}
	return retryAfter(err, n, c.cfg.RenewEvery)
}

// retryAfter is how long to wait after the nth failure in a row. What a network
// or a broken component caused may pass: one minute, doubling to thirty. What was
// refused will be refused again: the next cycle, or the next sign-in. Never before the
// time that the other side asked to be left alone.
func retryAfter(err error, n int, every time.Duration) time.Duration {
	return max(prterr.RetryAfterOf(err), byItself(err, n, every))
}

func byItself(err error, n int, every time.Duration) time.Duration {
	switch prterr.KindOf(err) {
	case prterr.Unavailable, prterr.Deadline, prterr.Exhausted, prterr.TPMFailed, prterr.Internal:
		return min(firstRetry<<min(n-1, 10), lastRetry)
	default:
		return every
	}
}

// hresultInteraction is the Windows code for "user interaction is needed".
const hresultInteraction = uint32(wincode.InteractionRequired)

func signInAgain() error {
	return prterr.New(prterr.Interaction, "the PRT has expired: sign in again").WithHRESULT(hresultInteraction)
}

// message is what an error says to people; its causes are for the log.
func message(err error) string {
	var e *prterr.Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e) && e.Code != 0:
		return e.Code.String() + ": " + e.Msg
	case errors.As(err, &e):
		return e.Msg
	default:
		return "internal error: see the component's log"
	}
}
