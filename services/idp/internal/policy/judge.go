package policy

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/services/idp/internal/methods"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// everyTime is how old a sign-in may be that is demanded every time: the public
// service allows five minutes, so that nobody is asked twice in one go.
const everyTime = 5 * time.Minute

// judge is what one policy that is about the facts says: 0, or the heaviest of what
// is missing.
func (f Facts) judge(p tenant.Policy) aadsts.Code {
	code := f.granted(p)
	heavier := func(c aadsts.Code) {
		if weight(c) > weight(code) {
			code = c
		}
	}
	if window := window(p); window > 0 && f.Now.Sub(f.AuthTime) > window {
		if f.Page {
			heavier(aadsts.SessionTooOld)
		} else {
			heavier(aadsts.SignInFrequency)
		}
	}
	if p.TokenProtection && !f.Bound {
		heavier(aadsts.BlockedByPolicy)
	}
	return code
}

// window is how old proofs may be, 0 for as old as they like.
func window(p tenant.Policy) time.Duration {
	if p.EveryTime {
		return everyTime
	}
	return p.SignInFrequency
}

// granted is what the controls say together.
func (f Facts) granted(p tenant.Policy) aadsts.Code {
	g := p.Demands()
	var codes []aadsts.Code
	for _, c := range g.Controls {
		if !f.spared(p, c) {
			codes = append(codes, f.control(p, c))
		}
	}
	if g.Strength != "" && !f.spared(p, tenant.GrantMFA) {
		codes = append(codes, f.strength(p, g.Strength))
	}
	if len(codes) == 0 {
		return 0
	}
	byWeight := func(a, b aadsts.Code) int { return cmp.Compare(weight(a), weight(b)) }
	if g.Operator == tenant.OperatorOr {
		return easiest(codes)
	}
	return slices.MaxFunc(codes, byWeight)
}

// easiest is what a user is told who must do one of several things: the factor at
// the page before the device that may have to be enrolled. A block is not in the order:
// it comes before everything, and nothing that is met beside it counts.
func easiest(codes []aadsts.Code) aadsts.Code {
	order := []aadsts.Code{
		0, aadsts.MFAExpired, aadsts.MFARequired, aadsts.MFAEnrolmentRequired,
		aadsts.DeviceAuthenticationRequired, aadsts.DeviceNotCompliant, aadsts.DeviceNotDomainJoined, aadsts.ProofUpBlockedByPolicy,
	}
	return slices.MinFunc(codes, func(a, b aadsts.Code) int { return cmp.Compare(slices.Index(order, a), slices.Index(order, b)) })
}

// spared says that a control of a policy on resources does not count, because
// nobody could ever meet it: a device cannot be compliant before it is registered,
// and nobody proves a factor before the first is registered. Both as on the public
// service, which leaves these two resources out of such policies. A policy that is
// about the user action, or names the resource, means it. Both are for who registers:
// the pages of the security information, and clients on a device. A web site that is
// visited with such a resource signs its visitor in to itself.
func (f Facts) spared(p tenant.Policy, c tenant.Grant) bool {
	if len(p.IncludeResources) == 0 || slices.ContainsFunc(p.IncludeResources, f.Resource.Is) {
		return false
	}
	switch c {
	case tenant.GrantMFA:
		return f.Registering && f.UserAction == tenant.RegisterSecurityInfo && (f.Resource.ID == "" || f.Resource.ID == f.Client)
	case tenant.GrantDevice, tenant.GrantCompliant, tenant.GrantHybrid:
		return f.UserAction == tenant.RegisterDevice && f.App != tenant.Browser
	default:
		return false
	}
}

func (f Facts) control(p tenant.Policy, c tenant.Grant) aadsts.Code {
	var code aadsts.Code
	switch {
	case c == tenant.GrantMFA:
		return f.factor(!f.MFATime.IsZero(), window(p) == 0 || f.Now.Sub(f.MFATime) <= window(p))
	case c == tenant.GrantBlock:
		code = aadsts.BlockedByPolicy
	case f.Device == nil:
		code = aadsts.DeviceAuthenticationRequired
	case c == tenant.GrantCompliant && !f.Device.Compliant:
		code = aadsts.DeviceNotCompliant
	case c == tenant.GrantHybrid && f.Device.Trust != store.TrustHybrid:
		code = aadsts.DeviceNotDomainJoined
	}
	if code != 0 && slices.Contains(p.UserActions, tenant.RegisterSecurityInfo) {
		return aadsts.ProofUpBlockedByPolicy
	}
	return code
}

// strength judges an authentication strength. One that is not there is met by
// nothing.
func (f Facts) strength(p tenant.Policy, name string) aadsts.Code {
	s, ok := f.Tenant.Strength(name)
	met := ok && s.Satisfied(methods.Names(f.Used))
	return f.factor(met, met && s.Satisfied(methods.Names(f.recent(window(p)))))
}

// recent are the methods whose proof is not older than a time; first factors stay,
// because their age is the sign-in's.
func (f Facts) recent(window time.Duration) []methods.Used {
	if window == 0 {
		return f.Used
	}
	return slices.DeleteFunc(slices.Clone(f.Used), func(u methods.Used) bool {
		fact, _ := methods.Of(u.Method)
		at := time.Unix(u.At, 0)
		if u.Method == methods.WindowsHello && f.Kept.After(at) {
			at = f.Kept
		}
		return fact.Kind != methods.First && f.Now.Sub(at) > window
	})
}

// factor words the answer to a demand for a second factor: whether there was one,
// and whether it is young enough.
func (f Facts) factor(met, young bool) aadsts.Code {
	switch {
	case met && young:
		return 0
	case met:
		return aadsts.MFAExpired
	case f.NoMethod:
		return aadsts.MFAEnrolmentRequired
	}
	return aadsts.MFARequired
}

// after are the facts once a method was proven now beside the others.
func (f Facts) after(m methods.Method) Facts {
	f.Used = methods.Add(f.Used, m, f.Now)
	if t := methods.FactorTime(f.Used); t.After(f.MFATime) {
		f.MFATime = t
	}
	return f
}

// known are the contexts that some policy in force is about.
func (f Facts) known(contexts []string) []string {
	return slices.DeleteFunc(slices.Clone(contexts), func(c string) bool {
		return !slices.ContainsFunc(f.Tenant.Policies, func(p tenant.Policy) bool {
			return p.State == tenant.Enabled && slices.Contains(p.AuthContexts, c)
		})
	})
}

// Uncovered says that an authentication context is demanded which no policy in force
// is about. Such a one stands for a second factor.
func (f Facts) Uncovered() bool {
	return len(f.known(f.Contexts)) < len(f.Contexts)
}

// maxNamed is how many policies a challenge names: with all contexts beside them it
// stays shorter than what crosses a border (prterr.MaxClaims).
const maxNamed = 16

// challenge is what a client hands back with its next interactive request, with the
// policies under the name that its endpoint has for them. The authentication
// contexts stand in it again: without them the next request would not be about the
// same policies.
func challenge(code aadsts.Code, ids, member string, policies, contexts []string) string {
	token := map[string]map[string]any{}
	switch code {
	case 0, aadsts.BlockedByPolicy, aadsts.ProofUpBlockedByPolicy, aadsts.SignInFrequency, aadsts.SessionTooOld:
		return ""
	case aadsts.DeviceAuthenticationRequired:
		token["deviceid"] = map[string]any{"essential": true}
	default:
		token[ids] = map[string]any{"essential": true, member: policies[:min(len(policies), maxNamed)]}
	}
	if len(contexts) > 0 {
		token["acrs"] = map[string]any{"essential": true, "values": contexts}
	}
	b, err := json.Marshal(map[string]any{"access_token": token})
	if err != nil {
		return "" // strings in maps: cannot fail
	}
	return string(b)
}
