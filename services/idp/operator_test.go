package idp_test

import (
	"context"
	"encoding/pem"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
)

// done fails the test when a call of an operator failed.
func done[T any](t testing.TB) func(T, error) T {
	t.Helper()
	return func(a T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
}

func TestINV14_RevokeSessions(t *testing.T) {
	w := newWorld(t, idp.Config{})
	s := w.join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword)
	other := w.join(t, bob, bobPassword, 3, 4).first(t, bob, bobPassword)
	c := s.redemption(t, office, graph)
	c.RefreshToken = s.tokens(t, s.redemption(t, office, graph)).RefreshToken
	done[*directoryv1.RevokeSessionsResponse](t)(w.admin.RevokeSessions(context.Background(), &directoryv1.RevokeSessionsRequest{UserPrincipalName: alice}))

	wantCode(t, s.use(t), aadsts.FreshTokenNeeded)
	_, err := w.renewPRT(s.sign(t, s.renewal(t)))
	wantCode(t, err, aadsts.FreshTokenNeeded)
	_, err = w.redeemRT(s.sign(t, c))
	wantCode(t, err, aadsts.FreshTokenNeeded)
	if err := other.use(t); err != nil {
		t.Errorf("somebody else's PRT: %v", err)
	}
	if err := s.d.first(t, alice, alicePassword).use(t); err != nil {
		t.Errorf("a sign-in after it: %v", err)
	}
}

func TestDeletedUserAndDeletedApplication(t *testing.T) {
	w := newWorld(t, idp.Config{})
	ctx := context.Background()
	s := w.join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword)
	c := s.redemption(t, office, graph)
	c.RefreshToken = s.tokens(t, s.redemption(t, office, graph)).RefreshToken
	done[*directoryv1.DeleteApplicationResponse](t)(w.admin.DeleteApplication(ctx, &directoryv1.DeleteApplicationRequest{TenantId: contoso, ClientId: office}))
	wantCode(t, s.use(t), aadsts.ApplicationNotFound)
	_, err := w.redeemRT(s.sign(t, c))
	wantCode(t, err, aadsts.ApplicationNotFound)
	if _, err := w.redeemPRT(s.sign(t, s.redemption(t, cli, graph))); err != nil {
		t.Errorf("another application: %v", err)
	}
	f := w.join(t, frank, frankPassword, 3, 4).first(t, frank, frankPassword)
	if err := f.use(t); err != nil {
		t.Errorf("the application in another tenant: %v", err)
	}

	done[*directoryv1.DeleteUserResponse](t)(w.admin.DeleteUser(ctx, &directoryv1.DeleteUserRequest{UserPrincipalName: alice}))
	_, err = w.redeemPRT(s.sign(t, s.redemption(t, cli, graph)))
	wantCode(t, err, aadsts.UserAccountNotFound)
	_, err = w.renewPRT(s.sign(t, s.renewal(t)))
	wantCode(t, err, aadsts.UserAccountNotFound)
	_, err = w.requestPRT(s.d.sign(t, s.d.claims(t, alice, alicePassword)))
	wantCode(t, err, aadsts.UserAccountNotFound)

	// The name may be given again; what the first user held is not the second's.
	done[*directoryv1.CreateUserResponse](t)(w.admin.CreateUser(ctx, &directoryv1.CreateUserRequest{UserPrincipalName: alice, Password: alicePassword}))
	_, err = w.renewPRT(s.sign(t, s.renewal(t)))
	wantCode(t, err, aadsts.UserAccountNotFound)
}

// bare is the default tenant file whose first tenant has nothing that an operator
// can make: no users, policies or applications of its own.
func bare(t testing.TB) []byte {
	t.Helper()
	var out []string
	skip, first := false, true
	for line := range strings.Lines(string(idp.DefaultTenants())) {
		if strings.HasPrefix(line, "    users:") || strings.HasPrefix(line, "    policies:") || strings.HasPrefix(line, "    applications:") || strings.HasPrefix(line, "    apis:") {
			skip = first
		} else if strings.HasPrefix(line, "    ") && line[4] != ' ' {
			skip = false
		} else if strings.HasPrefix(line, "  - id: f8cdef31") {
			skip, first = false, false
		}
		if !skip {
			out = append(out, line)
		}
	}
	return []byte(strings.Join(out, ""))
}

// shown is what an operator sees of a tenant.
func shown(t testing.TB, w *world, tenant string) []proto.Message {
	t.Helper()
	ctx := context.Background()
	return []proto.Message{
		done[*directoryv1.ListTenantsResponse](t)(w.read.ListTenants(ctx, &directoryv1.ListTenantsRequest{})),
		done[*directoryv1.ListUsersResponse](t)(w.read.ListUsers(ctx, &directoryv1.ListUsersRequest{TenantId: tenant})),
		done[*directoryv1.ListApplicationsResponse](t)(w.read.ListApplications(ctx, &directoryv1.ListApplicationsRequest{TenantId: tenant})),
		done[*directoryv1.ListPoliciesResponse](t)(w.read.ListPolicies(ctx, &directoryv1.ListPoliciesRequest{TenantId: tenant})),
		done[*directoryv1.ListDevicesResponse](t)(w.read.ListDevices(ctx, &directoryv1.ListDevicesRequest{TenantId: tenant})),
	}
}

// TestOBS08_FileAndCallsMakeTheSameTenant builds Contoso once from the file and
// once by calls.
func TestOBS08_FileAndCallsMakeTheSameTenant(t *testing.T) {
	object := "    devices:\n      - id: 11111111-2222-4333-8444-555555555555\n        display_name: HYBRID-1\n        sid: S-1-5-21-1-2-3-1001\n        certificate: |\n" +
		indent(pemCertificate(t), "          ")
	filed := newWorld(t, idp.Config{Tenants: []byte(strings.Replace(string(idp.DefaultTenants()), "    users:\n", object+"    users:\n", 1))})
	called := newWorld(t, idp.Config{Tenants: bare(t)})
	if len(shown(t, called, contoso)[1].(*directoryv1.ListUsersResponse).GetUsers()) != 0 {
		t.Fatal("the bare tenant has users")
	}
	ctx := context.Background()
	user := func(r *directoryv1.CreateUserRequest) {
		done[*directoryv1.CreateUserResponse](t)(called.admin.CreateUser(ctx, r))
	}
	const people = "1f6b0a5c-8f0d-4a53-9d3c-2f6f2c1d7a0"
	user(&directoryv1.CreateUserRequest{UserId: people + "1", UserPrincipalName: alice, DisplayName: "Alice Adams", GivenName: "Alice", Surname: "Adams", Mail: alice, Password: alicePassword})
	user(&directoryv1.CreateUserRequest{UserId: people + "2", UserPrincipalName: bob, DisplayName: "Bob Brown", Password: bobPassword})
	user(&directoryv1.CreateUserRequest{UserId: people + "3", UserPrincipalName: "dave@contoso.test", DisplayName: "Dave Dean", Password: "no devices for dave", NoJoin: true})
	user(&directoryv1.CreateUserRequest{UserId: people + "9", UserPrincipalName: "admin@contoso.test", DisplayName: "Contoso Administrator", Password: "administrators need long passwords", Administrator: true})
	user(&directoryv1.CreateUserRequest{UserId: people + "4", UserPrincipalName: "mia@contoso.test", DisplayName: "Mia Moreau", Password: "two factors are better"})
	user(&directoryv1.CreateUserRequest{UserId: people + "5", UserPrincipalName: nora, DisplayName: "Nora Nilsson", Password: noraPassword})
	done[*directoryv1.SetUserMethodsResponse](t)(called.admin.SetUserMethods(ctx, &directoryv1.SetUserMethodsRequest{
		UserPrincipalName: nora, TotpSecret: "KRSXG5CTMVRXEZLUKRSXG5CTMVRXEZLU", Push: true, PhoneSignIn: true, PhoneNumber: "+46 701234567", DefaultMethod: push,
	}))
	done[*directoryv1.SetUserMethodsResponse](t)(called.admin.SetUserMethods(ctx, &directoryv1.SetUserMethodsRequest{
		UserPrincipalName: "mia@contoso.test", TotpSecret: "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", Push: true,
	}))
	apps := shown(t, filed, contoso)[2].(*directoryv1.ListApplicationsResponse).GetApplications()
	for _, a := range apps {
		if a.GetBuiltIn() {
			continue
		}
		r := &directoryv1.PutApplicationRequest{TenantId: contoso, Application: a}
		if a.GetConfidential() {
			r.ClientSecrets = []string{"a secret of the application"}
		}
		done[*directoryv1.PutApplicationResponse](t)(called.admin.PutApplication(ctx, r))
	}
	done[*directoryv1.PutPolicyResponse](t)(called.admin.PutPolicy(ctx, &directoryv1.PutPolicyRequest{TenantId: contoso, Policy: &directoryv1.Policy{
		PolicyId: "3b1f8a52-9c77-4d0e-8a26-6e2f4b9d0a01", Name: "A second factor for the group that has one",
		IncludeUsers: []string{"Second Factor"}, IncludeResources: []string{"All"}, Grant: "mfa",
	}}))
	done[*directoryv1.PutHybridDeviceResponse](t)(called.admin.PutHybridDevice(ctx, &directoryv1.PutHybridDeviceRequest{
		TenantId: contoso, DeviceId: "11111111-2222-4333-8444-555555555555", DisplayName: "HYBRID-1", Sid: "S-1-5-21-1-2-3-1001", Certificate: derOf(t, pemCertificate(t)),
	}))
	a, b := shown(t, filed, contoso), shown(t, called, contoso)
	for i := range a {
		if !proto.Equal(a[i], b[i]) {
			t.Errorf("file:  %v\ncalls: %v", a[i], b[i])
		}
	}
	for name, w := range map[string]*world{"file": filed, "calls": called} {
		s := w.join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword)
		if got := w.accessToken(t, s.tokens(t, s.redemption(t, office, graph)).AccessToken); got.OID != people+"1" || got.Name != "Alice Adams" {
			t.Errorf("%s: %+v", name, got)
		}
		if _, err := w.devices.RegisterDevice(ctx, (&device{w: w, dk: rsaKeys()[3], tk: rsaKeys()[4]}).enrolment(t, "dave@contoso.test", "no devices for dave")); prterr.CodeOf(err) != aadsts.RegistrationNotAllowed {
			t.Errorf("%s: dave registered a device: %v", name, err)
		}
	}
}

func derOf(t testing.TB, text string) []byte {
	t.Helper()
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		t.Fatal("not PEM")
	}
	return block.Bytes
}

// TestOBS08_ErrorsNameTheField: whoever reads the error knows what to repair, and
// nothing has changed.
func TestOBS08_ErrorsNameTheField(t *testing.T) {
	w := newWorld(t, idp.Config{})
	ctx := context.Background()
	const gone = "11111111-2222-4333-8444-555555555555"
	createUser := func(r *directoryv1.CreateUserRequest) func() error {
		return func() error { _, err := w.admin.CreateUser(ctx, r); return err }
	}
	putApp := func(a *directoryv1.Application, secrets ...string) func() error {
		return func() error {
			if a.ClientId == "" {
				a.ClientId = gone
			}
			_, err := w.admin.PutApplication(ctx, &directoryv1.PutApplicationRequest{TenantId: contoso, Application: a, ClientSecrets: secrets})
			return err
		}
	}
	putPolicy := func(change func(*directoryv1.Policy)) func() error {
		return func() error {
			p := &directoryv1.Policy{Name: "P", IncludeUsers: []string{"All"}, IncludeResources: []string{"All"}, Grant: "block"}
			change(p)
			_, err := w.admin.PutPolicy(ctx, &directoryv1.PutPolicyRequest{TenantId: contoso, Policy: p})
			return err
		}
	}
	hybrid := func(r *directoryv1.PutHybridDeviceRequest) func() error {
		return func() error { _, err := w.admin.PutHybridDevice(ctx, r); return err }
	}
	signIns := func(r *directoryv1.ListSignInsRequest) func() error {
		return func() error { _, err := w.read.ListSignIns(ctx, r); return err }
	}
	joined := w.join(t, alice, alicePassword, 1, 2)
	before := shown(t, w, contoso)
	w.unchanged(t, func() {
		for field, c := range map[string]struct {
			call func() error
			kind prterr.Kind
		}{
			"user_principal_name is not right": {createUser(&directoryv1.CreateUserRequest{UserPrincipalName: "x"}), prterr.Invalid},
			"user_principal_name is in no":     {createUser(&directoryv1.CreateUserRequest{UserPrincipalName: "x@nowhere.test", Password: "p"}), prterr.Invalid},
			"password is not 1":                {createUser(&directoryv1.CreateUserRequest{UserPrincipalName: "x@contoso.test"}), prterr.Invalid},
			"password does not go":             {createUser(&directoryv1.CreateUserRequest{UserPrincipalName: "x@adatum.test", Password: "p"}), prterr.Invalid},
			"immutable_id is missing":          {createUser(&directoryv1.CreateUserRequest{UserPrincipalName: "x@adatum.test"}), prterr.Invalid},
			"immutable_id is another":          {createUser(&directoryv1.CreateUserRequest{UserPrincipalName: "x@adatum.test", ImmutableId: "zK4iG3pNEkWyVd0kX8a2jQ=="}), prterr.Conflict},
			"user_id":                          {createUser(&directoryv1.CreateUserRequest{UserPrincipalName: "x@contoso.test", Password: "p", UserId: "1"}), prterr.Invalid},
			"display_name":                     {createUser(&directoryv1.CreateUserRequest{UserPrincipalName: "x@contoso.test", Password: "p", DisplayName: strings.Repeat("x", 257)}), prterr.Invalid},
			"the user exists":                  {createUser(&directoryv1.CreateUserRequest{UserPrincipalName: bob, Password: "p"}), prterr.Conflict},
			"the user does not": {func() error {
				_, err := w.admin.RevokeSessions(ctx, &directoryv1.RevokeSessionsRequest{UserPrincipalName: "x@contoso.test"})
				return err
			}, prterr.NotFound},
			"totp_secret": {func() error {
				_, err := w.admin.SetUserMethods(ctx, &directoryv1.SetUserMethodsRequest{UserPrincipalName: alice, TotpSecret: "0189"})
				return err
			}, prterr.Invalid},
			"application.client_id":                 {putApp(&directoryv1.Application{ClientId: "1", Name: "A"}), prterr.Invalid},
			"application.name":                      {putApp(&directoryv1.Application{}), prterr.Invalid},
			"application.redirect_uris[1]":          {putApp(&directoryv1.Application{Name: "A", RedirectUris: []string{"https://a.test/", "javascript:x"}}), prterr.Invalid},
			"application.resources[0]":              {putApp(&directoryv1.Application{Name: "A", Resources: []string{"https://none.test"}}), prterr.Invalid},
			"application.confidential":              {putApp(&directoryv1.Application{Name: "A", Confidential: true}), prterr.Invalid},
			"client_secrets[0]":                     {putApp(&directoryv1.Application{Name: "A"}, "short"), prterr.Invalid},
			"application.identifier_uri is":         {putApp(&directoryv1.Application{Name: "A", Scopes: []string{"s"}}), prterr.Invalid},
			"application.identifier_uri is that of": {putApp(&directoryv1.Application{Name: "A", IdentifierUri: graph}), prterr.Conflict},
			"application.token_version":             {putApp(&directoryv1.Application{Name: "A", IdentifierUri: "api://x", TokenVersion: 3}), prterr.Invalid},
			"client_id names no": {func() error {
				_, err := w.admin.DeleteApplication(ctx, &directoryv1.DeleteApplicationRequest{TenantId: contoso, ClientId: gone})
				return err
			}, prterr.NotFound},
			"tenant_id names no": {func() error {
				_, err := w.admin.DeleteApplication(ctx, &directoryv1.DeleteApplicationRequest{TenantId: gone, ClientId: office})
				return err
			}, prterr.NotFound},
			"policy.policy_id":                 {putPolicy(func(p *directoryv1.Policy) { p.PolicyId = "1" }), prterr.Invalid},
			"policy.name":                      {putPolicy(func(p *directoryv1.Policy) { p.Name = "" }), prterr.Invalid},
			"policy.state":                     {putPolicy(func(p *directoryv1.Policy) { p.State = "on" }), prterr.Invalid},
			"policy.grant":                     {putPolicy(func(p *directoryv1.Policy) { p.Grant = "maybe" }), prterr.Invalid},
			"policy.include_users":             {putPolicy(func(p *directoryv1.Policy) { p.IncludeUsers = nil }), prterr.Invalid},
			"policy.clients[0]":                {putPolicy(func(p *directoryv1.Policy) { p.Clients = []string{"x"} }), prterr.Invalid},
			"policy.flows":                     {putPolicy(func(p *directoryv1.Policy) { p.Flows = []string{"x"} }), prterr.Invalid},
			"policy.sign_in_frequency_seconds": {putPolicy(func(p *directoryv1.Policy) { p.SignInFrequencySeconds = 1 << 40 }), prterr.Invalid},
			"policy_id names no": {func() error {
				_, err := w.admin.DeletePolicy(ctx, &directoryv1.DeletePolicyRequest{TenantId: contoso, PolicyId: gone})
				return err
			}, prterr.NotFound},
			"certificate": {hybrid(&directoryv1.PutHybridDeviceRequest{TenantId: contoso, DeviceId: gone, DisplayName: "D", Sid: "S-1", Certificate: []byte{1}}), prterr.Invalid},
			"sid":         {hybrid(&directoryv1.PutHybridDeviceRequest{TenantId: contoso, DeviceId: gone, DisplayName: "D", Certificate: derOf(t, pemCertificate(t))}), prterr.Invalid},
			"device_id is that of": {hybrid(&directoryv1.PutHybridDeviceRequest{
				TenantId: contoso, DeviceId: joined.id, DisplayName: "D", Sid: "S-1", Certificate: derOf(t, pemCertificate(t)),
			}), prterr.Conflict},
			"limit":     {signIns(&directoryv1.ListSignInsRequest{Limit: 1001}), prterr.Invalid},
			"tenant_id": {signIns(&directoryv1.ListSignInsRequest{TenantId: "x"}), prterr.Invalid},
		} {
			err := c.call()
			wantKind(t, err, c.kind)
			if err == nil || !strings.Contains(err.Error(), field) {
				t.Errorf("%v does not say %q", err, field)
			}
		}
	})
	for i, m := range shown(t, w, contoso) {
		if !proto.Equal(before[i], m) {
			t.Errorf("a refused change shows: %v", m)
		}
	}
}

func TestOBS08_ChangesAreInForceAtOnce(t *testing.T) {
	w := newWorld(t, idp.Config{})
	ctx := context.Background()
	d := w.join(t, alice, alicePassword, 1, 2)
	s := d.first(t, alice, alicePassword)
	const app = "11111111-2222-4333-8444-555555555555"
	wantCode(t, second(w.redeemPRT(s.sign(t, s.redemption(t, app, graph)))), aadsts.ApplicationNotFound)
	put := &directoryv1.PutApplicationRequest{TenantId: contoso, Application: &directoryv1.Application{ClientId: app, Name: "New", IdentifierUri: "api://new"}}
	done[*directoryv1.PutApplicationResponse](t)(w.admin.PutApplication(ctx, put))
	for _, resource := range []string{graph, "api://new"} {
		if got := w.accessToken(t, s.tokens(t, s.redemption(t, app, resource)).AccessToken); got.AppID != app {
			t.Errorf("%+v", got)
		}
	}
	// Read, change, write: the secrets stay without being shown.
	put.ClientSecrets = []string{"something secret"}
	done[*directoryv1.PutApplicationResponse](t)(w.admin.PutApplication(ctx, put))
	list := done[*directoryv1.ListApplicationsResponse](t)(w.read.ListApplications(ctx, &directoryv1.ListApplicationsRequest{TenantId: contoso})).GetApplications()
	for _, a := range list {
		if a.GetClientId() == app {
			a.Name = "Newer"
			done[*directoryv1.PutApplicationResponse](t)(w.admin.PutApplication(ctx, &directoryv1.PutApplicationRequest{TenantId: contoso, Application: a}))
		}
	}
	list = done[*directoryv1.ListApplicationsResponse](t)(w.read.ListApplications(ctx, &directoryv1.ListApplicationsRequest{TenantId: contoso})).GetApplications()
	found := false
	for _, a := range list {
		found = found || a.GetClientId() == app && a.GetName() == "Newer" && a.GetConfidential()
	}
	if !found {
		t.Errorf("%v", list)
	}

	done[*directoryv1.SetDeviceComplianceResponse](t)(w.admin.SetDeviceCompliance(ctx, &directoryv1.SetDeviceComplianceRequest{DeviceId: d.id, Compliant: true}))
	if got := shown(t, w, contoso)[4].(*directoryv1.ListDevicesResponse).GetDevices()[0]; !got.GetCompliant() {
		t.Errorf("%v", got)
	}
	id := done[*directoryv1.PutPolicyResponse](t)(w.admin.PutPolicy(ctx, &directoryv1.PutPolicyRequest{TenantId: contoso, Policy: &directoryv1.Policy{
		Name: "Nobody", IncludeUsers: []string{"All"}, IncludeResources: []string{"All"}, Grant: "block", State: "report",
	}})).GetPolicyId()
	policies := func() int { return len(shown(t, w, contoso)[3].(*directoryv1.ListPoliciesResponse).GetPolicies()) }
	if policies() != 2 {
		t.Errorf("%d policies", policies())
	}
	done[*directoryv1.DeletePolicyResponse](t)(w.admin.DeletePolicy(ctx, &directoryv1.DeletePolicyRequest{TenantId: contoso, PolicyId: id}))
	if policies() != 1 {
		t.Errorf("%d policies", policies())
	}

	all := done[*directoryv1.ListSignInsResponse](t)(w.read.ListSignIns(ctx, &directoryv1.ListSignInsRequest{})).GetSignIns()
	last := done[*directoryv1.ListSignInsResponse](t)(w.read.ListSignIns(ctx, &directoryv1.ListSignInsRequest{TenantId: contoso, Limit: 1})).GetSignIns()
	if len(all) < 4 || len(last) != 1 || !proto.Equal(last[0], all[len(all)-1]) || last[0].GetUserPrincipalName() != alice || last[0].GetOutcome() != "success" {
		t.Errorf("%v of %v", last, all)
	}
	if other := done[*directoryv1.ListSignInsResponse](t)(w.read.ListSignIns(ctx, &directoryv1.ListSignInsRequest{TenantId: fabrikam})).GetSignIns(); len(other) != 0 {
		t.Errorf("%v", other)
	}
}

func second[T any](_ T, err error) error { return err }

func TestOperatorSeesWhatWaitsForAPerson(t *testing.T) {
	p := newPages(t, idp.Config{})
	ctx := context.Background()
	list := func(upn string) []*directoryv1.Challenge {
		t.Helper()
		return done[*directoryv1.ListChallengesResponse](t)(p.read.ListChallenges(ctx, &directoryv1.ListChallengesRequest{UserPrincipalName: upn})).GetChallenges()
	}
	if got := list(""); len(got) != 0 {
		t.Errorf("%v", got)
	}
	p.begin(t, p.factor(t, &idpv1.AuthorizeRequest{}), push)
	for upn, n := range map[string]int{"": 1, mia: 1, alice: 0} {
		if got := list(upn); len(got) != n {
			t.Errorf("%q: %v", upn, got)
		}
	}
	c := list(mia)[0]
	if c.GetMethodId() != push || c.GetUserPrincipalName() != mia || c.GetExpiresAt() == nil {
		t.Errorf("%v", c)
	}
	done[*directoryv1.AnswerChallengeResponse](t)(p.person.AnswerChallenge(ctx, &directoryv1.AnswerChallengeRequest{
		UserPrincipalName: mia, ChallengeId: c.GetChallengeId(), Approve: true,
	}))
	if got := list(""); len(got) != 0 {
		t.Errorf("%v", got)
	}
	_, err := p.read.ListChallenges(ctx, &directoryv1.ListChallengesRequest{UserPrincipalName: "x"})
	wantKind(t, err, prterr.Invalid)
}
