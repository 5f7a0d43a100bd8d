package tenant_test

import (
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/services/idp/internal/methods"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// book is a good policy file with every member, to be spoiled.
const book = `strengths:
  - {name: Security key only, combinations: [[fido2], [password, softwareOath]]}
locations:
  - {name: Office, ranges: [203.0.113.0/24, "2001:db8::/32"], trusted: true}
policies:
  - id: 5A0B77D8-3B65-4F6E-9C3E-1B6C0C3A5D01
    name: Policy A
    include_users: [All]
    include_resources: [All]
    clients: [d3590ed6-52b3-4102-aeff-aad2292ab01c]
    client_apps: [browser, native]
    platforms: [windows]
    exclude_platforms: [ios]
    include_locations: [All]
    exclude_locations: [Trusted, Office]
    sign_in_risks: [high]
    flows: [device_code, authentication_transfer]
    device_filter: {mode: exclude, rule: device.isCompliant -eq True -and device.trustType -eq "AzureAD"}
    grants: {operator: or, controls: [compliant_device], strength: Security key only}
    sign_in_frequency: 8h
    token_protection: true
    persistent_browser: never
  - id: 5a0b77d8-3b65-4f6e-9c3e-1b6c0c3a5d02
    name: Security information
    state: report
    include_users: [Staff]
    user_actions: [register_security_info]
    grant: mfa
  - id: 5a0b77d8-3b65-4f6e-9c3e-1b6c0c3a5d03
    name: Context
    include_users: [All]
    auth_contexts: [c1]
    sign_in_frequency: every_time
    grants: {strength: Phishing-resistant MFA}
`

func TestPolicyFile(t *testing.T) {
	b, err := tenant.ParsePolicies([]byte(book))
	if err != nil {
		t.Fatal(err)
	}
	if len(b.Policies) != 3 || len(b.Strengths) != 1 || len(b.Locations) != 1 || !b.Locations[0].Trusted {
		t.Fatalf("%+v", b)
	}
	a := b.Policies[0]
	if a.ID != "5a0b77d8-3b65-4f6e-9c3e-1b6c0c3a5d01" || a.State != tenant.Enabled || a.SignInFrequency != 8*time.Hour || a.Grants.Strength != b.Strengths[0].Name ||
		a.DeviceFilter.Mode != tenant.FilterExclude || !a.TokenProtection || a.PersistentBrowser != tenant.PersistNever {
		t.Errorf("%+v", a)
	}
	if c := b.Policies[2]; !c.EveryTime || c.SignInFrequency != 0 || c.AuthContexts[0] != "c1" {
		t.Errorf("%+v", c)
	}
	// The same members stand in a tenant of a tenant file.
	file := small + strings.TrimPrefix(indented(book), "\n")
	const staff = "\n    groups:\n      - {id: 7d1c3f0a-1f5e-4f6a-9b8e-5c4d3e2f1a09, name: Staff, members: []}\n"
	s, err := tenant.Parse([]byte(file + staff))
	if err != nil {
		t.Fatal(err)
	}
	if home := s.All()[0]; len(home.Policies) != 3 || len(home.Strengths) != 1 || len(home.Locations) != 1 {
		t.Errorf("%+v", home)
	}
	// There whom and what they name must be there.
	for field, change := range map[string]func(string) string{
		`policies[1].include_users names "Staff"`: func(f string) string { return strings.Replace(f, staff, "", 1) },
		`policies[0].exclude_users names "x@y.test"`: func(f string) string {
			return strings.Replace(f, "include_users: [All]", "include_users: [All]\n        exclude_users: [x@y.test]", 1)
		},
		`policies[0].include_resources names "ftp://r"`: func(f string) string {
			return strings.Replace(f, "include_resources: [All]", "include_resources: [ftp://r]", 1)
		},
		`policies[0].exclude_resources names "Nothing"`: func(f string) string {
			return strings.Replace(f, "include_resources: [All]", "include_resources: [All]\n        exclude_resources: [Nothing]", 1)
		},
	} {
		if _, err := tenant.Parse([]byte(change(file + staff))); err == nil || !strings.Contains(err.Error(), field) || !strings.Contains(err.Error(), "make it first") {
			t.Errorf("got %v, want %s", err, field)
		}
	}
	if b, err := tenant.ParsePolicies([]byte("policies: []\n")); err != nil || len(b.Policies) != 0 {
		t.Errorf("no policies: %+v, %v", b, err)
	}
}

func indented(s string) string {
	return "    " + strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n    ") + "\n"
}

func TestCA07_PolicyFilesAreReadStrictly(t *testing.T) {
	for name, c := range map[string]struct{ old, new, line, says string }{
		"strength and mfa":       {"controls: [compliant_device]", "controls: [mfa]", "line 19", "policies[0].grants.strength does not go with the control mfa"},
		"strength and short mfa": {"grants: {strength: Phishing-resistant MFA}", "grants: {strength: Phishing-resistant MFA}\n    grant: mfa", "line 35", "policies[2].grant"},
		"block and more":         {"controls: [compliant_device]", "controls: [block, mfa]", "line 19", "policies[0].grants"},
		"unknown strength":       {"strength: Phishing-resistant MFA", "strength: Phishing", "line 34", "policies[2].grants.strength names no"},
		"built-in strength":      {"name: Security key only", "name: passwordless mfa", "line 2", "strengths[0].name is one of the built-in"},
		"weak strength":          {"[password, softwareOath]", "[password]", "line 2", "strengths[0].combinations has one that is a single factor"},
		"unknown method":         {"[fido2]", "[fido3]", "line 2", `not known, "fido3"`},
		"unknown control":        {"grant: mfa", "grant: mfs", "line 28", "policies[1].grant is not one of"},
		"no demand":              {"    grant: mfa\n", "", "line 23", "policies[1].grant is missing"},
		"operator":               {"operator: or", "operator: xor", "line 19", "grants.operator"},
		"location":               {"[Trusted, Office]", "[Trusted, Home]", "line 15", "policies[0].exclude_locations names no location"},
		"reserved location":      {"name: Office", "name: trusted", "line 4", "locations[0].name is reserved"},
		"range":                  {"203.0.113.0/24", "203.0.113.7/24", "line 4", "locations[0].ranges[0] is not a range"},
		"whole world":            {"203.0.113.0/24", "0.0.0.0/0", "line 4", "locations[0].ranges"},
		"two targets":            {"user_actions: [register_security_info]", "user_actions: [register_security_info]\n    auth_contexts: [c1]", "line 23", "policies[1].include_resources does not go with"},
		"no target":              {"    user_actions: [register_security_info]\n", "", "line 23", "policies[1].include_resources is empty"},
		"no users":               {"    include_users: [Staff]\n", "", "line 23", "policies[1].include_users is empty"},
		"user action":            {"[register_security_info]", "[join]", "line 27", "policies[1].user_actions"},
		"context":                {"auth_contexts: [c1]", "auth_contexts: [c100]", "line 32", "policies[2].auth_contexts"},
		"context with zero":      {"auth_contexts: [c1]", "auth_contexts: [c01]", "line 32", "policies[2].auth_contexts"},
		"client app":             {"[browser, native]", "[browser, fax]", "line 11", "policies[0].client_apps"},
		"platform":               {"platforms: [windows]", "platforms: [dos]", "line 12", "policies[0].platforms"},
		"risk":                   {"[high]", "[huge]", "line 16", "policies[0].sign_in_risks"},
		"flow":                   {"authentication_transfer]", "password]", "line 17", "policies[0].flows"},
		"filter mode":            {"mode: exclude", "mode: without", "line 18", "policies[0].device_filter.mode"},
		"filter rule":            {"device.isCompliant", "device.extensionAttribute1", "line 18", "does not keep"},
		"frequency":              {"sign_in_frequency: 8h", "sign_in_frequency: soon", "line 20", "policies[0].sign_in_frequency"},
		"persistence":            {"persistent_browser: never", "persistent_browser: maybe", "line 22", "policies[0].persistent_browser"},
		"id twice":               {"5a0b77d8-3b65-4f6e-9c3e-1b6c0c3a5d02", "5A0B77D8-3B65-4F6E-9C3E-1B6C0C3A5D01", "line 23", "policies[1].id stands twice"},
		"unknown member":         {"grant: mfa", "grants_: mfa", "line 28", "grants_"},
		"a tenant file":          {book, small, "line 1", "tenants"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tenant.ParsePolicies([]byte(strings.Replace(book, c.old, c.new, 1)))
			if err == nil {
				t.Fatal("taken")
			}
			if text := err.Error(); !strings.HasPrefix(text, "policy file: ") || !strings.Contains(text, c.line+":") || !strings.Contains(text, c.says) {
				t.Errorf("%q: want %s and %s", text, c.line, c.says)
			}
		})
	}
}

func TestStrengthsOfATenant(t *testing.T) {
	b, err := tenant.ParsePolicies([]byte(book))
	if err != nil {
		t.Fatal(err)
	}
	home := tenant.Tenant{Strengths: b.Strengths}
	if s, ok := home.Strength("Security key only"); !ok || !s.Satisfied([]methods.Method{methods.FIDO2}) || s.Satisfied([]methods.Method{methods.WindowsHello}) {
		t.Errorf("%+v", s)
	}
	if s, ok := home.Strength(methods.StrengthMFA); !ok || !s.BuiltIn {
		t.Errorf("%+v", s)
	}
}

func FuzzPolicyYAML(f *testing.F) {
	f.Add([]byte(book))
	f.Add([]byte("policies: [{id: x}]"))
	f.Add([]byte("locations:\n- {name: a, ranges: [::/0]}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := tenant.ParsePolicies(data)
		if err != nil {
			return
		}
		home := tenant.Tenant{Strengths: b.Strengths, Locations: b.Locations}
		for _, p := range b.Policies {
			if field, problem := home.PolicyProblem(p); problem != "" {
				t.Errorf("%s %s was taken", field, problem)
			}
		}
	})
}
