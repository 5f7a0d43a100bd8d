package aadplugin

import (
	"context"
	"errors"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/step"
	stepv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/step/v1"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/apptoken"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/upstream"
)

// offerTime bounds the offer of a new PRT: the authority asks the identity
// provider about it, and an app should not wait for a slow one.
const offerTime = 10 * time.Second

// keep is step D: the authority has the TPM open the answer, the refresh token is
// cached sealed, and a new PRT goes down to the authority. The app's token does
// not depend on what becomes of the other two.
func (p *Plugin) keep(ctx context.Context, r apptoken.Request, acc known, answer string) (_ apptoken.Grant, err error) {
	ctx, span := step.Start(ctx, stepv1.Step_STEP_APP_TOKEN_D)
	defer func() { step.End(span, err) }()
	g, opened, err := p.open(ctx, r, acc, answer)
	if err != nil || opened.NewPRT.Empty() {
		return g, err
	}
	offer, cancel := context.WithTimeout(ctx, offerTime)
	defer cancel()
	if err := acc.by.OfferPRT(offer, r.Session, opened.NewPRT, opened.NewPRTLifetime); err != nil {
		p.log.WarnContext(ctx, "new PRT was not adopted, the old one stays", "error", err)
	}
	return g, nil
}

// open has an answer opened and checked, and keeps what is in it. Nothing is
// kept of an answer that fails a check: a wrong token in the cache would be
// refused at hand-over until it ends.
func (p *Plugin) open(ctx context.Context, r apptoken.Request, acc known, answer string) (apptoken.Grant, upstream.Opened, error) {
	asked := p.clock.Now() // before the call: a token must not seem to live longer than it does
	opened, err := acc.by.Open(ctx, r, answer)
	if err != nil {
		return apptoken.Grant{}, upstream.Opened{}, err
	}
	g := apptoken.Grant{Token: opened.Access, ExpiresAt: asked.Add(opened.Lifetime), Scope: opened.Scope}
	if err := apptoken.Check(g, r.Client, r.Resource, acc.Owner()); err != nil {
		return apptoken.Grant{}, upstream.Opened{}, err
	}
	p.cache.PutAccess(accessKey(r, acc.Account), g)
	if opened.Refresh != nil {
		if err := errors.Join(p.cache.PutRefresh(refreshKey(r, acc.Account), opened.Refresh), acc.by.Kept(r.Client)); err != nil {
			p.log.WarnContext(ctx, "refresh token of an app was not kept", "client", r.Client, "error", err)
		}
	}
	return g, opened, nil
}
