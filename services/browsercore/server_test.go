package browsercore_test

import (
	"encoding/json"
	"strings"
	"testing"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	browserv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/browser/v1"
	"github.com/lockstep-sso/lockstep/services/browsercore"
)

// served is the door as a caller sees it, and the authority behind it.
func served(t *testing.T, caller string) (browserv1.NativeHostServiceClient, *authority) {
	t.Helper()
	a := &authority{answer: &authorityv1.CreatePRTCookieResponse{Name: "x-ms-RefreshTokenCredential", Value: "cookie-value"}}
	behind, stop, err := rpc.Loopback(rpc.LoopbackConfig{
		Caller: "browsercore", Server: "lsa-cloudap",
		Allow: rpc.AllowList{authorityv1.CookieAuthorityService_CreatePRTCookie_FullMethodName: {"browsercore"}},
	}, func(r grpc.ServiceRegistrar) { authorityv1.RegisterCookieAuthorityServiceServer(r, a) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	s, err := browsercore.NewServer(browsercore.Config{Authority: behind})
	if err != nil {
		t.Fatal(err)
	}
	conn, stop, err := rpc.Loopback(rpc.LoopbackConfig{Caller: caller, Server: "browsercore", Allow: browsercore.Allow()}, s.Register)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return browserv1.NewNativeHostServiceClient(conn), a
}

// TestBRO18_OverTheNetworkTheAnswerIsTheSame: the door answers each message as the program
// does, a refused page included.
func TestBRO18_OverTheNetworkTheAnswerIsTheSame(t *testing.T) {
	c, a := served(t, "browser")
	for _, msg := range []string{ask(page, sender), ask("https://evil.test/", sender), "{", `{"method":"Other"}`, strings.Repeat("[", 1000)} {
		r, err := c.ExchangeMessage(t.Context(), &browserv1.ExchangeMessageRequest{Message: []byte(msg), LogonSession: "session"})
		if err != nil {
			t.Fatal(err)
		}
		h, _ := host(t, "session")
		same, err := talk(t, h, frame(msg))
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(r.GetMessage(), &got); err != nil {
			t.Fatal(err)
		}
		want, _ := json.Marshal(same[0])
		if have, _ := json.Marshal(got); string(have) != string(want) {
			t.Errorf("%.40q: %s, the program answers %s", msg, have, want)
		}
	}
	if n := a.asked.Load(); n != 1 {
		t.Errorf("the authority was asked %d times, want once", n)
	}
}

func TestTheDoorIsForTheBrowserAndBounded(t *testing.T) {
	for _, other := range []string{"app", "logonui", "wam-broker", "operator", "window"} {
		c, a := served(t, other)
		_, err := c.ExchangeMessage(t.Context(), &browserv1.ExchangeMessageRequest{Message: []byte(ask(page, sender)), LogonSession: "session"})
		if prterr.KindOf(err) != prterr.Denied || a.asked.Load() != 0 {
			t.Errorf("%s: %v", other, err)
		}
	}
	c, a := served(t, "browser")
	for name, r := range map[string]*browserv1.ExchangeMessageRequest{
		"no session":     {Message: []byte(ask(page, sender))},
		"a long session": {Message: []byte(ask(page, sender)), LogonSession: strings.Repeat("s", 4097)},
		"a long message": {Message: []byte(strings.Repeat(" ", 64<<10+1)), LogonSession: "session"},
	} {
		if _, err := c.ExchangeMessage(t.Context(), r); prterr.KindOf(err) != prterr.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A session that the authority does not know gets an empty list, as on one machine.
	r, err := c.ExchangeMessage(t.Context(), &browserv1.ExchangeMessageRequest{Message: []byte(ask(page, sender)), LogonSession: "guessed"})
	if err != nil || string(r.GetMessage()) != `{"response":[]}` {
		t.Errorf("%s, %v", r.GetMessage(), err)
	}
	if n := a.asked.Load(); n != 1 {
		t.Errorf("the authority was asked %d times", n)
	}
	if _, err := browsercore.NewServer(browsercore.Config{Authority: rpcNowhere{}, LogonSession: secret.NewText("x")}); err == nil {
		t.Error("a door of one session was made")
	}
	if _, err := browsercore.NewServer(browsercore.Config{}); err == nil {
		t.Error("a door without an authority was made")
	}
}

// rpcNowhere is a connection that nothing is sent over.
type rpcNowhere struct{ grpc.ClientConnInterface }
