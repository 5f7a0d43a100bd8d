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
