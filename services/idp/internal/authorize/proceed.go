package authorize

import (
	"context"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/deviceflow"
	"github.com/lockstep-sso/lockstep/services/idp/internal/flowstate"
	"github.com/lockstep-sso/lockstep/services/idp/internal/grants"
	"github.com/lockstep-sso/lockstep/services/idp/internal/policy"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// someone is a user whose proof was checked just now, with what goes with it.
type someone struct {
	tenant *tenant.Tenant
	user   store.User
	app    tenant.Application
	// resource that policy is asked about; named when the application named it.
	resource tenant.Resource
	named    bool
	// device of the tenant that authenticated; nil for none.
	device *store.Device
}

// Proceed goes on from a state whose user is known: whether the proof still
// stands, what is demanded beyond it, and at the end the answer. Everything is
// looked up anew, because hours of clicking may lie behind the state.
func (s *Service) Proceed(ctx context.Context, st *flowstate.State) (Outcome, error) {
	who, err := s.who(ctx, st)
	switch {
	case broken(err):
		return Outcome{}, err
	case err != nil && prterr.CodeOf(err) == aadsts.UserNotInTenant:
		return s.again(ctx, st, err)
	case err != nil:
		return s.failed(ctx, st, err)
	}
	if who.user.MustChange && st.Proof.Credential == sealed.Password && st.Proof.PRT == "" && st.Proof.Cookie == "" {
		return s.page(ctx, st, flowstate.Change, PageChange, nil)
	}
	d, err := s.decide(ctx, st, who)
	switch {
	case err != nil:
		return s.failed(ctx, st, err)
	case d.TooOld():
		return s.again(ctx, st, grants.Refused(d, st.Asked.V2))
	case d.WantsFactor():
		return s.factor(ctx, st, who, d)
	case d.Code != 0:
		return s.stop(ctx, st, grants.Refused(d, st.Asked.V2), challengeOf(st, d))
	}
	if o, asked, err := s.campaign(ctx, st, who); asked || err != nil {
		return o, err
	}
	if o, asked, err := s.consent(ctx, st, who); asked || err != nil {
		return o, err
	}
	if st.Asked.UserCode != "" && !st.Confirmed {
		return s.page(ctx, st, flowstate.Confirm, PageDeviceConfirm, nil)
	}
	if err := s.once(ctx, st); err != nil {
		return s.end(ctx, st, err)
	}
	return s.finish(ctx, st, who)
}

// decide asks policy, then adds what the application demands by itself.
func (s *Service) decide(ctx context.Context, st *flowstate.State, who someone) (policy.Decision, error) {
	signIn, err := s.artefact(st, who)
	if err != nil {
		return policy.Decision{}, err
	}
	defer signIn.SessionKey.Wipe()
	if st.Asked.UserCode != "" {
		signIn.Origin = deviceflow.Origin
	}
	f := s.gate.Facts(ctx, grants.Ask{
		Tenant: who.tenant, User: who.user, App: who.app, Kind: grants.KindOf(who.app, who.app.SPA(st.Asked.RedirectURI)), Resource: who.resource,
		Contexts: st.Asked.Contexts, Device: who.device, From: signIn, Bound: who.device != nil && signIn.Encrypted, Page: true, IDToken: true,
	})
	f.Challenged = st.Asked.Policies
	d := policy.Decide(f)
	s.detail(ctx, st, signIn, f, d)
	if d.Persistent != "" {
		st.Proof.Persistent = d.Persistent == tenant.PersistAlways
	}
	factor := (st.Asked.Factor || f.Uncovered()) && f.MFATime.IsZero() || st.Asked.FreshFactor && f.Now.Sub(time.Unix(st.Proof.MFATime, 0)) > factorAge
	switch {
	case d.Code == aadsts.BlockedByPolicy || d.Code == aadsts.ProofUpBlockedByPolicy || d.TooOld():
	case factor && !d.WantsFactor():
		d.Code, d.Claims, d.ClaimsV1 = aadsts.MFARequired, factorChallenge, factorChallenge
	case d.Code == 0 && st.Asked.Device && who.device == nil:
		d.Code, d.Claims, d.ClaimsV1 = aadsts.DeviceAuthenticationRequired, deviceChallenge, deviceChallenge
	}
	return d, nil
}

// detail notes for the sign-in log what the policies were asked and said.
func (s *Service) detail(ctx context.Context, st *flowstate.State, signIn sealed.Artefact, f policy.Facts, d policy.Decision) {
	var e signinlog.Event
	in := signinlog.NoToken
	switch {
	case st.Proof.PRT != "":
		in = signinlog.PrimaryRefreshToken
	case signIn.Credential.Federated() && st.Proof.Cookie == "":
		in = signinlog.SAML11
	}
	grants.NoteCaller(ctx, &e)
	grants.NoteProof(&e, signIn, in)
	grants.Note(&e, f, d)
	if st.Asked.UserCode != "" {
		e.Protocol = signinlog.DeviceCodeProtocol
	}
	e.Interactive = st.Carried || st.Proof.PRT == "" && st.Proof.Cookie == ""
	st.Detail = e.Detail
}

// The claims challenges of what an application demands by itself.
const (
	factorChallenge = `{"access_token":{"amr":{"essential":true,"values":["mfa"]}}}`
	deviceChallenge = `{"access_token":{"deviceid":{"essential":true}}}`
)

// challengeOf is the claims challenge in the words of the endpoint's version.
func challengeOf(st *flowstate.State, d policy.Decision) string {
	if st.Asked.V2 {
		return d.Claims
	}
	return d.ClaimsV1
}

// failed is for a proof that stands no more: the user signs in again, or the
// application hears that it cannot be done silently.
func (s *Service) failed(ctx context.Context, st *flowstate.State, err error) (Outcome, error) {
	switch prterr.CodeOf(err) {
	case aadsts.InvalidReplyTo, aadsts.ApplicationNotFound:
		return s.end(ctx, st, err)
	case aadsts.ResourceNotFound, aadsts.InvalidScope, aadsts.ProofKeyRequired:
		return s.refuse(ctx, st, err, "")
	}
	return s.again(ctx, st, err)
}

// again begins the sign-in anew on its page.
func (s *Service) again(ctx context.Context, st *flowstate.State, err error) (Outcome, error) {
	if st.Asked.Silent {
		return s.refuse(ctx, st, err, "")
	}
	s.log(ctx, st, &st.Proof, err)
	st.Proof, st.Carried = flowstate.Proof{}, false
	return s.ask(ctx, st, err)
}

// ask shows the sign-in page with what went wrong.
func (s *Service) ask(ctx context.Context, st *flowstate.State, err error) (Outcome, error) {
	if st.Asked.Silent {
		return s.refuse(ctx, st, err, "")
	}
	return s.page(ctx, st, flowstate.SignIn, PageSignIn, err)
}

// stop is for what the user cannot repair on a page.
func (s *Service) stop(ctx context.Context, st *flowstate.State, err error, claims string) (Outcome, error) {
	if st.Asked.Silent {
		return s.refuse(ctx, st, err, claims)
	}
	return s.end(ctx, st, err)
}
