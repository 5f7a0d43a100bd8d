package policy_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/services/idp/internal/methods"
	"github.com/lockstep-sso/lockstep/services/idp/internal/policy"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

const cases = 8_000

// world draws policies and sign-ins. The same seed draws the same.
type world struct{ *rand.Rand }

func pick[T any](w world, from ...T) T { return from[w.IntN(len(from))] }

// some draws a list, empty most of the time.
func some[T any](w world, from ...T) []T {
	var out []T
	for range w.IntN(7) / 5 * (1 + w.IntN(2)) {
		out = append(out, pick(w, from...))
	}
	return out
}

func (w world) policy(i int) tenant.Policy {
	p := tenant.Policy{
		ID: fmt.Sprintf("00000000-0000-4000-8000-%012d", i), Name: "P", State: pick(w, tenant.Enabled, tenant.Enabled, tenant.Report, tenant.Disabled),
		IncludeUsers: []string{pick(w, "All", "All", "a@x.test", "Staff", "b@x.test")}, ExcludeUsers: some(w, "b@x.test", "b@x.test", "Staff"),
		ClientApps: some(w, tenant.Browser, tenant.Native), Platforms: some(w, tenant.Windows, tenant.Linux), ExcludePlatforms: some(w, tenant.MacOS),
		IncludeLocations: some(w, "All", "Office", "Trusted"), ExcludeLocations: some(w, "Trusted"), SignInRisks: some(w, tenant.RiskNone, tenant.RiskHigh),
		Flows: some(w, tenant.FlowDeviceCode, tenant.FlowTransfer), TokenProtection: w.IntN(8) == 0, EveryTime: w.IntN(8) == 0,
		SignInFrequency: pick(w, 0, 0, time.Hour, 24*time.Hour), PersistentBrowser: pick(w, "", "", "always", "never"),
	}
	switch w.IntN(8) {
	case 0:
		p.UserActions = []tenant.UserAction{pick(w, tenant.RegisterDevice, tenant.RegisterSecurityInfo)}
	case 1:
		p.AuthContexts = []string{pick(w, "c1", "c2")}
	default:
		p.IncludeResources, p.ExcludeResources = []string{pick(w, "All", "All", "https://r.test")}, some(w, "https://s.test")
	}
	if w.IntN(6) == 0 {
		p.DeviceFilter = tenant.DeviceFilter{Mode: pick(w, "include", "exclude"), Rule: pick(w, `device.isCompliant -eq True`, `device.trustType -ne "Workplace"`)}
	}
	p.Grants.Operator = pick(w, "and", "or")
	p.Grants.Controls = one(w, tenant.GrantMFA, tenant.GrantDevice, tenant.GrantCompliant, tenant.GrantHybrid)
	switch w.IntN(6) {
	case 0:
		p.Grants = tenant.Grants{Controls: []tenant.Grant{tenant.GrantBlock}}
	case 1, 2:
		p.Grants = tenant.Grants{Strength: pick(w, methods.StrengthMFA, methods.StrengthPasswordless, methods.StrengthPhishingResistant)}
	}
	return p
}

func (w world) facts() policy.Facts {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	t := &tenant.Tenant{
		Groups:    []tenant.Group{{ID: "g", Name: "Staff", Members: some(w, ids.UPN("a@x.test"))}},
		Locations: []tenant.Location{{Name: "Office", Trusted: true, Ranges: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}}},
	}
	f := policy.Facts{
		Tenant: t, User: "a@x.test", Client: "c", Resource: tenant.Resource{URI: pick(w, "https://r.test", "https://s.test", tenant.SecurityInfoResource)},
		Contexts: some(w, "c1", "c2"), App: pick(w, tenant.Browser, tenant.Native), Platform: pick(w, tenant.Windows, tenant.Linux, tenant.MacOS, ""),
		Risk: pick(w, "", tenant.RiskHigh), Flow: pick(w, "", "", tenant.FlowDeviceCode), Bound: w.IntN(2) == 0, Page: w.IntN(2) == 0, NoMethod: w.IntN(4) == 0,
		IP: pick(w, netip.Addr{}, netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("192.0.2.1")), Now: now,
	}
	f.UserAction = tenant.ActionOf(f.Resource)
	f.Registering = f.NoMethod && f.UserAction == tenant.RegisterSecurityInfo
	if w.IntN(2) == 0 {
		f.Device = &store.Device{ID: "d", Type: "Windows", Trust: pick(w, store.TrustJoined, store.TrustHybrid, store.TrustRegistered), Compliant: w.IntN(2) == 0}
	}
	age := func() time.Time { return now.Add(-pick(w, 0, 3*time.Minute, 2*time.Hour, 48*time.Hour)) }
	f.AuthTime = age()
	for range w.IntN(3) {
		f.Used = methods.Add(f.Used, pick(w, methods.Table()...).Method, age())
	}
	f.MFATime = methods.FactorTime(f.Used)
	return f
}

func draw(t *testing.T, check func(w world, f policy.Facts)) {
	t.Helper()
	for i := range cases {
		w := world{rand.New(rand.NewPCG(uint64(i), 42))}
		f := w.facts()
		for n := range 1 + w.IntN(5) {
			f.Tenant.Policies = append(f.Tenant.Policies, w.policy(n))
		}
		if check(w, f); t.Failed() {
			t.Fatalf("case %d: %+v", i, f)
		}
	}
}

// one draws a list that is never empty.
func one[T any](w world, from ...T) []T { return append(some(w, from...), pick(w, from...)) }

// with is the same sign-in under one policy more.
func with(f policy.Facts, p tenant.Policy) policy.Facts {
	next := *f.Tenant
	next.Policies = append(append([]tenant.Policy{}, f.Tenant.Policies...), p)
	f.Tenant = &next
	return f
}

func TestCA01_APolicyMoreNeverGrants(t *testing.T) {
	refused := 0
	draw(t, func(w world, f policy.Facts) {
		before, after := policy.Decide(f), policy.Decide(with(f, w.policy(9)))
		if before.Code != 0 && after.Code == 0 {
			t.Errorf("%v became a grant", before.Code)
		}
		for _, m := range after.Allowed {
			if before.WantsFactor() && !contains(before.Allowed, m) {
				t.Errorf("%s is allowed under one policy more", m)
			}
		}
		if before.Code != 0 {
			refused++
		}
	})
	if refused < cases/10 || refused > cases*9/10 {
		t.Errorf("%d of %d were refused: the cases prove little", refused, cases)
	}
}

func contains[T comparable](list []T, v T) bool {
	for _, l := range list {
		if l == v {
			return true
		}
	}
	return false
}

func TestCA17_ReportOnlyChangesNothing(t *testing.T) {
	draw(t, func(w world, f policy.Facts) {
		report := w.policy(9)
		report.State = tenant.Report
		before, after := policy.Decide(f), policy.Decide(with(f, report))
		reported := after.Results[len(after.Results)-1]
		after.Results = after.Results[:len(after.Results)-1]
		if len(after.Results) == 0 {
			after.Results = nil
		}
		if !reflect.DeepEqual(before, after) {
			t.Errorf("%+v became %+v", before, after)
		}
		// What it reports is what it would have done.
		report.State = tenant.Enabled
		enforced := policy.Decide(with(f, report))
		would := enforced.Results[len(enforced.Results)-1]
		if would.Code != reported.Code || would.Because != reported.Because {
			t.Errorf("reported %+v, enforced %+v", reported, would)
		}
		if (reported.Outcome == policy.ReportOnlySuccess) != (would.Outcome == policy.Success) || (reported.Outcome == policy.ReportOnlyNotApplied) != (would.Outcome == policy.NotApplied) {
			t.Errorf("reported %s, enforced %s", reported.Outcome, would.Outcome)
		}
	})
}

func TestCA17_OneAnswerForOneQuestion(t *testing.T) {
	draw(t, func(w world, f policy.Facts) {
		once := policy.Decide(f)
		if again := policy.Decide(f); !reflect.DeepEqual(once, again) {
			t.Errorf("%+v, then %+v", once, again)
		}
		// The order of the policies decides nothing but the order of the results.
		turned := *f.Tenant
		turned.Policies = append([]tenant.Policy{}, f.Tenant.Policies...)
		w.Shuffle(len(turned.Policies), func(i, j int) { turned.Policies[i], turned.Policies[j] = turned.Policies[j], turned.Policies[i] })
		f.Tenant = &turned
		other := policy.Decide(f)
		if other.Code != once.Code || other.Persistent != once.Persistent || !reflect.DeepEqual(other.Allowed, once.Allowed) {
			t.Errorf("in another order %+v", other)
		}
	})
}

func TestCA08_WhatIsAllowedIsEnough(t *testing.T) {
	helped := 0
	draw(t, func(_ world, f policy.Facts) {
		d := policy.Decide(f)
		if !d.WantsFactor() {
			return
		}
		for _, m := range d.Allowed {
			g := f
			g.Used = methods.Add(f.Used, m, f.Now)
			g.MFATime = methods.FactorTime(g.Used)
			if after := policy.Decide(g); after.WantsFactor() {
				t.Errorf("%s is allowed and does not help: %v", m, after.Code)
			}
			helped++
		}
	})
	if helped < cases/10 {
		t.Errorf("only %d methods were tried", helped)
	}
}

// Every policy has exactly one result, and the outcome follows from the results.
func TestCA18_EveryPolicyHasAResult(t *testing.T) {
	draw(t, func(_ world, f policy.Facts) {
		d := policy.Decide(f)
		failed := false
		for i, r := range d.Results {
			if r.Policy.ID != f.Tenant.Policies[i].ID || r.Outcome == "" {
				t.Errorf("result %d is %+v", i, r)
			}
			failed = failed || r.Outcome == policy.Failure
		}
		if len(d.Results) != len(f.Tenant.Policies) || failed != (d.Code != 0) {
			t.Errorf("%d results for %d policies, failed %v with %v", len(d.Results), len(f.Tenant.Policies), failed, d.Code)
		}
	})
}

// BenchmarkDecide is a sign-in under ten policies, as a token endpoint asks.
func BenchmarkDecide(b *testing.B) {
	w := world{rand.New(rand.NewPCG(1, 2))}
	f := w.facts()
	for n := range 10 {
		f.Tenant.Policies = append(f.Tenant.Policies, w.policy(n))
	}
	f.Page = false
	b.ReportAllocs()
	for b.Loop() {
		policy.Decide(f)
	}
}
