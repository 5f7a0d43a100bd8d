package aadplugin_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	cloudapv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/cloudap/v1"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/aadplugin"
)

// silent is a connection that must not be used.
type silent struct{ t *testing.T }

func (s silent) Invoke(_ context.Context, method string, _, _ any, _ ...grpc.CallOption) error {
	s.t.Errorf("%s was called", method)
	return prterr.New(prterr.Unavailable, "nobody there")
}

func (s silent) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, prterr.New(prterr.Unavailable, "nobody there")
}

func dial(t *testing.T) cloudapv1.PluginServiceClient {
	t.Helper()
	p, err := aadplugin.New(aadplugin.Config{TPM: silent{t}, Dsreg: silent{t}, IdP: silent{t}, SignInURL: "https://login.test", CallTimeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	allow := rpc.AllowList{}
	for _, m := range cloudapv1.PluginService_ServiceDesc.Methods {
		allow["/prt.cloudap.v1.PluginService/"+m.MethodName] = []string{"lsa-cloudap"}
	}
	conn, stop, err := rpc.Loopback(rpc.LoopbackConfig{Caller: "lsa-cloudap", Server: "lsa-cloudap", Allow: allow}, p.Register)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return cloudapv1.NewPluginServiceClient(conn)
}

func cachedPRT(change func(*cloudapv1.CachedPRT)) *cloudapv1.CachedPRT {
	c := &cloudapv1.CachedPRT{
		Partition: &tpmv1.Partition{TenantId: "aaaaaaaa-0000-4000-8000-000000000001", UserId: "bbbbbbbb-0000-4000-8000-000000000001", CredentialKind: "password"},
		Prt:       "1.prt.x", SessionKey: &tpmv1.SealedSessionKey{Sealed: []byte("sealed")},
	}
	if change != nil {
		change(c)
	}
	return c
}

func password(p string) *cloudapv1.AuthenticateUserRequest_Password {
	return &cloudapv1.AuthenticateUserRequest_Password{Password: p}
}

// TestTheFrameworkIsAStrangerToo: whatever is wrong with a message, it is named,
// and neither the TPM nor the network hears of it.
func TestTheFrameworkIsAStrangerToo(t *testing.T) {
	p, ctx := dial(t), t.Context()
	const upn, client = "alice@contoso.test", "cccccccc-0000-4000-8000-000000000001"
	sign := func(change func(*cloudapv1.SignTokenRequestRequest)) error {
		r := &cloudapv1.SignTokenRequestRequest{Cached: cachedPRT(nil), ClientId: client, RedirectUri: "app://x", RequestNonce: "n"}
		change(r)
		_, err := p.SignTokenRequest(ctx, r)
		return err
	}
	cookie := func(change func(*cloudapv1.CachedPRT), nonce string) error {
		_, err := p.CreatePRTCookie(ctx, &cloudapv1.CreatePRTCookieRequest{Cached: cachedPRT(change), RequestNonce: nonce})
		return err
	}
	_, noPassword := p.AuthenticateUser(ctx, &cloudapv1.AuthenticateUserRequest{UserPrincipalName: upn})
	_, longPassword := p.AuthenticateUser(ctx, &cloudapv1.AuthenticateUserRequest{UserPrincipalName: upn, Credential: password(strings.Repeat("x", 257))})
	_, noUser := p.AuthenticateUser(ctx, &cloudapv1.AuthenticateUserRequest{Credential: password("x")})
	_, renewNothing := p.RenewPRT(ctx, &cloudapv1.RenewPRTRequest{UserPrincipalName: upn})
	_, renewNobody := p.RenewPRT(ctx, &cloudapv1.RenewPRTRequest{Cached: cachedPRT(nil)})
	_, validateNothing := p.ValidatePRT(ctx, &cloudapv1.ValidatePRTRequest{})
	_, openNothing := p.OpenTokenAnswer(ctx, &cloudapv1.OpenTokenAnswerRequest{Cached: cachedPRT(nil), ClientId: client})
	_, openForNobody := p.OpenTokenAnswer(ctx, &cloudapv1.OpenTokenAnswerRequest{Cached: cachedPRT(nil), Answer: "a"})
	for _, c := range []struct {
		err   error
		names string
	}{
		{noPassword, "password"}, {longPassword, "password"}, {noUser, "user_principal_name"},
		{renewNothing, "cached.partition"}, {renewNobody, "user_principal_name"}, {validateNothing, "offered.partition"},
		{openNothing, "answer"}, {openForNobody, "client_id"},
		{cookie(nil, ""), "request_nonce"}, {cookie(nil, "a b"), "request_nonce"},
		{cookie(func(c *cloudapv1.CachedPRT) { c.Prt = "" }, "n"), "cached.prt"},
		{cookie(func(c *cloudapv1.CachedPRT) { c.SessionKey = nil }, "n"), "cached.session_key"},
		{cookie(func(c *cloudapv1.CachedPRT) { c.Partition.UserId = "x" }, "n"), "cached.partition"},
		{cookie(func(c *cloudapv1.CachedPRT) { c.Partition.CredentialKind = "face" }, "n"), "cached.partition"},
		{sign(func(r *cloudapv1.SignTokenRequestRequest) { r.ClientId = "" }), "client_id"},
		{sign(func(r *cloudapv1.SignTokenRequestRequest) { r.RedirectUri = "" }), "redirect_uri"},
		{sign(func(r *cloudapv1.SignTokenRequestRequest) { r.Resource = "a b" }), "resource"},
		{sign(func(r *cloudapv1.SignTokenRequestRequest) { r.RequestNonce = "" }), "request_nonce"},
		{sign(func(r *cloudapv1.SignTokenRequestRequest) { r.RefreshToken = &tpmv1.SealedToken{} }), "refresh_token"},
		{sign(func(r *cloudapv1.SignTokenRequestRequest) {
			r.RefreshToken, r.RequestNewPrt = &tpmv1.SealedToken{Sealed: []byte("x")}, true
		}), "request_new_prt"},
	} {
		if prterr.KindOf(c.err) != prterr.Invalid || !strings.Contains(c.err.Error(), c.names) {
			t.Errorf("%s: %v", c.names, c.err)
		}
	}
}

// TestPagesAndKeysOfAStranger: the same for the messages about pages and Hello keys.
func TestPagesAndKeysOfAStranger(t *testing.T) {
	p, ctx := dial(t), t.Context()
	const upn = "alice@contoso.test"
	auth := func(r *cloudapv1.AuthenticateUserRequest) error {
		r.UserPrincipalName = upn
		_, err := p.AuthenticateUser(ctx, r)
		return err
	}
	hello := func(h *cloudapv1.HelloCredential) error {
		return auth(&cloudapv1.AuthenticateUserRequest{Credential: &cloudapv1.AuthenticateUserRequest_Hello{Hello: h}})
	}
	page := func(e *cloudapv1.PageEnd) error {
		return auth(&cloudapv1.AuthenticateUserRequest{Credential: &cloudapv1.AuthenticateUserRequest_Page{Page: e}})
	}
	card := func(c *cloudapv1.SmartCardProof) error {
		return auth(&cloudapv1.AuthenticateUserRequest{Credential: &cloudapv1.AuthenticateUserRequest_SmartCard{SmartCard: c}})
	}
	begin := func(r *cloudapv1.BeginPageRequest) error { _, err := p.BeginPage(ctx, r); return err }
	const tenant, user = "aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000001"
	state := []byte(`{"purpose":1,"tenant":"` + tenant + `","client":"c","redirect":"ms-appx-web://Microsoft.AAD.BrokerPlugin/DRS","state":"s","verifier":"v"}`)
	_, access := p.RegisterHelloKey(ctx, &cloudapv1.RegisterHelloKeyRequest{PublicKey: []byte{1}})
	_, public := p.RegisterHelloKey(ctx, &cloudapv1.RegisterHelloKeyRequest{AccessToken: "a"})
	_, wrapped := p.OpenResetSecret(ctx, &cloudapv1.OpenResetSecretRequest{AccessToken: "a", KeyId: "k"})
	for _, c := range []struct {
		err   error
		names string
	}{
		{hello(&cloudapv1.HelloCredential{UserId: user, Pin: "135790"}), "hello.tenant_id"},
		{hello(&cloudapv1.HelloCredential{TenantId: tenant, Pin: "135790"}), "hello.user_id"},
		{hello(&cloudapv1.HelloCredential{TenantId: tenant, UserId: user}), "hello.pin"},
		{page(nil), "state"}, {page(&cloudapv1.PageEnd{State: []byte("{}"), FinalUri: "x:y"}), "state"},
		{page(&cloudapv1.PageEnd{State: []byte(strings.Replace(string(state), tenant, "common", 1)), FinalUri: "x:y"}), "state"},
		{page(&cloudapv1.PageEnd{State: state}), "final_uri"}, {page(&cloudapv1.PageEnd{State: state, FinalUri: "x:\n"}), "final_uri"},
		{card(nil), "smart_card.chain"}, {card(&cloudapv1.SmartCardProof{Chain: [][]byte{{1}}}), "smart_card.signature"},
		{card(&cloudapv1.SmartCardProof{Chain: make([][]byte, 9), Signature: []byte{1}}), "smart_card.chain"},
		{begin(&cloudapv1.BeginPageRequest{}), "purpose"}, {begin(&cloudapv1.BeginPageRequest{Purpose: 99}), "purpose"},
		{begin(&cloudapv1.BeginPageRequest{Purpose: 1, LoginHint: "alice"}), "user_principal_name"},
		{begin(&cloudapv1.BeginPageRequest{Purpose: 1, Claims: strings.Repeat("x", 5000)}), "claims"},
		{begin(&cloudapv1.BeginPageRequest{Purpose: 1, Cached: &cloudapv1.CachedPRT{}}), "cached"},
		{access, "access_token"}, {public, "public_key"}, {wrapped, "wrapped_reset_secret"},
	} {
		if prterr.KindOf(c.err) != prterr.Invalid || !strings.Contains(c.err.Error(), c.names) {
			t.Errorf("%s: %v", c.names, c.err)
		}
	}
	// A page that was made for one thing does nothing else, and the end of another page
	// is refused before anybody is asked.
	for _, purpose := range []cloudapv1.PagePurpose{cloudapv1.PagePurpose_PAGE_PURPOSE_PROVISION_HELLO, cloudapv1.PagePurpose_PAGE_PURPOSE_RESET_PIN} {
		_, err := p.RedeemPage(ctx, &cloudapv1.RedeemPageRequest{Purpose: purpose, Page: &cloudapv1.PageEnd{State: state, FinalUri: "ms-appx-web://Microsoft.AAD.BrokerPlugin/DRS?code=c&state=s"}})
		if prterr.KindOf(err) != prterr.Denied {
			t.Errorf("%v: %v", purpose, err)
		}
	}
	if err := page(&cloudapv1.PageEnd{State: state, FinalUri: "ms-appx-web://Microsoft.AAD.BrokerPlugin/DRS?code=c&state=t"}); prterr.KindOf(err) != prterr.Denied {
		t.Errorf("another state: %v", err)
	}
}

func TestConfig(t *testing.T) {
	for name, cfg := range map[string]aadplugin.Config{
		"no idp":     {TPM: silent{t}, Dsreg: silent{t}, SignInURL: "https://login.test", CallTimeout: 1},
		"no timeout": {TPM: silent{t}, Dsreg: silent{t}, IdP: silent{t}, SignInURL: "https://login.test"},
		"no page":    {TPM: silent{t}, Dsreg: silent{t}, IdP: silent{t}, CallTimeout: 1},
		"plain page": {TPM: silent{t}, Dsreg: silent{t}, IdP: silent{t}, CallTimeout: 1, SignInURL: "http://login.test"},
	} {
		if _, err := aadplugin.New(cfg); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}
