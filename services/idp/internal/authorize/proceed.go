package authorize

import (
	"context"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/deviceflow"
	"github.com/lockstep-sso/lockstep/services/idp/internal/flowstate"
	"github.com/lockstep-sso/lockstep/services/idp/internal/policy"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
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
	d := s.decide(st, who)
	switch {
	case d.Code == aadsts.SignInFrequency:
		return s.again(ctx, st, prterr.AADSTS(d.Code, ""))
	case d.Code == aadsts.MFARequired:
		return s.factor(ctx, st, who, d.Claims)
	case d.Code != 0:
		return s.stop(ctx, st, prterr.AADSTS(d.Code, ""), d.Claims)
	case st.Asked.UserCode != "" && !st.Confirmed:
		return s.page(ctx, st, flowstate.Confirm, PageDeviceConfirm, nil)
	}
	if err := s.once(ctx, st); err != nil {
		return s.end(ctx, st, err)
	}
	return s.finish(ctx, st, who)
}

// decide asks policy, then adds what the application demands by itself.
func (s *Service) decide(st *flowstate.State, who someone) policy.Decision {
	now, p := s.gate.Clock.Now(), st.Proof
	f := policy.Facts{
		Tenant: who.tenant, User: who.user.UPN, Client: who.app.ID, Resource: who.resource, Now: now, AuthTime: time.Unix(p.AuthTime, 0),
		Device: who.device != nil, Compliant: who.device != nil && who.device.Compliant,
	}
	if p.MFATime > 0 {
		f.MFATime = time.Unix(p.MFATime, 0)
	}
	if st.Asked.UserCode != "" {
		f.Flow = deviceflow.Origin
	}
	d := policy.Decide(f)
	factor := st.Asked.Factor && f.MFATime.IsZero() || st.Asked.FreshFactor && now.Sub(f.MFATime) > factorAge
	switch {
	case d.Code == aadsts.BlockedByPolicy:
	case factor && d.Code != aadsts.MFARequired:
		d.Code, d.Claims = aadsts.MFARequired, `{"access_token":{"amr":{"essential":true,"values":["mfa"]}}}`
	case d.Code == 0 && st.Asked.Device && who.device == nil:
		d.Code, d.Claims = aadsts.DeviceAuthenticationRequired, `{"access_token":{"deviceid":{"essential":true}}}`
	}
	return d
}

// factor asks for a second factor, if the user has one.
func (s *Service) factor(ctx context.Context, st *flowstate.State, who someone, claims string) (Outcome, error) {
	if st.Asked.Silent {
		return s.refuse(ctx, st, prterr.AADSTS(aadsts.MFARequired, ""), claims)
	}
	methods := Methods(who.user)
	if len(methods) == 0 {
		return s.page(ctx, st, flowstate.Over, PageRegister, prterr.AADSTS(aadsts.MFAEnrolmentRequired, ""))
	}
	o, err := s.page(ctx, st, flowstate.Factor, PageFactor, nil)
	if o.Page != nil {
		o.Page.Methods = methods
	}
	return o, err
}

// Methods are the second factors of a user, the one that asks least first.
func Methods(u store.User) []Method {
	var out []Method
	if u.Push {
		out = append(out, Method{ID: MethodPush, Display: "Authenticator app", Default: true})
	}
	if !u.TOTPSecret.Empty() {
		out = append(out, Method{ID: MethodCode, Display: "Code of an authenticator app", Default: !u.Push})
	}
	if len(u.Passkeys) > 0 {
		out = append(out, Method{ID: MethodPasskey, Display: "Passkey or security key", Default: len(out) == 0})
	}
	return out
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
