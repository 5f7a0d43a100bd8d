package faults_test

import (
	"context"
	"slices"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/pageagent"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/actor"
)

// atTheWindow is the flow of an app that lets the broker ask: its faults are those after
// which the silent way has no PRT, or none that is taken.
func atTheWindow() flow {
	const sign = "SignTokenRequest"
	return flow{
		name: "app token with a window", what: "an app asks the broker, which may open its sign-in window; somebody sits there who knows her password", joiner: "alice",
		breaks: []vital{
			{component: "lsa-cloudap", method: "TokenAuthorityService/" + sign, field: "request"},
			{component: "tpm-agent", method: "PRTKeyService/" + sign, field: "request"},
			{component: "idp", method: "TokenService/*", of: "NonceService/IssueNonce", field: "nonce"},
		},
		kinds: slices.Concat(
			named("nothing", "unavailable"),
			[]kind{
				// An app's refresh token and the PRT are tried in turn, and both are signed for.
				{"key lost", func(v vital) string { return v.onDevice("(answer keys_lost " + v.call() + " (first 2))") }, byItself},
				{"key lost for good", func(v vital) string { return v.onDevice("(answer keys_lost " + v.call() + ")") }, byItself},
				{"PRT refused", func(v vital) string { return v.inCloud("(answer 50173 " + v.call() + " (first 2))") }, byItself},
				{"PRT refused always", func(v vital) string { return v.inCloud("(answer 50173 " + v.call() + ")") }, byItself},
			},
			named("execute, time out", "corrupt field", "other device"),
		),
		ready: signedIn, act: windowToken, after: silentlyOrNot,
	}
}

// named are those of the kinds of every table.
func named(names ...string) (some []kind) {
	for _, k := range kinds() {
		if slices.Contains(names, k.name) {
			some = append(some, k)
		}
	}
	return some
}

// onDevice and inCloud leave out a rule that makes sense only there.
func (v vital) onDevice(rule string) string {
	if v.component == "idp" {
		return ""
	}
	return rule
}

func (v vital) inCloud(rule string) string {
	if v.component != "idp" {
		return ""
	}
	return rule
}

// silentlyOrNot has an app ask silently, and at the window when that is not enough.
func silentlyOrNot(ctx context.Context, s *scene) string {
	text := appToken(ctx, s)
	if text == "token" {
		return text
	}
	return text + ", then " + windowToken(ctx, s)
}

// windowToken has an app ask with the broker's window open, and says what was asked there.
func windowToken(ctx context.Context, s *scene) string {
	pages, err := s.lab.Person(ctx, s.who.UPN, s.who.Password)
	if err != nil {
		return err.Error()
	}
	pages.Person.Prefer = []string{pageagent.Password}
	window := s.device.Window
	window.Pages = pages
	open, closeIt := context.WithCancel(ctx)
	defer closeIt()
	ledger := make(chan []string, 1)
	go func() {
		prompts, _ := window.Serve(open, s.desktop) // what went wrong there reaches the app
		ledger <- prompts
	}()
	resp, _, err := s.device.App(s.tenant.App).Ask(ctx, s.desktop, actor.Wish{Resource: s.tenant.Resource, Fresh: true, Interactive: true})
	closeIt()
	asked := ""
	if prompts := <-ledger; len(prompts) > 0 {
		asked = "asked for " + strings.Join(prompts, ", ") + ", "
	}
	switch {
	case err != nil:
		return asked + "no token: " + said(err)
	case resp.GetUserPrincipalName() != s.who.UPN:
		return "A TOKEN OF " + resp.GetUserPrincipalName()
	default:
		return asked + s.shown(ctx, resp.GetAccessToken())
	}
}
