package idp_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/lockout"
)

// pages are the pages of one replica.
func (c *cluster) pages(t testing.TB, n int) *pages {
	t.Helper()
	w := c.at(t, n)
	w.svc = c.replicas[n].svc
	conn, stop, err := rpc.Loopback(rpc.LoopbackConfig{Caller: "idp", Server: "idp", Allow: idp.FrontAllow()}, w.svc.RegisterFront)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return &pages{
		world: w, visits: idpv1.NewSessionServiceClient(conn), forms: idpv1.NewSignInServiceClient(conn), grants: idpv1.NewGrantServiceClient(conn),
		person: directoryv1.NewPersonServiceClient(c.dial(t, c.net, c.replicas[n].addr, "operator")),
	}
}

// atOnce makes n uses in one moment, each at the replica after the one before, and says
// how many were good.
func atOnce(n int, doors []*pages, use func(p *pages) bool) int {
	var good atomic.Int32
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-begin
			if use(doors[i%len(doors)]) {
				good.Add(1)
			}
		})
	}
	close(begin)
	wg.Wait()
	return int(good.Load())
}

// TestA05_T12_WhatIsGoodOnceIsGoodOnceOverReplicas: authorization codes, assertions of a
// federation provider (in each of the ways in that take one), one-time codes, passes for
// one sign-in and the end of a sign-in of several pages, used in one moment at three
// replicas, are each good once.
func TestA05_T12_WhatIsGoodOnceIsGoodOnceOverReplicas(t *testing.T) {
	c := newCluster(t, 3, idp.Config{Tenants: federated(t), Persons: true})
	doors := []*pages{c.pages(t, 0), c.pages(t, 1), c.pages(t, 2)}
	p, ctx := doors[0], context.Background()
	signedIn := func(a *idpv1.NextAction, err error) bool { return err == nil && a.GetSignedIn() != nil }

	for round := range 3 {
		_, s := p.typed(t, &idpv1.AuthorizeRequest{Tenant: "common", ClientId: cli, RedirectUri: localhost, Scope: offlineGraph}, bob, bobPassword)
		if got := atOnce(30, doors, func(p *pages) bool {
			_, err := p.grants.RequestTokens(ctx, redemptionOf(v2, cli, s.GetCode()))
			if err != nil && prterr.CodeOf(err) != aadsts.CodeRedeemed {
				t.Errorf("code: %v", err)
			}
			return err == nil
		}); got != 1 {
			t.Errorf("an authorization code was good %d times", got)
		}

		xml := carolsAssertion(t, fmt.Sprintf("_race%d", round), false)
		wctx := passive(t, p.visit(t, &idpv1.AuthorizeRequest{LoginHint: carol}).GetElsewhere().GetUrl())
		n := new(atomic.Int32)
		if got := atOnce(30, doors, func(p *pages) bool {
			if n.Add(1)%2 == 0 { // the same one at the token endpoint
				_, err := p.grants.RequestTokens(ctx, &idpv1.RequestTokensRequest{
					Tenant: fabrikam, Protocol: v1, ClientId: cli, Resource: graph,
					Grant: &idpv1.RequestTokensRequest_Assertion{Assertion: &idpv1.AssertionGrant{SamlAssertion: xml, Version: "1.1"}},
				})
				return err == nil
			}
			a, err := p.forms.SubmitAssertion(ctx, &idpv1.SubmitAssertionRequest{SamlAssertion: xml, Context: wctx})
			return signedIn(a.GetNext(), err)
		}); got != 1 {
			t.Errorf("an assertion was good %d times", got)
		}

		pass, _ := p.pass(t, alice, 0, true)
		page := p.page(t, &idpv1.AuthorizeRequest{}, signInPage, 0)
		if got := atOnce(lockout.Limit-1, doors, func(p *pages) bool {
			a, err := p.forms.SubmitAccessPass(ctx, &idpv1.SubmitAccessPassRequest{
				FlowToken: page.GetFlowToken(), Canary: page.GetCanary(), UserPrincipalName: alice, AccessPass: pass,
			})
			return signedIn(a.GetNext(), err)
		}); got != 1 {
			t.Errorf("a pass for one sign-in was good %d times", got)
		}
	}

	factor := p.factor(t, &idpv1.AuthorizeRequest{})
	b, code := p.begin(t, factor, otp), p.shown(t)
	var last atomic.Pointer[idpv1.CheckMethodResponse]
	if got := atOnce(lockout.Limit-1, doors, func(p *pages) bool {
		r, err := p.forms.CheckMethod(ctx, &idpv1.CheckMethodRequest{FlowToken: b.GetFlowToken(), MethodId: otp, SessionId: b.GetSessionId(), OneTimeCode: code})
		if err == nil && r.GetSuccess() {
			last.Store(r)
		}
		return err == nil && r.GetSuccess()
	}); got != 1 {
		t.Errorf("a one-time code was good %d times", got)
	}
	if got := atOnce(30, doors, func(p *pages) bool {
		a, err := p.forms.CompleteMethod(ctx, &idpv1.CompleteMethodRequest{FlowToken: last.Load().GetFlowToken(), Canary: factor.GetCanary()})
		return signedIn(a.GetNext(), err)
	}); got != 1 {
		t.Errorf("a sign-in ended %d times", got)
	}
}
