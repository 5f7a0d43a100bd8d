package idptest_test

import (
	"encoding/json"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/services/idp/idptest"
)

// commandLine is a public client that every tenant has.
const commandLine = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"

type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	Error   string `json:"error"`
	Codes   []int  `json:"error_codes"`
}

func ask(t *testing.T, tenant *idptest.Tenant, form url.Values) tokens {
	t.Helper()
	form.Set("client_id", commandLine)
	form.Set("scope", "openid offline_access https://graph.microsoft.com/.default")
	resp, err := tenant.HTTPClient().PostForm(tenant.TokenEndpoint, form)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var got tokens
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	return got
}

func signIn(t *testing.T, tenant *idptest.Tenant) tokens {
	t.Helper()
	return ask(t, tenant, url.Values{"grant_type": {"password"}, "username": {tenant.User}, "password": {tenant.Password}})
}

func refresh(t *testing.T, tenant *idptest.Tenant, token string) tokens {
	t.Helper()
	return ask(t, tenant, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
}

// What a client holds lives and dies by the tenant's clock and operator.
func TestDEP03_TokensClockAndOperator(t *testing.T) {
	tenant := idptest.New(t)
	first := signIn(t, tenant)
	if first.Access == "" || first.Refresh == "" {
		t.Fatalf("the sign-in: %+v", first)
	}
	if got := refresh(t, tenant, first.Refresh); got.Access == "" {
		t.Errorf("the refresh: %+v", got)
	}
	refused := func(why string, got tokens, code aadsts.Code) {
		t.Helper()
		if got.Access != "" || !slices.Contains(got.Codes, int(code)) {
			t.Errorf("%s: %+v, want %v", why, got, code)
		}
	}
	if err := tenant.Admin.DisableUser(t.Context(), tenant.User); err != nil {
		t.Fatal(err)
	}
	refused("a disabled user", refresh(t, tenant, first.Refresh), aadsts.UserDisabled)
	if err := tenant.Admin.EnableUser(t.Context(), tenant.User); err != nil {
		t.Fatal(err)
	}
	tenant.Clock.Advance(91 * 24 * time.Hour)
	refused("after ninety days", refresh(t, tenant, first.Refresh), aadsts.ExpiredToken)
	again := signIn(t, tenant)
	if err := tenant.Admin.RevokeSessions(t.Context(), tenant.User); err != nil {
		t.Fatal(err)
	}
	refused("revoked", refresh(t, tenant, again.Refresh), aadsts.FreshTokenNeeded)
	if n := len(tenant.SignIns()); n < 6 {
		t.Errorf("the sign-in log has %d events", n)
	}
}
func TestDEP03_DeviceCodeAndOwnUser(t *testing.T) {
	tenant := idptest.New(t)
	ctx := t.Context()
	if _, err := tenant.Admin.CreateUser(ctx, idptest.User{UPN: "new@contoso.test", Password: "a password of theirs"}); err != nil {
		t.Fatal(err)
	}
	resp, err := tenant.HTTPClient().PostForm(tenant.DeviceCodeEndpoint, url.Values{"client_id": {commandLine}, "scope": {"openid https://graph.microsoft.com/.default"}})
	if err != nil {
		t.Fatal(err)
	}
	var flow struct {
		DeviceCode string `json:"device_code"`
		UserCode   string `json:"user_code"`
	}
	err = json.NewDecoder(resp.Body).Decode(&flow)
	_ = resp.Body.Close()
	if err != nil || flow.UserCode == "" {
		t.Fatalf("%s: %+v, %v", resp.Status, flow, err)
	}
	poll := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "device_code": {flow.DeviceCode}}
	if got := ask(t, tenant, poll); got.Error != "authorization_pending" {
		t.Errorf("before anybody approved: %+v", got)
	}
	if err := tenant.Admin.ApproveDeviceCode(ctx, flow.UserCode, "new@contoso.test"); err != nil {
		t.Fatal(err)
	}
	tenant.Clock.Advance(10 * time.Second) // the interval of the poll
	if got := ask(t, tenant, poll); got.Access == "" {
		t.Errorf("after it: %+v", got)
	}
}
