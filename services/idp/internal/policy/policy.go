// Package policy decides about conditional access: facts in, decision out.
//
// What lives here: how the policies of a tenant combine, what each of them says of
// a sign-in, and what a client is told when they demand more than there is. What
// never may: a look-up, a clock, a token; whoever calls it has collected the facts.
// It is asked when a resource's token or a page's answer is about to be given, and
// never when a PRT is issued or renewed.
package policy

import (
	"net/netip"
	"slices"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/services/idp/internal/methods"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// Facts are what a decision depends on.
type Facts struct {
	Tenant *tenant.Tenant
	User   ids.UPN
	Client ids.ClientID
	// Resource that a token is for; UserAction is what using it amounts to, or stands
	// in its place. Contexts are the authentication contexts that are demanded.
	Resource   tenant.Resource
	UserAction tenant.UserAction
	Contexts   []string
	// SignsIn says that what is issued signs the user in to the client, a web
	// application: policies that name it are asked beside those about Resource.
	SignsIn bool
	// Challenged are the policies that a claims challenge named, by id. They count
	// where nothing but a PRT is asked for.
	Challenged []string
	// App is the kind of client, Platform that of the device in front of the user.
	App      tenant.ClientApp
	Platform tenant.Platform
	// Device of the tenant that authenticated and is enabled; nil is none.
	Device *store.Device
	// IP is where the request comes from; the zero value is not known.
	IP   netip.Addr
	Risk tenant.Risk
	// Flow is a flow that policies know, or empty for the usual ones.
	Flow string
	// Used are the methods that proved the user; Kept is until when a Windows Hello
	// key kept its proof alive by renewals.
	Used []methods.Used
	Kept time.Time
	// AuthTime is when the user last proved who they are, MFATime when a second
	// factor was last proven or kept alive; zero is never.
	AuthTime, MFATime time.Time
	// NoMethod says that the user has registered nothing to prove a second factor
	// with; Registering that they are about to register their first one.
	NoMethod, Registering bool
	// Bound says that the request is signed with a session key of the device, or its
	// answer sealed under one: what is issued is worth nothing elsewhere.
	Bound bool
	// Page says that it is a page that asks: then a session is too old, not a token.
	Page bool
	// Now is the time of the decision.
	Now time.Time
}

// Outcome is what became of one policy, in the words of the public service's
// sign-in log (appliedConditionalAccessPolicyResult).
type Outcome string

// The outcomes.
const (
	Success               Outcome = "success"
	Failure               Outcome = "failure"
	NotApplied            Outcome = "notApplied"
	NotEnabled            Outcome = "notEnabled"
	ReportOnlySuccess     Outcome = "reportOnlySuccess"
	ReportOnlyFailure     Outcome = "reportOnlyFailure"
	ReportOnlyInterrupted Outcome = "reportOnlyInterrupted"
	ReportOnlyNotApplied  Outcome = "reportOnlyNotApplied"
)

// Result is what one policy said.
type Result struct {
	Policy  tenant.Policy
	Outcome Outcome
	// Code is 0 when the policy is not about the facts, or its demands are met.
	Code aadsts.Code
	// Because names the condition that did not hold, for a policy that is not about
	// the facts.
	Because string
}

// Decision is what all of them said together.
type Decision struct {
	// Code is 0 when nothing stands in the way.
	Code aadsts.Code
	// Reason says more than the code's own text, or nothing.
	Reason string
	// Claims is the claims challenge in JSON that goes with Code, ClaimsV1 the same in
	// the words of the endpoints of version 1; empty where nothing helps.
	Claims, ClaimsV1 string
	// Allowed are the methods each of which, beside those that were used, meets every
	// demand for a second factor. Windows Hello is never among them: a page cannot ask
	// for it in the middle of a sign-in. It is filled for pages, and where a factor is
	// missing.
	Allowed []methods.Method
	// Hello says that a sign-in with Windows Hello would meet those demands.
	Hello bool
	// Persistent is whether sessions of a browser outlive its window: always, never,
	// or empty to leave it to the user.
	Persistent string
	// Results has every policy of the tenant, in its order.
	Results []Result
}

// Decide combines the policies as the public service does: all that are about the
// facts must be satisfied, and a block wins over everything. Policies in report-only
// mode are judged like the others and change nothing.
func Decide(f Facts) Decision {
	var d Decision
	var failed []string
	var inForce []tenant.Policy
	for _, p := range f.Tenant.Policies {
		r := f.about(p)
		if r.Because == "" && p.State != tenant.Disabled {
			r.Code = f.judge(p)
		}
		r.Outcome = outcome(p, r)
		d.Results = append(d.Results, r)
		if p.State != tenant.Enabled || r.Because != "" {
			continue
		}
		inForce = append(inForce, p)
		d.persist(p)
		if r.Code != 0 {
			failed = append(failed, p.ID)
			d.worse(f, p, r.Code)
		}
	}
	if f.Page || d.WantsFactor() {
		d.offer(f, inForce)
	}
	contexts := f.known(f.Contexts)
	d.Claims, d.ClaimsV1 = challenge(d.Code, "capolids", "values", failed, contexts), challenge(d.Code, "polids", "Values", failed, contexts)
	return d
}

// weights are the refusals from the lightest to the heaviest: what cannot be
// repaired comes before what can, and a new sign-in before a second factor before a
// device, so that one answer does not hide a worse one and nobody proves a factor
// that the next answer throws away.
func weights() []aadsts.Code {
	return []aadsts.Code{
		0, aadsts.DeviceAuthenticationRequired, aadsts.DeviceNotCompliant, aadsts.DeviceNotDomainJoined,
		aadsts.MFAExpired, aadsts.MFARequired, aadsts.MFAEnrolmentRequired, aadsts.SignInFrequency, aadsts.SessionTooOld,
		aadsts.ProofUpBlockedByPolicy, aadsts.BlockedByPolicy,
	}
}

func weight(c aadsts.Code) int { return slices.Index(weights(), c) }

func (d *Decision) worse(f Facts, p tenant.Policy, c aadsts.Code) {
	if weight(c) <= weight(d.Code) {
		return
	}
	d.Code, d.Reason = c, ""
	if c == aadsts.BlockedByPolicy && p.TokenProtection && !f.Bound {
		d.Reason = "A policy demands tokens that are bound to the device: ask through the broker of a registered device."
	}
}

// persist: never wins over always.
func (d *Decision) persist(p tenant.Policy) {
	if p.PersistentBrowser != "" && d.Persistent != tenant.PersistNever {
		d.Persistent = p.PersistentBrowser
	}
}

// offer finds the methods that would help.
func (d *Decision) offer(f Facts, inForce []tenant.Policy) {
	helps := func(m methods.Method) bool {
		after := f.after(m)
		return !slices.ContainsFunc(inForce, func(p tenant.Policy) bool { return factorCode(after.judge(p)) })
	}
	for _, row := range methods.Table() {
		switch {
		case row.Kind == methods.First || !helps(row.Method):
		case row.Method == methods.WindowsHello:
			d.Hello = true
		default:
			d.Allowed = append(d.Allowed, row.Method)
		}
	}
}

// factorCode says whether a second factor is what is missing.
func factorCode(c aadsts.Code) bool {
	return c == aadsts.MFARequired || c == aadsts.MFAExpired || c == aadsts.MFAEnrolmentRequired
}

// WantsFactor says whether the decision is that a second factor is missing.
func (d Decision) WantsFactor() bool { return factorCode(d.Code) }

// TooOld says whether the decision is that the user has to sign in anew.
func (d Decision) TooOld() bool {
	return d.Code == aadsts.SignInFrequency || d.Code == aadsts.SessionTooOld
}

// outcome is the word of the log for a result.
func outcome(p tenant.Policy, r Result) Outcome {
	report := p.State == tenant.Report
	switch {
	case p.State == tenant.Disabled:
		return NotEnabled
	case r.Because != "" && report:
		return ReportOnlyNotApplied
	case r.Because != "":
		return NotApplied
	case r.Code == 0 && report:
		return ReportOnlySuccess
	case r.Code == 0:
		return Success
	case report && (factorCode(r.Code) || r.Code == aadsts.SignInFrequency || r.Code == aadsts.SessionTooOld):
		// The user could have gone on after doing something.
		return ReportOnlyInterrupted
	case report:
		return ReportOnlyFailure
	}
	return Failure
}
