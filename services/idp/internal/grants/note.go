package grants

import (
	"context"
	"slices"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/policy"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// Refused is a decision as an error, with the claims challenge in the words of the
// endpoint's version.
func Refused(d policy.Decision, v2 bool) *prterr.Error {
	e := prterr.AADSTS(d.Code, "")
	if d.Reason != "" {
		e.Msg = d.Reason
	}
	if v2 {
		return e.WithClaims(d.Claims)
	}
	return e.WithClaims(d.ClaimsV1)
}

// Note puts what the policies were asked and said into the sign-in log.
func Note(e *signinlog.Event, f policy.Facts, d policy.Decision) {
	e.Resource, e.ResourceID = f.Resource.Name, string(f.Resource.ID)
	if e.Resource == "" {
		e.Resource = f.Resource.URI
	}
	if app, ok := f.Tenant.Application(f.Client); ok {
		e.Application = app.Name
	}
	e.ClientApp, e.Risk = string(f.App), string(f.Risk)
	e.MultiFactor = !f.MFATime.IsZero() || d.WantsFactor()
	if f.Device != nil {
		NoteDevice(e, *f.Device)
	}
	e.Policies, e.Decision = nil, decisionOf(d)
	for _, r := range d.Results {
		grants, session := Controls(r.Policy)
		e.Policies = append(e.Policies, signinlog.Applied{
			ID: r.Policy.ID, Name: r.Policy.Name, Result: string(r.Outcome), Because: r.Because, Code: int(r.Code),
			GrantControls: grants, SessionControls: session,
		})
		wants := r.Code == aadsts.MFARequired || slices.Contains(grants, "mfa") || r.Policy.Grants.Strength != ""
		e.MultiFactor = e.MultiFactor || wants && r.Outcome == policy.Success
	}
}

// decisionOf is a decision in a word: a new sign-in or another factor is the user's to
// give, a better device is not.
func decisionOf(d policy.Decision) signinlog.Decision {
	switch {
	case d.Code == 0:
		return signinlog.Grant
	case d.WantsFactor() || d.TooOld() || d.Code == aadsts.DeviceAuthenticationRequired:
		return signinlog.Interact
	default:
		return signinlog.Block
	}
}

// directoryResource is what a PRT is for, as the public service's log has it.
const directoryResource = "https://graph.windows.net"

// complete adds what follows from the rest of an event: the name of the application,
// and of a PRT and its data-protection key that they are the directory's own and of no browser.
func (g *Gate) complete(e *signinlog.Event) {
	home, ok := g.Tenants.Tenant(e.Tenant)
	if !ok {
		return
	}
	if app, known := home.Application(e.Client); known && e.Application == "" {
		e.Application = app.Name
	}
	if e.Flow != signinlog.IssuePRT && e.Flow != signinlog.RenewPRT && e.Flow != signinlog.DataKey || e.Resource != "" {
		return
	}
	e.ClientApp = string(tenant.Native)
	if r, known := home.Resource(directoryResource); known {
		e.Resource, e.ResourceID = r.Name, string(r.ID)
	}
}

// noteRefusedDevice puts into the row of a refusal what the directory knows of the device
// that was not good enough, and whose artefact it was. Who asked has shown the session
// key, and learns none of it.
func (g *Gate) noteRefusedDevice(ctx context.Context, s Session, e *signinlog.Event) {
	if s.Device.ID != "" {
		NoteDevice(e, s.Device)
	}
	if u, err := g.Directory.User(ctx, s.From.Tenant, s.From.User); err == nil || prterr.CodeOf(err) == aadsts.UserDisabled {
		e.User = u.UPN
	}
}

// NoteCaller puts what the edge saw into the log.
func NoteCaller(ctx context.Context, e *signinlog.Event) {
	c := CallerOf(ctx)
	e.IPAddress, e.UserAgent = c.IPAddress, c.UserAgent
}

// NoteProof puts into the log how the user proved who they are.
func NoteProof(e *signinlog.Event, a sealed.Artefact, in signinlog.Incoming) {
	e.Incoming, e.Session = in, a.SessionID
	if a.Origin == tenant.FlowDeviceCode {
		e.Transfer = signinlog.DeviceCodeTransfer
	}
	e.MultiFactor = e.MultiFactor || a.MFATime != 0
	e.Methods = nil
	for _, u := range a.Used {
		e.Methods = append(e.Methods, signinlog.Method{Name: string(u.Method), At: time.Unix(u.At, 0)})
	}
}

// NoteDevice puts the device object into the log.
func NoteDevice(e *signinlog.Event, d store.Device) {
	e.DeviceDetail = &signinlog.Device{
		Name: d.DisplayName, System: d.Type, Version: d.OSVersion, Trust: string(d.Trust), Compliant: d.Compliant, Managed: d.Managed,
	}
}

// Controls are what a policy demands, in the words of the log.
func Controls(p tenant.Policy) (grant, session []string) {
	demands := p.Demands()
	for _, c := range demands.Controls {
		grant = append(grant, map[tenant.Grant]string{
			tenant.GrantBlock: "block", tenant.GrantMFA: "mfa", tenant.GrantDevice: "registeredDevice",
			tenant.GrantCompliant: "compliantDevice", tenant.GrantHybrid: "domainJoinedDevice",
		}[c])
	}
	if demands.Strength != "" {
		grant = append(grant, "authenticationStrength: "+demands.Strength)
	}
	if p.SignInFrequency > 0 || p.EveryTime {
		session = append(session, "signInFrequency")
	}
	if p.TokenProtection {
		session = append(session, "secureSignInSession")
	}
	if p.PersistentBrowser != "" {
		session = append(session, "persistentBrowser")
	}
	return grant, session
}
