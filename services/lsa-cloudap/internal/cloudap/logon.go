package cloudap

import (
	"cmp"
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/pkg/sid"
	"github.com/lockstep-sso/lockstep/pkg/step"
	stepv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/step/v1"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/partition"
)

// Windows codes of a refused sign-in.
const (
	hresultLogonFailure  = 0x8007052E
	hresultAccountLocked = 0x80070775
)

// Logon is an open logon session.
type Logon struct {
	Session        secret.Text
	User           ids.UserID
	DisplayName    string
	FromCache      bool
	RenewalStarted bool
	// Kind of the partition that the session uses.
	Kind partition.Kind
	// SID is who the user is on this device.
	SID sid.SID
	// PRTPending is true when the domain let the user in and the PRT is still to come.
	PRTPending bool
	// ByDomain is true when the domain checked the credential.
	ByDomain bool
	// HelloOffered is true when Windows Hello will be offered after this sign-in.
	HelloOffered bool
}

// refusal says that the cache does not let somebody in; the identity provider
// still may.
type refusal struct {
	err *prterr.Error
	// former says that it is of a membership of the device that has ended.
	former bool
}

func (r refusal) Error() string { return r.err.Error() }
func (r refusal) Unwrap() error { return r.err }

// over is how a sign-in ends that the cache refused, if it did, and that ended with err at
// the identity provider. Where nobody was there to ask, the word of the cache stands. Of a
// former member it is only why somebody has to be asked: who was not there says the rest,
// and of a device in no tenant device registration says it better.
func (r refusal) over(err error) error {
	k := prterr.KindOf(err)
	switch {
	case err == nil || r.err == nil || prterr.CodeOf(err) != 0:
		return err
	case r.former && (k == prterr.Unavailable || k == prterr.Deadline):
		return prterr.Wrap(k, err, "%s: %s", whyFormer, message(err))
	case r.former:
		return err
	}
	return r.err
}

// asRefusal makes one of an error of the offline policy; a state that cannot be written
// is none.
func asRefusal(err error) error {
	var e *prterr.Error
	if errors.As(err, &e) && e.Kind == prterr.Denied {
		return refusal{err: e}
	}
	return err
}

// Logon signs a user in. Who has a PRT on this device signs in from the cache,
// and what is due after that goes on in the background. Who has none, or types a
// password that the cache does not know, signs in with the identity provider and
// waits for it: no session is opened before the PRT is stored. Each kind of credential
// has a partition of its own, and signs in by that one only. upn may be empty with a
// page: the user is the one that the page was begun for, if it was for one.
func (c *CloudAP) Logon(ctx context.Context, upn ids.UPN, cred Credential) (Logon, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.LogonTimeout)
	defer cancel()
	c.settleCache(ctx)
	p, e, err := c.resolve(upn, cred)
	if err != nil {
		return Logon{}, err
	}
	if p.page != nil {
		upn = cmp.Or(upn, p.page.hint)
	}
	if logon, in, err := c.domainLogon(ctx, upn, p, e); in || err != nil {
		return logon, err
	}
	if e == nil {
		logon, err := c.firstSignIn(step.Begin(ctx, stepv1.Step_STEP_FIRST_SIGN_IN_A), upn, p)
		return logon, needsNetwork(p, err)
	}
	logon, err := c.cachedSignIn(step.Begin(ctx, stepv1.Step_STEP_RENEWAL_A), e, p)
	var refused refusal
	if !errors.As(err, &refused) {
		return logon, err
	}
	// The password may be newer than the cache.
	logon, err = c.firstSignIn(step.Begin(ctx, stepv1.Step_STEP_FIRST_SIGN_IN_A), upn, p)
	return logon, refused.over(err)
}

// firstSignIn is steps A to F, and opens the desktop.
func (c *CloudAP) firstSignIn(ctx context.Context, upn ids.UPN, cred proof) (Logon, error) {
	e, err := c.acquire(ctx, upn, cred)
	if err != nil {
		return Logon{}, err
	}
	// Who gave up waiting must not leave a session behind that nobody holds.
	if err := prterr.FromContext(ctx); err != nil {
		return Logon{}, err
	}
	return c.opened(e, Logon{})
}

// acquire obtains a PRT with a credential and puts it in its partition.
func (c *CloudAP) acquire(ctx context.Context, upn ids.UPN, cred proof) (e *entry, err error) {
	ctx, span := c.hop(ctx)
	defer func() { step.End(span, err) }()
	ended, err := c.trying(ctx, upn, cred)
	if err != nil {
		return nil, err
	}
	defer func() { err = ended(err) }()
	err = c.recovering(ctx, upn, cred, func(got issued) error {
		e, upn = c.entryOf(ctx, got), got.upn
		also, err := c.afterSignIn(ctx, e, got, cred)
		if err != nil {
			return err
		}
		return c.install(ctx, stepv1.Step_STEP_FIRST_SIGN_IN_F, e, got, nil, also)
	})
	if err != nil {
		if e != nil {
			e.note(err)
		}
		c.learnByName(ctx, upn, err)
		return nil, err
	}
	c.retireOthers(e, upn)
	c.arrived(e, upn)
	c.cfg.Log.InfoContext(ctx, "signed in with the identity provider", "user", e.key.User, "kind", e.key.Kind)
	return e, nil
}

// afterSignIn is what changes in a partition beside PRT and key. Where a password was
// typed it is good, so it is worth the cost of the hash.
func (c *CloudAP) afterSignIn(ctx context.Context, e *entry, got issued, cred proof) (func(*partition.Partition), error) {
	if cred.password.Empty() {
		return c.afterPage(ctx, e, got), nil
	}
	verifier, err := partition.NewVerifier(cred.password)
	if err != nil {
		return nil, prterr.Wrap(prterr.Internal, err, "the password could not be prepared for cached sign-in")
	}
	return func(p *partition.Partition) {
		p.UPN, p.Verifier = got.upn, verifier
		p.WrongPasswords, p.LastWrongAt = 0, time.Time{}
	}, nil
}

// cachedSignIn is renewal steps A and B. The credential is checked before anything
// else happens, renewal or not: a password against its hash, a PIN by the TPM.
func (c *CloudAP) cachedSignIn(ctx context.Context, e *entry, cred proof) (_ Logon, err error) {
	ctx, span := c.hop(ctx)
	defer func() { step.End(span, err) }()
	_, row := step.Start(ctx, stepv1.Step_STEP_RENEWAL_B)
	defer func() { step.End(row, err) }()
	if err = c.judge(ctx, e, cred); err != nil {
		return Logon{}, err
	}
	return c.enter(ctx, e, cred, Logon{FromCache: true})
}

// judge is what the cache says of a credential: whether the device is still the member of
// its tenant that it was, then whether the credential is right, then whether its user may
// come in without anybody else's word. The first is asked while the second is checked, and
// decides before it: of a former member nobody learns whether a password was right.
func (c *CloudAP) judge(ctx context.Context, e *entry, cred proof) error {
	err := c.cacheUsable()
	if err != nil {
		return err
	}
	answered := c.askMembership(ctx)
	if cred.hello != nil {
		err = c.tpm.verifyPIN(ctx, *cred.hello)
	} else {
		err = c.checkPassword(e, cred.password)
	}
	if gone := c.stillMember(ctx, e, answered); gone != nil {
		return gone
	}
	if err != nil {
		return err
	}
	return c.mayEnter(e)
}

// enter opens the desktop of somebody whose credential was found right, and renews
// behind it what is due.
func (c *CloudAP) enter(ctx context.Context, e *entry, cred proof, l Logon) (Logon, error) {
	l.RenewalStarted = c.renewBehind(ctx, e, cred)
	c.cfg.Log.InfoContext(ctx, "signed in from the cache", "user", e.key.User, "kind", e.key.Kind, "renewal", l.RenewalStarted)
	return c.opened(e, l)
}

// renewBehind starts the renewal that is due, and reports whether one is under way.
func (c *CloudAP) renewBehind(ctx context.Context, e *entry, cred proof) bool {
	// Claimed before the session opens, so that it is this renewal, which has the
	// password, and not one of the renewal clock.
	flight, mine := c.claim(e, false)
	if mine {
		go c.runRenewal(context.WithoutCancel(ctx), e, cred)
	}
	return flight != nil
}

func (c *CloudAP) opened(e *entry, l Logon) (Logon, error) {
	p, ok := e.snapshot()
	if !ok {
		return Logon{}, replacedMeanwhile()
	}
	l.SID = sidOf(p)
	session, err := c.openSession(&session{sid: l.SID, entry: e})
	if err != nil {
		return Logon{}, err
	}
	l.Session, l.User, l.DisplayName, l.Kind = session, p.User, p.DisplayName, p.Kind
	l.HelloOffered = c.offersHello(p)
	return l, nil
}

// checkPassword checks a password against the cache and counts the wrong ones, on
// disk, so that neither patience nor a restart gives more guesses.
func (c *CloudAP) checkPassword(e *entry, password secret.Text) error {
	// One at a time: else as many guesses as are made at once would pass before the first
	// of them has counted.
	e.checking.Lock()
	defer e.checking.Unlock()
	p, ok := e.snapshot()
	if !ok {
		return replacedMeanwhile()
	}
	now := c.cfg.Clock.Now()
	if p.WrongPasswords >= c.cfg.MaxWrongPasswords && now.Sub(p.LastWrongAt) < c.cfg.LockoutFor {
		return refusal{err: prterr.New(prterr.Exhausted, "too many wrong passwords: wait, or sign in with the network").WithHRESULT(hresultAccountLocked)}
	}
	if !p.Verifier.Matches(password) {
		count := func(p *partition.Partition) {
			if now.Sub(p.LastWrongAt) >= c.cfg.LockoutFor {
				p.WrongPasswords = 0
			}
			p.WrongPasswords++
			p.LastWrongAt = now
		}
		if err := c.replace(e, func(p *partition.Partition) error { count(p); return nil }); err != nil {
			// Somebody may have filled the disk for this: it counts until the process ends.
			e.inMemory(count)
			c.cfg.Log.Error("a wrong password was counted in memory only", "user", e.key.User, "error", err)
		}
		return refusal{err: prterr.New(prterr.Unauthenticated, "the user name or the password is wrong").WithHRESULT(hresultLogonFailure)}
	}
	if p.WrongPasswords == 0 {
		return nil
	}
	err := c.replace(e, func(p *partition.Partition) error {
		p.WrongPasswords, p.LastWrongAt = 0, time.Time{}
		return nil
	})
	if err != nil { // whoever knows the password comes in; the count stays
		c.cfg.Log.Error("the count of wrong passwords could not be put back", "user", e.key.User, "error", err)
	}
	return nil
}

// hop makes CloudAP visible between LSA and the plug-in in a trace.
func (c *CloudAP) hop(ctx context.Context) (context.Context, trace.Span) {
	return trace.SpanFromContext(ctx).TracerProvider().Tracer(instrumentation).Start(ctx, "CloudAP")
}
