package main

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/run"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/serve"
)

// clerk stands in for the identity provider behind its real door: identities,
// allow-list and wire are the real ones, the directory is two tenants on paper.
type clerk struct {
	directoryv1.UnimplementedReadServiceServer
	directoryv1.UnimplementedAdminServiceServer
	directoryv1.UnimplementedPersonServiceServer

	mu    sync.Mutex
	asked []proto.Message
	fail  error
	// waiting is what ListChallenges lists; nil is one push.
	waiting []*directoryv1.Challenge
}

func (c *clerk) Register(r grpc.ServiceRegistrar) {
	directoryv1.RegisterReadServiceServer(r, c)
	directoryv1.RegisterAdminServiceServer(r, c)
	directoryv1.RegisterPersonServiceServer(r, c)
}

func (c *clerk) Close() error { return nil }

// last is the newest request, and forgets it.
func (c *clerk) last() proto.Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.asked) == 0 {
		return nil
	}
	m := c.asked[len(c.asked)-1]
	c.asked = nil
	return m
}

func note[Req, Resp proto.Message](c *clerk, req Req, resp Resp) (Resp, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, req)
	return resp, c.fail
}

const contoso, fabrikam = "6babcaad-604b-40ac-a9d7-9fd97c0b779f", "f8cdef31-a31e-4b4a-93e4-5f571e91255a"

func (c *clerk) ListTenants(context.Context, *directoryv1.ListTenantsRequest) (*directoryv1.ListTenantsResponse, error) {
	return &directoryv1.ListTenantsResponse{Tenants: []*directoryv1.Tenant{
		{TenantId: contoso, DisplayName: "Contoso", Domains: []string{"contoso.test"}, Profile: "today"},
		{TenantId: fabrikam, DisplayName: "Fabrikam", Domains: []string{"fabrikam.test", "adatum.test"}, Profile: "strict"},
	}}, nil
}

func (c *clerk) ListUsers(_ context.Context, r *directoryv1.ListUsersRequest) (*directoryv1.ListUsersResponse, error) {
	out := &directoryv1.ListUsersResponse{Users: []*directoryv1.User{{UserPrincipalName: "alice@contoso.test", Enabled: true, Methods: []string{"PhoneAppOTP"}}}}
	if r.GetTenantId() == fabrikam {
		out.Users[0] = &directoryv1.User{UserPrincipalName: "carol@adatum.test", Federated: true}
	}
	return note(c, r, out)
}

func (c *clerk) ListDevices(_ context.Context, r *directoryv1.ListDevicesRequest) (*directoryv1.ListDevicesResponse, error) {
	return note(c, r, &directoryv1.ListDevicesResponse{Devices: []*directoryv1.Device{{
		DeviceId: "d-" + r.GetTenantId()[:3], DisplayName: "DESKTOP-1", TrustType: "ServerAd", Pending: true, RegisteredAt: timestamppb.New(time.Unix(0, 0)),
	}}})
}

func (c *clerk) ListApplications(_ context.Context, r *directoryv1.ListApplicationsRequest) (*directoryv1.ListApplicationsResponse, error) {
	return note(c, r, &directoryv1.ListApplicationsResponse{Applications: []*directoryv1.Application{
		{ClientId: "own", Name: "Portal", Confidential: true, SpaRedirectUris: []string{"https://spa.test/"}}, {ClientId: "broker", BuiltIn: true},
	}})
}

func (c *clerk) ListPolicies(_ context.Context, r *directoryv1.ListPoliciesRequest) (*directoryv1.ListPoliciesResponse, error) {
	return note(c, r, &directoryv1.ListPoliciesResponse{Policies: []*directoryv1.Policy{{
		PolicyId: "p1", Name: "MFA", State: "enabled", IncludeUsers: []string{"All"}, ExcludeUsers: []string{"alice@contoso.test"}, Grant: "mfa", SignInFrequencySeconds: 3600,
	}}})
}

func (c *clerk) ReplacePolicies(_ context.Context, r *directoryv1.ReplacePoliciesRequest) (*directoryv1.ReplacePoliciesResponse, error) {
	return note(c, r, &directoryv1.ReplacePoliciesResponse{Policies: 2})
}

func (c *clerk) EvaluatePolicies(_ context.Context, r *directoryv1.EvaluatePoliciesRequest) (*directoryv1.EvaluatePoliciesResponse, error) {
	return note(c, r, &directoryv1.EvaluatePoliciesResponse{ErrorCode: 50076, AllowedMethods: []string{"fido2"}, Hello: true, Policies: []*directoryv1.AppliedPolicy{
		{Name: "Strong", Result: "failure", GrantControls: []string{"mfa"}}, {Name: "Codes", Result: "notApplied", NotAppliedBecause: "flows"},
	}})
}

func (c *clerk) ListSignIns(_ context.Context, r *directoryv1.ListSignInsRequest) (*directoryv1.ListSignInsResponse, error) {
	return note(c, r, &directoryv1.ListSignInsResponse{SignIns: []*directoryv1.SignIn{{Flow: "issue_prt", Outcome: "refused", ErrorCode: 50126, Reason: "wrong"}}})
}

func (c *clerk) ListChallenges(_ context.Context, r *directoryv1.ListChallengesRequest) (*directoryv1.ListChallengesResponse, error) {
	c.mu.Lock()
	waiting := c.waiting
	c.mu.Unlock()
	if waiting == nil {
		waiting = []*directoryv1.Challenge{{ChallengeId: "c1", MethodId: "PhoneAppNotification", Number: 42, Application: "Portal", IpAddress: "203.0.113.9"}}
	}
	return note(c, r, &directoryv1.ListChallengesResponse{Challenges: waiting})
}

func (c *clerk) SetUserEnabled(_ context.Context, r *directoryv1.SetUserEnabledRequest) (*directoryv1.SetUserEnabledResponse, error) {
	return note(c, r, &directoryv1.SetUserEnabledResponse{})
}

func (c *clerk) SetUserPassword(_ context.Context, r *directoryv1.SetUserPasswordRequest) (*directoryv1.SetUserPasswordResponse, error) {
	return note(c, r, &directoryv1.SetUserPasswordResponse{})
}

func (c *clerk) SetUserMethods(_ context.Context, r *directoryv1.SetUserMethodsRequest) (*directoryv1.SetUserMethodsResponse, error) {
	return note(c, r, &directoryv1.SetUserMethodsResponse{})
}

func (c *clerk) CreateUser(_ context.Context, r *directoryv1.CreateUserRequest) (*directoryv1.CreateUserResponse, error) {
	return note(c, r, &directoryv1.CreateUserResponse{UserId: "u1"})
}

func (c *clerk) DeleteUser(_ context.Context, r *directoryv1.DeleteUserRequest) (*directoryv1.DeleteUserResponse, error) {
	return note(c, r, &directoryv1.DeleteUserResponse{})
}

func (c *clerk) RevokeSessions(_ context.Context, r *directoryv1.RevokeSessionsRequest) (*directoryv1.RevokeSessionsResponse, error) {
	return note(c, r, &directoryv1.RevokeSessionsResponse{})
}

func (c *clerk) SetDeviceEnabled(_ context.Context, r *directoryv1.SetDeviceEnabledRequest) (*directoryv1.SetDeviceEnabledResponse, error) {
	return note(c, r, &directoryv1.SetDeviceEnabledResponse{})
}

func (c *clerk) SetDeviceCompliance(_ context.Context, r *directoryv1.SetDeviceComplianceRequest) (*directoryv1.SetDeviceComplianceResponse, error) {
	return note(c, r, &directoryv1.SetDeviceComplianceResponse{})
}

func (c *clerk) RemoveDevice(_ context.Context, r *directoryv1.RemoveDeviceRequest) (*directoryv1.RemoveDeviceResponse, error) {
	return note(c, r, &directoryv1.RemoveDeviceResponse{})
}

func (c *clerk) PutHybridDevice(_ context.Context, r *directoryv1.PutHybridDeviceRequest) (*directoryv1.PutHybridDeviceResponse, error) {
	return note(c, r, &directoryv1.PutHybridDeviceResponse{})
}

func (c *clerk) PutApplication(_ context.Context, r *directoryv1.PutApplicationRequest) (*directoryv1.PutApplicationResponse, error) {
	return note(c, r, &directoryv1.PutApplicationResponse{})
}

func (c *clerk) DeleteApplication(_ context.Context, r *directoryv1.DeleteApplicationRequest) (*directoryv1.DeleteApplicationResponse, error) {
	return note(c, r, &directoryv1.DeleteApplicationResponse{})
}

func (c *clerk) PutPolicy(_ context.Context, r *directoryv1.PutPolicyRequest) (*directoryv1.PutPolicyResponse, error) {
	return note(c, r, &directoryv1.PutPolicyResponse{PolicyId: "p2"})
}

func (c *clerk) DeletePolicy(_ context.Context, r *directoryv1.DeletePolicyRequest) (*directoryv1.DeletePolicyResponse, error) {
	return note(c, r, &directoryv1.DeletePolicyResponse{})
}

func (c *clerk) RotateKeys(_ context.Context, r *directoryv1.RotateKeysRequest) (*directoryv1.RotateKeysResponse, error) {
	return note(c, r, &directoryv1.RotateKeysResponse{Kid: "k2"})
}

func (c *clerk) ApproveDeviceCode(_ context.Context, r *directoryv1.ApproveDeviceCodeRequest) (*directoryv1.ApproveDeviceCodeResponse, error) {
	return note(c, r, &directoryv1.ApproveDeviceCodeResponse{})
}

func (c *clerk) AnswerChallenge(_ context.Context, r *directoryv1.AnswerChallengeRequest) (*directoryv1.AnswerChallengeResponse, error) {
	return note(c, r, &directoryv1.AnswerChallengeResponse{})
}

func (c *clerk) ReadOneTimeCode(_ context.Context, r *directoryv1.ReadOneTimeCodeRequest) (*directoryv1.ReadOneTimeCodeResponse, error) {
	return note(c, r, &directoryv1.ReadOneTimeCodeResponse{OneTimeCode: "123456"})
}

// office opens a door as lockstep serve does, with the clerk behind it.
func office(t *testing.T) (*clerk, string) {
	t.Helper()
	dir := t.TempDir()
	ca, err := rpc.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	identity, err := ca.Issue("idp")
	if err != nil {
		t.Fatal(err)
	}
	operator, err := ca.Issue("operator")
	if err != nil {
		t.Fatal(err)
	}
	if err := operator.Save(filepath.Join(dir, "operator")); err != nil {
		t.Fatal(err)
	}
	info := serve.Info{Admin: "unix:" + filepath.Join(dir, "a.sock"), State: dir}
	c := &clerk{}
	r, err := run.Start(run.Config{Name: "idp", Identity: identity, Network: rpc.OS{}, Listen: info.Admin}, func(*run.Env) (*run.Component, error) {
		return &run.Component{Service: c, Allow: idp.Allow()}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Stop() })
	text, err := json.Marshal(info)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "serve.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	return c, dir
}

func TestOBS08_EveryChangeReachesTheAdministration(t *testing.T) {
	c, dir := office(t)
	policies := filepath.Join(dir, "p.yaml")
	if err := os.WriteFile(policies, []byte("policies: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	certificate := filepath.Join(dir, "c.pem")
	if err := os.WriteFile(certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("der")}), 0o600); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(dir, "key")
	if err := os.WriteFile(key, []byte("RSA1"), 0o600); err != nil {
		t.Fatal(err)
	}
	const alice = "alice@contoso.test"
	for line, want := range map[string]proto.Message{
		"user disable alice@contoso.test":            &directoryv1.SetUserEnabledRequest{UserPrincipalName: alice},
		"user enable alice@contoso.test":             &directoryv1.SetUserEnabledRequest{UserPrincipalName: alice, Enabled: true},
		"user delete alice@contoso.test":             &directoryv1.DeleteUserRequest{UserPrincipalName: alice},
		"user revoke alice@contoso.test":             &directoryv1.RevokeSessionsRequest{UserPrincipalName: alice},
		"user update alice@contoso.test --push":      &directoryv1.SetUserMethodsRequest{UserPrincipalName: alice, Push: true},
		"user update alice@contoso.test --totp ABCD": &directoryv1.SetUserMethodsRequest{UserPrincipalName: alice, TotpSecret: "ABCD"},
		"user update alice@contoso.test --password hunter22": &directoryv1.SetUserPasswordRequest{
			UserPrincipalName: alice, Password: "hunter22"},
		"user create alice@contoso.test --password hunter22 --administrator --no-join --id x --display-name A": &directoryv1.CreateUserRequest{
			UserPrincipalName: alice, Password: "hunter22", Administrator: true, NoJoin: true, UserId: "x", DisplayName: "A"},
		"user create carol@adatum.test --immutable-id AAAA": &directoryv1.CreateUserRequest{UserPrincipalName: "carol@adatum.test", ImmutableId: "AAAA"},

		"user update alice@contoso.test --push --phone-sign-in --phone +15550100 --default-method OneWaySMS": &directoryv1.SetUserMethodsRequest{
			UserPrincipalName: alice, Push: true, PhoneSignIn: true, PhoneNumber: "+15550100", DefaultMethod: "OneWaySMS"},
		"user methods alice@contoso.test":          &directoryv1.ListUserMethodsRequest{UserPrincipalName: alice},
		"user remove-method alice@contoso.test m1": &directoryv1.RemoveUserMethodRequest{UserPrincipalName: alice, MethodId: "m1"},
		"user access-pass alice@contoso.test":      &directoryv1.IssueAccessPassRequest{UserPrincipalName: alice, LifetimeSeconds: 3600},
		"user access-pass alice@contoso.test --lifetime 30m --one-time": &directoryv1.IssueAccessPassRequest{
			UserPrincipalName: alice, LifetimeSeconds: 1800, OneTime: true},
		"user risk alice@contoso.test high": &directoryv1.SetUserRiskRequest{UserPrincipalName: alice, Risk: "high"},
		"user put-hello-key alice@contoso.test --device d1 --key " + key: &directoryv1.PutHelloKeyRequest{
			UserPrincipalName: alice, DeviceId: "d1", Key: []byte("RSA1")},
		"messages --user alice@contoso.test": &directoryv1.ListMessagesRequest{UserPrincipalName: alice},

		"device disable d1":       &directoryv1.SetDeviceEnabledRequest{DeviceId: "d1"},
		"device enable d1":        &directoryv1.SetDeviceEnabledRequest{DeviceId: "d1", Enabled: true},
		"device compliant d1":     &directoryv1.SetDeviceComplianceRequest{DeviceId: "d1", Compliant: true},
		"device not-compliant d1": &directoryv1.SetDeviceComplianceRequest{DeviceId: "d1"},
		"device delete d1":        &directoryv1.RemoveDeviceRequest{DeviceId: "d1"},
		"device put-hybrid d1 --tenant adatum.test --sid S-1 --certificate " + certificate: &directoryv1.PutHybridDeviceRequest{
			TenantId: fabrikam, DeviceId: "d1", Sid: "S-1", Certificate: []byte("der")},

		"app put Web --tenant contoso.test --id a1 --redirect-uri https://a.test/cb --secret s3cretvalue": &directoryv1.PutApplicationRequest{TenantId: contoso,
			Application: &directoryv1.Application{ClientId: "a1", Name: "Web", RedirectUris: []string{"https://a.test/cb"}, Confidential: true}, ClientSecrets: []string{"s3cretvalue"}},
		"app put Page --tenant " + contoso + " --id a2 --spa-redirect-uri https://p.test/ --certificate " + certificate: &directoryv1.PutApplicationRequest{TenantId: contoso,
			Application: &directoryv1.Application{ClientId: "a2", Name: "Page", SpaRedirectUris: []string{"https://p.test/"}, Confidential: true}, Certificates: [][]byte{[]byte("der")}},
		"app delete a1 --tenant contoso.test": &directoryv1.DeleteApplicationRequest{TenantId: contoso, ClientId: "a1"},
		"policy put MFA --tenant CONTOSO.test --include-user All --include-resource All --grant mfa --sign-in-frequency 1h --flow device_code": &directoryv1.PutPolicyRequest{TenantId: contoso,
			Policy: &directoryv1.Policy{Name: "MFA", State: "enabled", IncludeUsers: []string{"All"}, IncludeResources: []string{"All"}, Grant: "mfa", SignInFrequencySeconds: 3600, Flows: []string{"device_code"}}},
		"policy put Strong --tenant contoso.test --include-user All --auth-context c1 --strength Mine --grant-operator or --grant-control compliant_device --platform windows --exclude-platform ios" +
			" --include-location All --exclude-location Trusted --risk high --client-app browser --device-filter exclude --device-rule rule --token-protection --persistent-browser never": &directoryv1.PutPolicyRequest{TenantId: contoso,
			Policy: &directoryv1.Policy{Name: "Strong", State: "enabled", IncludeUsers: []string{"All"}, AuthContexts: []string{"c1"}, AuthenticationStrength: "Mine", GrantOperator: "or",
				GrantControls: []string{"compliant_device"}, Platforms: []string{"windows"}, ExcludePlatforms: []string{"ios"}, IncludeLocations: []string{"All"}, ExcludeLocations: []string{"Trusted"},
				SignInRisks: []string{"high"}, ClientApps: []string{"browser"}, DeviceFilterMode: "exclude", DeviceFilterRule: "rule", TokenProtection: true, PersistentBrowser: "never"}},
		"policy apply " + policies + " --tenant contoso.test": &directoryv1.ReplacePoliciesRequest{TenantId: contoso, Document: []byte("policies: []\n")},
		"policy evaluate alice@contoso.test --tenant contoso.test --method password --method sms --age 1h --ip 203.0.113.7 --flow device_code --bound": &directoryv1.EvaluatePoliciesRequest{
			TenantId: contoso, UserPrincipalName: alice, ClientId: "d3590ed6-52b3-4102-aeff-aad2292ab01c", Resource: "https://graph.microsoft.com", Methods: []string{"password", "sms"},
			AgeSeconds: 3600, IpAddress: "203.0.113.7", Flow: "device_code", Bound: true},
		"policy delete p1 --tenant contoso.test": &directoryv1.DeletePolicyRequest{TenantId: contoso, PolicyId: "p1"},

		"rotate-keys": &directoryv1.RotateKeysRequest{},
		"approve-code ABCD --user alice@contoso.test --mfa":     &directoryv1.ApproveDeviceCodeRequest{UserCode: "ABCD", UserPrincipalName: alice, WithMfa: true},
		"approve-code ABCD --user alice@contoso.test --decline": &directoryv1.ApproveDeviceCodeRequest{UserCode: "ABCD", UserPrincipalName: alice, Decline: true},
		"totp alice@contoso.test":                               &directoryv1.ReadOneTimeCodeRequest{UserPrincipalName: alice},
		"approve alice@contoso.test --number 42":                &directoryv1.AnswerChallengeRequest{UserPrincipalName: alice, Approve: true, Number: 42},
		"deny alice@contoso.test --challenge c1":                &directoryv1.AnswerChallengeRequest{UserPrincipalName: alice, ChallengeId: "c1"},
		"sign-ins --tenant contoso.test --limit 5":              &directoryv1.ListSignInsRequest{TenantId: contoso, Limit: 5},
		"challenges --user alice@contoso.test":                  &directoryv1.ListChallengesRequest{UserPrincipalName: alice},
	} {
		for _, form := range [][]string{nil, {"--json"}} {
			args := append(append([]string{"tenant", "--state", dir}, strings.Fields(line)...), form...)
			out, err := command(t, args...)
			if err != nil {
				t.Errorf("%s: %v", line, err)
				continue
			}
			if got := c.last(); !proto.Equal(got, want) {
				t.Errorf("%s asked\n%v, want\n%v", line, got, want)
			}
			if out == "" || len(form) > 0 && !json.Valid([]byte(out)) {
				t.Errorf("%s %v printed %q", line, form, out)
			}
		}
	}
}

func TestOBS08_Lists(t *testing.T) {
	_, dir := office(t)
	for line, want := range map[string][]string{
		"list":                              {contoso, fabrikam, "fabrikam.test adatum.test", "strict"},
		"user list":                         {"alice@contoso.test", "PhoneAppOTP", "carol@adatum.test", "signs in elsewhere"},
		"user list --tenant adatum.test":    {"carol@adatum.test"},
		"device list --tenant contoso.test": {"d-6ba", "ServerAd (pending)", "1970-01-01 00:00:00Z"},
		"app list --tenant contoso.test":    {"Portal", "confidential, in browsers", "https://spa.test/"},
		"app list --built-in":               {"broker", "public, built in"},
		"policy list":                       {"MFA", "All but alice@contoso.test", "mfa, a sign-in every 1h0m0s"},
		"policy evaluate alice@contoso.test --tenant contoso.test": {"AADSTS50076", "would help: fido2 windowsHelloForBusiness", "Strong", "failure", "notApplied", "flows"},
		"sign-ins":                        {"issue_prt", "refused", "50126", "wrong"},
		"challenges":                      {"c1", "PhoneAppNotification", "42", "Portal", "203.0.113.9"},
		"user methods alice@contoso.test": {"m1", "windowsHelloForBusiness", "d1", "administrator"},
		"messages":                        {"sms", "+1 5550100", "code 123456"},
	} {
		out, err := command(t, append([]string{"tenant", "--state", dir}, strings.Fields(line)...)...)
		if err != nil {
			t.Errorf("%s: %v", line, err)
		}
		for _, w := range want {
			if !strings.Contains(out, w) {
				t.Errorf("%s lacks %q:\n%s", line, w, out)
			}
		}
	}
	out, err := command(t, "tenant", "--state", dir, "user", "list", "--json")
	if err != nil || strings.Count(out, "\n") != 2 || !strings.Contains(out, `"user_principal_name":"alice@contoso.test"`) || !strings.Contains(out, `"administrator":false`) {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := command(t, "tenant", "--state", dir, "app", "list"); err != nil || strings.Contains(out, "broker") {
		t.Errorf("built-in applications that nobody asked for: %v\n%s", err, out)
	}
	if out, err := command(t, "tenant", "--state", dir, "user", "list", "--tenant", "adatum.test"); err != nil || strings.Contains(out, "alice") {
		t.Errorf("another tenant's users: %v\n%s", err, out)
	}
}

func TestOBS08_WhatCannotBeDoneIsSaid(t *testing.T) {
	c, dir := office(t)
	for line, want := range map[string]string{
		"user list --tenant x.test":                                  "there is contoso.test, fabrikam.test, adatum.test",
		"app put Web":                                                "say which one is meant with --tenant",
		"user update alice@contoso.test":                             "nothing is to be changed",
		"user disable":                                               "accepts 1 arg",
		"user access-pass a@b.test --lifetime 1ms":                   "whole seconds",
		"user put-hello-key a@b.test --key /no.key":                  "no such file",
		"user put-hello-key a@b.test":                                `"key" not set`,
		"approve-code ABCD":                                          `"user" not set`,
		"device put-hybrid d1 --certificate /no.pem":                 "certificate",
		"policy put X --tenant contoso.test --sign-in-frequency 1ms": "whole seconds",
	} {
		_, err := command(t, append([]string{"tenant", "--state", dir}, strings.Fields(line)...)...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
	c.fail = prterr.New(prterr.NotFound, "user nobody@contoso.test does not exist")
	out, err := command(t, "tenant", "--state", dir, "user", "disable", "nobody@contoso.test")
	if err == nil || !strings.Contains(err.Error(), "does not exist") || out != "" {
		t.Errorf("%v, %q", err, out)
	}
	if _, err := command(t, "tenant", "--state", t.TempDir(), "list"); err == nil || !strings.Contains(err.Error(), "no lockstep serve runs") {
		t.Errorf("nobody there: %v", err)
	}
}

func TestPasswordsOfUsers(t *testing.T) {
	c, dir := office(t)
	create := func(stdin string, args ...string) (string, error) {
		var out strings.Builder
		cmd := root()
		cmd.SetArgs(append([]string{"tenant", "--state", dir, "user", "create", "x@contoso.test"}, args...))
		cmd.SetIn(strings.NewReader(stdin))
		cmd.SetOut(&out)
		cmd.SetErr(&out)
		err := cmd.ExecuteContext(t.Context())
		return out.String(), err
	}
	if out, err := create("from the pipe\n", "--password-stdin"); err != nil || strings.Contains(out, "from the pipe") {
		t.Errorf("%v: %s", err, out)
	}
	if got := c.last().(*directoryv1.CreateUserRequest).GetPassword(); got != "from the pipe" {
		t.Errorf("the password is %q", got)
	}
	out, err := create("")
	made := c.last().(*directoryv1.CreateUserRequest).GetPassword()
	if err != nil || len(made) < 20 || !strings.Contains(out, made) {
		t.Errorf("%v: made %q, said %q", err, made, out)
	}
	for _, args := range [][]string{{"--password-stdin"}, {"--password-stdin", "--password", "x"}} {
		if _, err := create("", args...); err == nil {
			t.Errorf("%v was taken", args)
		}
	}
}
