package policy_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/services/idp/internal/methods"
	"github.com/lockstep-sso/lockstep/services/idp/internal/policy"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// all is an enabled policy on everything, changed.
func all(change func(*tenant.Policy)) tenant.Policy {
	p := tenant.Policy{ID: "11111111-1111-4111-8111-111111111111", Name: "P", State: tenant.Enabled, IncludeUsers: []string{"All"}, IncludeResources: []string{"All"}}
	change(&p)
	return p
}

func device(trust store.Trust, compliant bool) *store.Device {
	return &store.Device{ID: "d", DisplayName: "SAW-1", Type: "Windows", Trust: trust, Compliant: compliant}
}

// proven are facts of somebody who used these methods some time ago.
func proven(f policy.Facts, ago time.Duration, used ...methods.Method) policy.Facts {
	at := f.Now.Add(-ago)
	for _, m := range used {
		f.Used = methods.Add(f.Used, m, at)
	}
	f.AuthTime, f.MFATime = at, methods.FactorTime(f.Used)
	return f
}

func code(t *testing.T, f policy.Facts, want aadsts.Code) policy.Decision {
	t.Helper()
	d := policy.Decide(f)
	if d.Code != want {
		t.Errorf("got %v, want %v (%+v)", d.Code, want, d.Results)
	}
	return d
}

func TestCA02_CA03_DeviceControls(t *testing.T) {
	for _, c := range []struct {
		grant  tenant.Grant
		device *store.Device
		want   aadsts.Code
	}{
		{tenant.GrantDevice, nil, aadsts.DeviceAuthenticationRequired},
		{tenant.GrantDevice, device(store.TrustRegistered, false), 0},
		{tenant.GrantCompliant, nil, aadsts.DeviceAuthenticationRequired},
		{tenant.GrantCompliant, device(store.TrustJoined, false), aadsts.DeviceNotCompliant},
		{tenant.GrantCompliant, device(store.TrustJoined, true), 0},
		{tenant.GrantHybrid, nil, aadsts.DeviceAuthenticationRequired},
		{tenant.GrantHybrid, device(store.TrustJoined, true), aadsts.DeviceNotDomainJoined},
		{tenant.GrantHybrid, device(store.TrustHybrid, false), 0},
	} {
		f := facts(all(func(p *tenant.Policy) { p.Grant = c.grant }))
		f.Device = c.device
		code(t, f, c.want)
	}
}

// One policy on one condition, with facts that meet it and facts that do not.
func TestCA04_CA14_CA15_CA16_Conditions(t *testing.T) {
	office := tenant.Location{Name: "Office", Ranges: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("2001:db8::/32")}, Trusted: true}
	branch := tenant.Location{Name: "Branch", Ranges: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}}
	at := func(ip string) func(*policy.Facts) { return func(f *policy.Facts) { f.IP = netip.MustParseAddr(ip) } }
	on := func(p tenant.Platform) func(*policy.Facts) { return func(f *policy.Facts) { f.Platform = p } }
	with := func(d *store.Device) func(*policy.Facts) { return func(f *policy.Facts) { f.Device = d } }
	nothing := func(*policy.Facts) {}
	for name, c := range map[string]struct {
		condition  func(*tenant.Policy)
		meets, not []func(*policy.Facts)
		because    string
	}{
		"platform": {
			func(p *tenant.Policy) { p.Platforms = []tenant.Platform{tenant.Windows} },
			[]func(*policy.Facts){on(tenant.Windows)}, []func(*policy.Facts){on(tenant.Linux), nothing}, "platforms",
		},
		"no platform": {
			func(p *tenant.Policy) { p.ExcludePlatforms = []tenant.Platform{tenant.Windows} },
			[]func(*policy.Facts){on(tenant.Linux), nothing}, []func(*policy.Facts){on(tenant.Windows)}, "exclude_platforms",
		},
		"location": {
			func(p *tenant.Policy) { p.IncludeLocations = []string{"Branch"} },
			[]func(*policy.Facts){at("198.51.100.7"), at("::ffff:198.51.100.7")}, []func(*policy.Facts){at("203.0.113.7"), nothing}, "include_locations",
		},
		"everywhere but trusted": {
			func(p *tenant.Policy) { p.IncludeLocations, p.ExcludeLocations = []string{"All"}, []string{"Trusted"} },
			[]func(*policy.Facts){at("198.51.100.7"), nothing}, []func(*policy.Facts){at("203.0.113.7"), at("2001:db8::7")}, "exclude_locations",
		},
		"risk": {
			func(p *tenant.Policy) { p.SignInRisks = []tenant.Risk{tenant.RiskHigh, tenant.RiskMedium} },
			[]func(*policy.Facts){func(f *policy.Facts) { f.Risk = "high" }}, []func(*policy.Facts){nothing, func(f *policy.Facts) { f.Risk = "low" }}, "sign_in_risks",
		},
		"no risk": {
			func(p *tenant.Policy) { p.SignInRisks = []tenant.Risk{tenant.RiskNone} },
			[]func(*policy.Facts){nothing}, []func(*policy.Facts){func(f *policy.Facts) { f.Risk = "low" }}, "sign_in_risks",
		},
		"flow": {
			func(p *tenant.Policy) { p.Flows = []string{tenant.FlowDeviceCode, tenant.FlowTransfer} },
			[]func(*policy.Facts){func(f *policy.Facts) { f.Flow = "device_code" }, func(f *policy.Facts) { f.Flow = "authentication_transfer" }},
			[]func(*policy.Facts){nothing}, "flows",
		},
		"client": {
			func(p *tenant.Policy) { p.ClientApps = []tenant.ClientApp{tenant.Browser} },
			[]func(*policy.Facts){func(f *policy.Facts) { f.App = tenant.Browser }}, []func(*policy.Facts){func(f *policy.Facts) { f.App = tenant.Native }}, "client_apps",
		},
		"devices by filter": {
			func(p *tenant.Policy) {
				p.DeviceFilter = tenant.DeviceFilter{Mode: tenant.FilterInclude, Rule: `device.displayName -startsWith "SAW"`}
			},
			[]func(*policy.Facts){with(device(store.TrustJoined, true))}, []func(*policy.Facts){nothing}, "device_filter",
		},
		"all but devices by filter": {
			func(p *tenant.Policy) {
				p.DeviceFilter = tenant.DeviceFilter{Mode: tenant.FilterExclude, Rule: `device.trustType -eq "AzureAD" -and device.isCompliant -eq True`}
			},
			[]func(*policy.Facts){nothing, with(device(store.TrustJoined, false)), with(device(store.TrustHybrid, true))},
			[]func(*policy.Facts){with(device(store.TrustJoined, true))}, "device_filter",
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := all(func(p *tenant.Policy) { p.Grant = tenant.GrantBlock; c.condition(p) })
			judge := func(change func(*policy.Facts), want aadsts.Code, because string) {
				f := facts(p)
				f.Tenant.Locations = []tenant.Location{office, branch}
				change(&f)
				if d := code(t, f, want); d.Results[0].Because != because {
					t.Errorf("because of %q, want %q", d.Results[0].Because, because)
				}
			}
			for _, change := range c.meets {
				judge(change, aadsts.BlockedByPolicy, "")
			}
			for _, change := range c.not {
				judge(change, 0, c.because)
			}
		})
	}
}

func TestCA04_PlatformOfDeviceBeforeAgent(t *testing.T) {
	const edge = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/120.0 Safari/537.36 Edg/120.0"
	for _, c := range []struct {
		device, agent string
		want          tenant.Platform
	}{
		{"Linux", edge, tenant.Linux}, {"", edge, tenant.Windows}, {"Fridge", edge, tenant.Windows}, {"MacOS", "", tenant.MacOS},
		{"", "Mozilla/5.0 (Linux; Android 14; Pixel) Chrome/120.0 Mobile", tenant.Android},
		{"", "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Version/17.0 Safari/604.1", tenant.IOS},
		{"", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15) Version/17.0 Safari/605.1", tenant.MacOS},
		{"", "Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Firefox/131.0", tenant.Linux}, {"", "curl/8", ""},
	} {
		if got := policy.PlatformOf(c.device, c.agent); got != c.want {
			t.Errorf("%q with %q: %q, want %q", c.device, c.agent, got, c.want)
		}
	}
}

func TestCA05_CA06_CA08_StrengthsRestrictTheSecondFactorOnly(t *testing.T) {
	strength := func(name string) policy.Facts {
		return facts(all(func(p *tenant.Policy) { p.Grants.Strength = name }))
	}
	d := code(t, proven(strength(methods.StrengthPasswordless), 0, methods.Password), aadsts.MFARequired)
	if !slices.Equal(d.Allowed, []methods.Method{methods.FIDO2, methods.CertificateMulti, methods.PhoneSignIn}) || !d.Hello {
		t.Errorf("after a password: %v, hello %v", d.Allowed, d.Hello)
	}
	if d.Claims != `{"access_token":{"capolids":{"essential":true,"values":["11111111-1111-4111-8111-111111111111"]}}}` ||
		d.ClaimsV1 != `{"access_token":{"polids":{"Values":["11111111-1111-4111-8111-111111111111"],"essential":true}}}` {
		t.Errorf("challenges %s and %s", d.Claims, d.ClaimsV1)
	}
	d = code(t, proven(strength(methods.StrengthPhishingResistant), 0, methods.Password, methods.Push), aadsts.MFARequired)
	if !slices.Equal(d.Allowed, []methods.Method{methods.FIDO2, methods.CertificateMulti}) {
		t.Errorf("after a push: %v", d.Allowed)
	}
	code(t, proven(strength(methods.StrengthPhishingResistant), 0, methods.Password, methods.FIDO2), 0)
	code(t, proven(strength(methods.StrengthPasswordless), 0, methods.WindowsHello), 0)
	code(t, proven(strength(methods.StrengthMFA), 0, methods.Password, methods.SMS), 0)
	code(t, proven(strength("no such strength"), 0, methods.WindowsHello), aadsts.MFARequired)

	f := strength("Key or code")
	f.Tenant.Strengths = []methods.Strength{{Name: "Key or code", Combinations: []methods.Combination{{methods.FIDO2}, {methods.Password, methods.SoftwareOATH}}}}
	if d := code(t, proven(f, 0, methods.Password), aadsts.MFARequired); !slices.Equal(d.Allowed, []methods.Method{methods.FIDO2, methods.SoftwareOATH}) || d.Hello {
		t.Errorf("a strength of the tenant's own allows %v, hello %v", d.Allowed, d.Hello)
	}
	// Two policies: what satisfies both.
	f = facts(all(func(p *tenant.Policy) { p.Grants.Strength = methods.StrengthPasswordless }), all(func(p *tenant.Policy) { p.ID, p.Grants.Strength = "2", "Key or code" }))
	f.Tenant.Strengths = []methods.Strength{{Name: "Key or code", Combinations: []methods.Combination{{methods.FIDO2}, {methods.Password, methods.SoftwareOATH}}}}
	if d := code(t, proven(f, 0, methods.Password), aadsts.MFARequired); !slices.Equal(d.Allowed, []methods.Method{methods.FIDO2}) {
		t.Errorf("two strengths together allow %v", d.Allowed)
	}
}

func TestOneOfTheControlsIsEnough(t *testing.T) {
	either := func() policy.Facts {
		return facts(all(func(p *tenant.Policy) {
			p.Grants = tenant.Grants{Operator: tenant.OperatorOr, Controls: []tenant.Grant{tenant.GrantMFA, tenant.GrantCompliant}}
		}))
	}
	code(t, proven(either(), 0, methods.Password), aadsts.MFARequired) // what the user can do at once
	code(t, proven(either(), 0, methods.Password, methods.SMS), 0)
	f := proven(either(), 0, methods.Password)
	f.Device = device(store.TrustJoined, true)
	code(t, f, 0)
	f.Device = device(store.TrustJoined, false)
	code(t, f, aadsts.MFARequired)
}

// It is enough at the registration of security information too, where a device that is
// missing has a code of its own.
func TestOneOfTheControlsIsEnoughToRegister(t *testing.T) {
	either := func() policy.Facts {
		f := facts(all(func(p *tenant.Policy) {
			p.IncludeResources, p.UserActions = nil, []tenant.UserAction{tenant.RegisterSecurityInfo}
			p.Grants = tenant.Grants{Operator: tenant.OperatorOr, Controls: []tenant.Grant{tenant.GrantMFA, tenant.GrantCompliant}}
		}))
		f.UserAction = tenant.RegisterSecurityInfo
		return f
	}
	code(t, proven(either(), 0, methods.Password, methods.SMS), 0)
	code(t, proven(either(), 0, methods.Password), aadsts.MFARequired)
	f := proven(either(), 0, methods.Password)
	f.Device = device(store.TrustJoined, true)
	code(t, f, 0)
}

func TestINV15_SignInFrequency(t *testing.T) {
	hourly := func(change func(*tenant.Policy)) policy.Facts {
		return facts(all(func(p *tenant.Policy) { p.SignInFrequency = time.Hour; change(p) }))
	}
	none := func(*tenant.Policy) {}
	code(t, proven(hourly(none), time.Hour, methods.Password), 0)
	code(t, proven(hourly(none), time.Hour+time.Second, methods.Password), aadsts.SignInFrequency)
	page := proven(hourly(none), 2*time.Hour, methods.Password)
	page.Page = true
	code(t, page, aadsts.SessionTooOld)

	// A second factor has an age of its own: who signed in just now shows it again.
	mfa := func(p *tenant.Policy) { p.Grant = tenant.GrantMFA }
	old := proven(hourly(mfa), 2*time.Hour, methods.Password, methods.SMS)
	code(t, old, aadsts.SignInFrequency)
	old.AuthTime = old.Now
	if d := code(t, old, aadsts.MFAExpired); !slices.Contains(d.Allowed, methods.SMS) || d.Claims == "" {
		t.Errorf("the factor cannot be shown again: %v %s", d.Allowed, d.Claims)
	}
	strong := func(p *tenant.Policy) { p.Grants.Strength = methods.StrengthPasswordless }
	hello := proven(hourly(strong), 2*time.Hour, methods.WindowsHello)
	hello.AuthTime = hello.Now
	code(t, hello, aadsts.MFAExpired)
	hello.Kept = hello.Now.Add(-time.Minute) // a renewal of its PRT
	code(t, hello, 0)

	every := facts(all(func(p *tenant.Policy) { p.EveryTime = true }))
	code(t, proven(every, 5*time.Minute, methods.Password), 0)
	code(t, proven(every, 6*time.Minute, methods.Password), aadsts.SignInFrequency)
}

func TestMFA15_AuthenticationContexts(t *testing.T) {
	c1 := all(func(p *tenant.Policy) {
		p.IncludeResources, p.AuthContexts, p.Grants.Strength = nil, []string{"c1"}, methods.StrengthPhishingResistant
	})
	f := proven(facts(c1), 0, methods.Password, methods.SMS)
	if d := code(t, f, 0); d.Results[0].Because != "auth_contexts" {
		t.Errorf("%+v", d.Results)
	}
	f.Contexts = []string{"c2"}
	code(t, f, 0)
	if !f.Uncovered() {
		t.Error("c2 is somebody's")
	}
	f.Contexts = []string{"c1", "c2"}
	if d := code(t, f, aadsts.MFARequired); d.Claims != `{"access_token":{"acrs":{"essential":true,"values":["c1"]},"capolids":{"essential":true,"values":["11111111-1111-4111-8111-111111111111"]}}}` {
		t.Errorf("the challenge is %s", d.Claims)
	}
	f.Contexts = []string{"c1"}
	if f.Uncovered() {
		t.Error("c1 is nobody's")
	}
	code(t, proven(f, 0, methods.FIDO2), 0)
}

func TestCA19_UserActions(t *testing.T) {
	place := all(func(p *tenant.Policy) {
		p.IncludeResources, p.UserActions, p.Grant = nil, []tenant.UserAction{tenant.RegisterSecurityInfo}, tenant.GrantBlock
		p.IncludeLocations, p.ExcludeLocations = []string{"All"}, []string{"Trusted"}
	})
	everything := all(func(p *tenant.Policy) { p.ID, p.Grant = "2", tenant.GrantMFA })
	f := facts(place)
	f.Resource = tenant.Resource{URI: tenant.SecurityInfoResource}
	f.UserAction = tenant.ActionOf(f.Resource)
	code(t, f, aadsts.ProofUpBlockedByPolicy)
	f.Tenant.Locations = []tenant.Location{{Name: "Office", Trusted: true, Ranges: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}}}
	f.IP = netip.MustParseAddr("203.0.113.9")
	code(t, f, 0)

	// Who has nothing yet registers the first without a second factor, unless a policy
	// is about that; who has something shows it.
	f.Tenant.Policies = []tenant.Policy{everything}
	code(t, f, aadsts.MFARequired)
	f.NoMethod, f.Registering = true, true
	code(t, f, 0)
	f.Tenant.Policies[0].IncludeResources, f.Tenant.Policies[0].UserActions = nil, []tenant.UserAction{tenant.RegisterSecurityInfo}
	code(t, f, aadsts.MFAEnrolmentRequired)

	// A device need not be compliant to be registered.
	f = facts(all(func(p *tenant.Policy) { p.Grant = tenant.GrantCompliant }))
	f.Resource = tenant.Resource{URI: "urn:ms-drs:enterpriseregistration.windows.net"}
	f.UserAction = tenant.ActionOf(f.Resource)
	code(t, f, 0)
	f.Tenant.Policies[0].IncludeResources = []string{f.Resource.URI}
	code(t, f, aadsts.DeviceAuthenticationRequired)
}

func TestTokenProtectionAndPersistence(t *testing.T) {
	f := facts(all(func(p *tenant.Policy) { p.TokenProtection = true }), all(func(p *tenant.Policy) { p.PersistentBrowser = "always" }), all(func(p *tenant.Policy) { p.PersistentBrowser = "never" }))
	d := code(t, f, aadsts.BlockedByPolicy)
	if d.Reason == "" || d.Persistent != tenant.PersistNever {
		t.Errorf("%q, persistent %q", d.Reason, d.Persistent)
	}
	f.Bound = true
	code(t, f, 0)
}
