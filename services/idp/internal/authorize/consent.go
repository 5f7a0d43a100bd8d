package authorize

import (
	"context"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/consent"
	"github.com/lockstep-sso/lockstep/services/idp/internal/flowstate"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// asks is what the application wants in the name of the user, as the token endpoint
// will see it.
func (w someone) asks(a flowstate.Asked) consent.Ask {
	out := consent.Ask{Tenant: w.tenant.ID, App: w.app, User: w.user.ID, Resource: w.resource}
	switch {
	case w.resource.ID == w.app.ID && !w.named:
		out.Scopes = []string{consent.SignIn} // the application itself: nothing but who it is
	case a.V2:
		out.Scopes = consent.Names(strings.Fields(a.Scope))
	}
	return out
}

// consent asks for consent at the end of a sign-in, when everything else is there, and
// says whether it did. AADSTS65001 for who asks silently, 90094 when it takes an
// administrator and the user is none.
func (s *Service) consent(ctx context.Context, st *flowstate.State, who someone) (Outcome, bool, error) {
	if !who.app.Consent.Asks() {
		return Outcome{}, false, nil
	}
	ask := who.asks(st.Asked)
	missing, err := s.gate.Consents.Missing(ctx, ask)
	admin := who.app.Consent == tenant.ConsentAdministrator && !who.user.Administrator
	switch {
	case err != nil:
		return Outcome{}, false, err
	case len(missing) == 0 && (!st.Asked.Consent || admin):
		return Outcome{}, false, nil
	case st.Asked.Silent:
		o, err := s.refuse(ctx, st, prterr.AADSTS(aadsts.ConsentRequired, ""), "")
		return o, true, err
	case admin:
		o, err := s.stop(ctx, st, prterr.AADSTS(aadsts.AdminConsentRequired, ""), "")
		return o, true, err
	}
	o, err := s.page(ctx, st, flowstate.Consent, PageConsent, nil)
	if o.Page != nil {
		o.Page.Permissions = permissions(ask)
		o.Page.MayConsentForAll = who.user.Administrator
	}
	return o, true, err
}

func permissions(a consent.Ask) []Permission {
	var out []Permission
	for _, scope := range a.Wanted() {
		out = append(out, Permission{Resource: a.Resource.Name, Scope: scope})
	}
	return out
}

// Consent notes that the user allowed what the page listed, and goes on. For the
// organisation only who administers it may; where nobody else's counts, theirs always
// is for it.
func (s *Service) Consent(ctx context.Context, st *flowstate.State, forOrganization bool) (Outcome, error) {
	who, err := s.who(ctx, st)
	switch {
	case broken(err):
		return Outcome{}, err
	case err != nil:
		return s.failed(ctx, st, err)
	}
	onlyAdministrator := who.app.Consent == tenant.ConsentAdministrator
	if (forOrganization || onlyAdministrator) && !who.user.Administrator {
		return s.stop(ctx, st, prterr.AADSTS(aadsts.AdminConsentRequired, ""), "")
	}
	if err := s.gate.Consents.Grant(ctx, who.asks(st.Asked), forOrganization || onlyAdministrator); err != nil {
		return Outcome{}, err
	}
	s.gate.Log.Record(ctx, s.gate.Clock.Now(), signinlog.Event{
		Flow: signinlog.Consented, Tenant: who.tenant.ID, User: who.user.UPN, Device: st.Device.ID, Client: who.app.ID, Correlation: st.Correlation,
	}, nil)
	st.Asked.Consent = false
	return s.Proceed(ctx, st)
}

// DeclineConsent tells the application, or the device that waits, that the user does
// not want it: AADSTS65004.
func (s *Service) DeclineConsent(ctx context.Context, st *flowstate.State) (Outcome, error) {
	if st.Asked.UserCode != "" {
		return s.Decline(ctx, st)
	}
	return s.refuse(ctx, st, prterr.AADSTS(aadsts.AuthorizationDeclined, "the user declined what the application asked for"), "")
}
