package broker_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	wamv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/wam/v1"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/apptoken"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/broker"
)

const (
	tenant = "11111111-1111-4111-8111-111111111111"
	alice  = "22222222-2222-4222-8222-222222222222"
	app    = "44444444-4444-4444-8444-444444444444"
	graph  = "https://graph.microsoft.com"
)

// plugin answers what a test gives it: another provider's plug-in, or a bad one.
type plugin struct {
	wamv1.UnimplementedPluginServiceServer
	answer  *wamv1.GetTokenResponse
	account *wamv1.AddAccountResponse
}

func (p *plugin) AddAccount(context.Context, *wamv1.AddAccountRequest) (*wamv1.AddAccountResponse, error) {
	return p.account, nil
}

func (p *plugin) GetToken(context.Context, *wamv1.GetTokenRequest) (*wamv1.GetTokenResponse, error) {
	return p.answer, nil
}

func token(t *testing.T, aud, appid string) string {
	t.Helper()
	payload, err := json.Marshal(map[string]string{"aud": aud, "appid": appid, "tid": tenant, "oid": alice})
	if err != nil {
		t.Fatal(err)
	}
	s, err := jose.SignHS256(jose.Header{}, payload, secret.NewBytes(make([]byte, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// framework is a broker with a plug-in.
func framework(t *testing.T, p *plugin) *broker.Broker {
	t.Helper()
	conn, stop, err := rpc.Loopback(rpc.LoopbackConfig{
		Caller: "wam-broker", Server: "wam-broker", Allow: rpc.AllowList{
			wamv1.PluginService_GetToken_FullMethodName: {"wam-broker"}, wamv1.PluginService_AddAccount_FullMethodName: {"wam-broker"},
		},
	}, func(r grpc.ServiceRegistrar) { wamv1.RegisterPluginServiceServer(r, p) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	b, err := broker.New(broker.Config{Plugin: conn})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestREG08_ARegistrationOfNoDeviceIsNone(t *testing.T) {
	p := &plugin{}
	b := framework(t, p)
	for name, c := range map[string]struct {
		answer *wamv1.AddAccountResponse
		want   prterr.Kind
	}{
		"honest":       {&wamv1.AddAccountResponse{DeviceId: alice, TenantId: tenant}, ""},
		"no device":    {&wamv1.AddAccountResponse{TenantId: tenant}, prterr.Internal},
		"no tenant":    {&wamv1.AddAccountResponse{DeviceId: alice}, prterr.Internal},
		"empty answer": {&wamv1.AddAccountResponse{}, prterr.Internal},
	} {
		p.account = c.answer
		if d, registered, err := b.AddAccount(t.Context(), "session", "alice@contoso.test", "pw", true); prterr.KindOf(err) != c.want || registered != (err == nil) {
			t.Errorf("%s: got %v, %v, %v", name, d, registered, err)
		}
	}
}

func TestAPP09_TheFrameworkDoesNotBelieveItsPlugin(t *testing.T) {
	p := &plugin{}
	b := framework(t, p)
	for name, c := range map[string]struct {
		lie  func(*wamv1.GetTokenResponse)
		want prterr.Kind
	}{
		"honest":           {func(*wamv1.GetTokenResponse) {}, ""},
		"another audience": {func(a *wamv1.GetTokenResponse) { a.AccessToken = token(t, "https://evil.test", app) }, prterr.Denied},
		"another app":      {func(a *wamv1.GetTokenResponse) { a.AccessToken = token(t, graph, alice) }, prterr.Denied},
		"no token":         {func(a *wamv1.GetTokenResponse) { a.AccessToken = "" }, prterr.Denied},
		"another user":     {func(a *wamv1.GetTokenResponse) { a.UserId = app }, prterr.Denied},
		"no user":          {func(a *wamv1.GetTokenResponse) { a.UserId = "" }, prterr.Internal},
		"no tenant":        {func(a *wamv1.GetTokenResponse) { a.TenantId = "x" }, prterr.Internal},
		"no name":          {func(a *wamv1.GetTokenResponse) { a.UserPrincipalName = "alice" }, prterr.Internal},
		"ended":            {func(a *wamv1.GetTokenResponse) { a.ExpiresAt = timestamppb.New(time.Now().Add(-time.Second)) }, prterr.Internal},
		"no end":           {func(a *wamv1.GetTokenResponse) { a.ExpiresAt = nil }, prterr.Internal},
		"endless scope":    {func(a *wamv1.GetTokenResponse) { a.Scope = string(make([]byte, 9<<10)) }, prterr.Internal},
	} {
		p.answer = &wamv1.GetTokenResponse{
			AccessToken: token(t, graph, app), ExpiresAt: timestamppb.New(time.Now().Add(time.Hour)), Scope: "User.Read",
			UserPrincipalName: "alice@contoso.test", UserId: alice, TenantId: tenant,
		}
		c.lie(p.answer)
		_, err := b.RequestToken(t.Context(), apptoken.Fields{Session: "s", ClientID: app, Resource: graph})
		if prterr.KindOf(err) != c.want {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}
