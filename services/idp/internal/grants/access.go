package grants

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/policy"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// freshFactor is the amr value of a second factor that was proven just now.
const freshFactor = "ngcmfa"

func (d *Demands) add(claim string, essential bool, values []string) {
	switch claim {
	case "amr":
		d.MFA = d.MFA || slices.Contains(values, "mfa") || slices.Contains(values, freshFactor)
		d.FreshMFA = d.FreshMFA || slices.Contains(values, freshFactor)
	case "acrs":
		d.Contexts = append(d.Contexts, values...)
	case "deviceid":
		d.Device = d.Device || essential
	case "xms_cc":
		d.CAE = d.CAE || slices.ContainsFunc(values, func(v string) bool { return strings.EqualFold(v, "cp1") })
	}
}

// Admit is the phase before a resource's token is issued: the policies of the
// tenant, and beside them what the request itself demands. The event gets what the
// policies were asked and said. An error carries the claims challenge that leads on,
// in the words of the endpoint's version. AADSTS50076, 50078, 50079, 50097, 53000,
// 53001, 53003, 53010, 70043.
func Admit(e *signinlog.Event, f policy.Facts, from sealed.Artefact, d Demands, v2 bool) error {
	decision := policy.Decide(f)
	Note(e, f, decision)
	switch {
	case decision.Code != 0:
		return Refused(decision, v2)
	case d.FreshMFA && !from.FreshMFA(f.Now):
		return prterr.AADSTS(aadsts.MFARequired, "").WithClaims(`{"access_token":{"amr":{"essential":true,"values":["ngcmfa"]}}}`)
	case f.Uncovered() && f.MFATime.IsZero():
		// A context that no policy is about stands for a second factor.
		return prterr.AADSTS(aadsts.MFARequired, "").WithClaims(contextChallenge(d.Contexts))
	case d.MFA && f.MFATime.IsZero():
		return prterr.AADSTS(aadsts.MFARequired, "").WithClaims(`{"access_token":{"amr":{"essential":true,"values":["mfa"]}}}`)
	case d.Device && f.Device == nil:
		return prterr.AADSTS(aadsts.DeviceAuthenticationRequired, "").WithClaims(`{"access_token":{"deviceid":{"essential":true}}}`)
	}
	return nil
}

func contextChallenge(contexts []string) string {
	b, err := json.Marshal(map[string]any{"access_token": map[string]any{"acrs": map[string]any{"essential": true, "values": contexts}}})
	if err != nil {
		return "" // strings in maps: cannot fail
	}
	return string(b)
}

// ask is what the artefact of a signed request and its device say for themselves.
func (s Session) ask(app tenant.Application, resource tenant.Resource, contexts []string) Ask {
	a := Ask{
		Tenant: s.Tenant, User: s.User, App: app, Kind: tenant.Native, Resource: resource, Contexts: contexts, From: s.From,
	}
	if s.DeviceGood {
		a.Device = &s.Device
		// In version 4 of the protocol the device key signs, else the session key.
		a.Bound = !s.From.SessionKey.Empty() || s.From.Protocol == int(entrawire.Protocol4)
	}
	return a
}

// AdmitBrowser is Admit for a device's own browser that signs its user in to an
// application: without another name, the application itself is what policies are
// asked about.
func (g *Gate) AdmitBrowser(ctx context.Context, s Session, app tenant.Application) error {
	ask := s.ask(app, tenant.Resource{URI: string(app.ID), ID: app.ID, Name: app.Name}, nil)
	ask.Kind, ask.Page, ask.Bound = tenant.Browser, true, false // the application gets a token that is bound to nothing
	return Admit(s.event, g.Facts(ctx, ask), s.From, Demands{}, true)
}

// Methods are the amr values of a token that is issued now: those of the sign-in,
// but that a factor is called fresh only while it is, and only when the sign-in or
// the request demanded one.
func Methods(from sealed.Artefact, d Demands, now time.Time) []string {
	amr := slices.DeleteFunc(slices.Clone(from.AMR), func(m string) bool { return m == freshFactor })
	if from.FreshMFA(now) && (d.FreshMFA || len(amr) != len(from.AMR)) {
		amr = append(amr, freshFactor)
	}
	return amr
}
