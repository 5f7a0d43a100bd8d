package authorize

import (
	"context"
	"slices"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/flowstate"
	"github.com/lockstep-sso/lockstep/services/idp/internal/grants"
	"github.com/lockstep-sso/lockstep/services/idp/internal/methods"
	"github.com/lockstep-sso/lockstep/services/idp/internal/policy"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// securityInfo is where people register how they prove who they are.
const securityInfo = "/security-info"

// helloGuidance is for a user whose Windows Hello key would be enough. A page cannot
// ask for it: it belongs to the sign-in of the device.
const helloGuidance = "Your organisation asks for a stronger way to sign in. Sign out of this device, or restart it, and sign in to Windows with Windows Hello. Then open this page again."

// factor asks for a second factor: one of those that the user has and that the
// policies take. The first factor is free (Microsoft Entra, "Conditional Access
// authentication strengths"), so whatever began the sign-in stays.
func (s *Service) factor(ctx context.Context, st *flowstate.State, who someone, d policy.Decision) (Outcome, error) {
	if st.Asked.Silent {
		return s.refuse(ctx, st, grants.Refused(d, st.Asked.V2), challengeOf(st, d))
	}
	offered := slices.DeleteFunc(Methods(who.user, s.gate.Clock.Now()), func(m Method) bool {
		return !slices.ContainsFunc(d.Allowed, func(a methods.Method) bool { return a.ID() == m.ID }) ||
			m.ID == methods.IDPhoneSignIn && slices.Contains(d.Allowed, methods.Push) // one question to one telephone
	})
	if byCertificate(who.tenant, d) && (len(offered) > 0 || !slices.ContainsFunc(d.Allowed, registrable)) {
		offered = append(offered, Method{ID: methods.IDCertificate, Display: "Certificate or smart card"})
	}
	if len(offered) == 0 {
		return s.noFactor(ctx, st, who, d)
	}
	if !slices.ContainsFunc(offered, func(m Method) bool { return m.Default }) {
		offered[0].Default = true
	}
	o, err := s.page(ctx, st, flowstate.Factor, PageFactor, nil)
	if o.Page != nil {
		o.Page.Methods = offered
	}
	return o, err
}

// byCertificate says whether a certificate that is more than one factor would do, and
// there are authorities which issue such. Who has one is not known before it is shown,
// so it is offered beside what the user has, and alone where nobody can register
// anything else that would do.
func byCertificate(t *tenant.Tenant, d policy.Decision) bool {
	return slices.Contains(d.Allowed, methods.CertificateMulti) &&
		slices.ContainsFunc(t.CertificateAuthorities, func(a tenant.CertificateAuthority) bool { return a.MultiFactor })
}

// noFactor is for a user who has nothing that would be enough: one with a Windows
// Hello key hears how to use it, because a page cannot ask for it in the middle of a
// sign-in; others are sent to register what would be enough; and where nothing that
// people register by themselves would, it ends.
func (s *Service) noFactor(ctx context.Context, st *flowstate.State, who someone, d policy.Decision) (Outcome, error) {
	canRegister := slices.ContainsFunc(d.Allowed, registrable)
	hello := d.Hello && (!canRegister || slices.Contains(grants.Registered(who.user), methods.WindowsHello))
	if !hello && !canRegister {
		return s.stop(ctx, st, prterr.AADSTS(aadsts.ProofUpBlocked, ""), "")
	}
	why := prterr.AADSTS(aadsts.MFAEnrolmentRequired, "")
	if hello {
		why = prterr.AADSTS(aadsts.MFARequired, "")
	}
	s.log(ctx, st, &st.Proof, why)
	step := flowstate.Over
	if !hello {
		step = flowstate.Factor // who has registered a method goes on with it
	}
	o, err := s.page(ctx, st, step, PageRegister, why)
	switch {
	case o.Page == nil:
	case hello:
		o.Page.Guidance = helloGuidance
	default:
		o.Page.RegisterURL = securityInfo
	}
	return o, err
}

// registrable are the methods that people register by themselves; the others come
// from an administrator, a federation provider or a device.
func registrable(m methods.Method) bool {
	return slices.Contains([]methods.Method{methods.Push, methods.SoftwareOATH, methods.SMS, methods.Voice, methods.FIDO2, methods.PhoneSignIn}, m)
}
