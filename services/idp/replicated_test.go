package idp_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
)

// life is the life of a device, step by step. Each step can be tried again.
type life struct {
	w *world
	d *device
	s *signIn
}

type lifeStep struct {
	name string
	do   func(testing.TB)
}

func (l *life) steps() []lifeStep {
	return []lifeStep{
		{"join", func(t testing.TB) { l.d = l.w.join(t, alice, alicePassword, 1, 2) }},
		{"first sign-in", func(t testing.TB) { l.s = l.d.first(t, alice, alicePassword) }},
		{"renewal", func(t testing.TB) { l.s, _ = l.s.renew(t, l.s.renewal(t)) }},
		{"app token", func(t testing.TB) { l.s.tokens(t, l.s.redemption(t, office, graph)) }},
		{"app token by refresh token", func(t testing.TB) {
			c := l.s.redemption(t, office, graph)
			c.RefreshToken = l.s.tokens(t, l.s.redemption(t, office, graph)).RefreshToken
			if _, err := l.w.redeemRT(l.s.sign(t, c)); err != nil {
				t.Fatal(err)
			}
		}},
		{"browser SSO", func(t testing.TB) {
			n := l.w.nonce(t)
			a := l.w.authorize(t, &idpv1.AuthorizeRequest{SsoNonce: n, Nonce: "n1", RefreshTokenCredential: l.s.sign(t, l.s.cookie(n))})
			if a.GetSignedIn() == nil {
				t.Fatal("not signed in")
			}
			if again := l.w.authorize(t, &idpv1.AuthorizeRequest{Nonce: "n2", SessionCookie: a.GetSignedIn().GetSessionCookie()}); again.GetSignInPage() != nil {
				t.Fatal("the session cookie was not taken")
			}
		}},
	}
}

// profiles in which replicas must agree: today remembers requests, strict nonces as well.
var replicaProfiles = map[string][]byte{"today": nil, "strict": withProfile("strict")}

// TestDEP06_EachCallAtAnotherReplica: the flows, each call of them at the replica after
// the one that had the call before.
func TestDEP06_EachCallAtAnotherReplica(t *testing.T) {
	for name, tenants := range replicaProfiles {
		t.Run(name, func(t *testing.T) {
			l := &life{w: newCluster(t, 3, idp.Config{Tenants: tenants}).spread(t)}
			for range 3 {
				for _, step := range l.steps() {
					step.do(t)
				}
			}
		})
	}
}

// TestDEP06_AReplicaIsKilledAtAnyCall: at every call of every step the replica that has
// it dies, once before it did anything and once when it had done all but answer. The
// device sees one error, that the service cannot be reached, and the step succeeds when
// it is tried again.
func TestDEP06_AReplicaIsKilledAtAnyCall(t *testing.T) {
	c := newCluster(t, 3, idp.Config{})
	// What there is to kill: the calls of each step, in order.
	calls := map[string][]string{}
	l := &life{w: c.device(t)}
	for _, step := range l.steps() {
		for _, r := range c.replicas {
			hook := func(method string, done bool) bool {
				if !done {
					calls[step.name] = append(calls[step.name], method)
				}
				return false
			}
			r.hook.Store(&hook)
		}
		step.do(t)
	}
	for _, r := range c.replicas {
		r.hook.Store(nil)
	}
	kills := 0
	for _, step := range l.steps() {
		for nth := range calls[step.name] {
			for _, done := range []bool{false, true} {
				kills++
				killedOnce(t, c, step, nth, done, calls[step.name][nth])
			}
		}
	}
	if kills < 20 {
		t.Errorf("only %d calls were there to be killed: %v", kills, calls)
	}
}

// killedOnce has the replica of the nth call of a step die.
func killedOnce(t *testing.T, c *cluster, step lifeStep, nth int, done bool, method string) {
	t.Helper()
	var seen atomic.Int32
	var killed atomic.Bool
	hook := func(_ string, over bool) bool {
		return over == done && int(seen.Add(1))-1 == nth && killed.CompareAndSwap(false, true)
	}
	for _, r := range c.replicas {
		r.hook.Store(&hook)
	}
	at := fmt.Sprintf("%s, killed at call %d, %s, answer ready %v", step.name, nth, method, done)
	errs := try(t, step.do)
	c.settle()
	if !killed.Load() {
		t.Fatalf("%s: nobody was killed", at)
	}
	if len(errs) != 1 || prterr.KindOf(errs[0]) != prterr.Unavailable {
		t.Errorf("%s: %v", at, errs)
	}
	if errs := try(t, step.do); len(errs) != 0 {
		t.Errorf("%s: and again %v", at, errs)
	}
	for _, r := range c.replicas {
		r.hook.Store(nil)
		if !r.runs() {
			if err := c.start(r); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestA05_T12_OneNonceAHundredTimesAtThreeReplicas: exactly one of a hundred requests
// with one nonce passes, each signed by itself, and exactly one of a hundred uses of one
// request where the profile is about those.
func TestA05_T12_OneNonceAHundredTimesAtThreeReplicas(t *testing.T) {
	for name, tenants := range replicaProfiles {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, 3, idp.Config{Tenants: tenants})
			s := c.at(t, 0).join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword)
			doors := []*world{c.at(t, 0), c.at(t, 1), c.at(t, 2)}
			claims := s.renewal(t)
			one := s.sign(t, claims)
			var passed atomic.Int32
			var wg sync.WaitGroup
			for i := range 100 {
				request := one
				if name == "strict" {
					request = s.sign(t, claims)
				}
				wg.Go(func() {
					_, err := doors[i%3].renewPRT(request)
					if err == nil {
						passed.Add(1)
						return
					}
					wantCode(t, err, aadsts.InvalidNonce)
				})
			}
			wg.Wait()
			if passed.Load() != 1 {
				t.Errorf("%d passed", passed.Load())
			}
		})
	}
}

// TestT12_WrongPasswordsCountOverReplicas: ten in a row, whoever counts them.
func TestT12_WrongPasswordsCountOverReplicas(t *testing.T) {
	c := newCluster(t, 3, idp.Config{})
	var doors []idpv1.GrantServiceClient
	for _, r := range c.replicas {
		doors = append(doors, idpv1.NewGrantServiceClient(c.dial(t, c.net, r.addr, "wam-broker")))
	}
	turn := 0
	token := func(password string) error {
		turn++
		_, err := doors[turn%3].RequestTokens(context.Background(), passwordOf(v2, bob, password))
		return err
	}
	locked := 0
	for range 14 {
		if err := token("wrong"); prterr.CodeOf(err) == aadsts.AccountLocked {
			locked++
		}
	}
	if locked != 4 {
		t.Errorf("%d of 14 wrong passwords found the name locked, want 4", locked)
	}
	wantCode(t, token(bobPassword), aadsts.AccountLocked)
}

// TestT12_WhatAnOperatorChangesAtOneReplicaHoldsAtTheOthers with the very next call.
func TestT12_WhatAnOperatorChangesAtOneReplicaHoldsAtTheOthers(t *testing.T) {
	c := newCluster(t, 3, idp.Config{})
	a, b := c.at(t, 0), c.at(t, 1)
	ctx := context.Background()
	s := a.join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword).in(b)
	if err := s.use(t); err != nil { // user and device are in b's memory now
		t.Fatal(err)
	}
	for round := range 3 {
		setUser(t, a, alice, false)
		wantCode(t, s.use(t), aadsts.UserDisabled)
		setUser(t, a, alice, true)
		setDevice(t, a, s.d.id, false)
		wantCode(t, s.use(t), aadsts.DeviceDisabled)
		setDevice(t, a, s.d.id, true)
		put, err := a.admin.PutPolicy(ctx, &directoryv1.PutPolicyRequest{TenantId: contoso, Policy: &directoryv1.Policy{
			Name: "Nobody", IncludeUsers: []string{"All"}, IncludeResources: []string{"All"}, Grant: "block", State: "enabled",
		}})
		if err != nil {
			t.Fatal(err)
		}
		request := s.sign(t, s.redemption(t, office, graph))
		if _, err := b.redeemPRT(request); prterr.CodeOf(err) != aadsts.BlockedByPolicy {
			t.Errorf("round %d: a policy of the other replica does not hold: %v", round, err)
		}
		done[*directoryv1.DeletePolicyResponse](t)(b.admin.DeletePolicy(ctx, &directoryv1.DeletePolicyRequest{TenantId: contoso, PolicyId: put.GetPolicyId()}))
		if err := s.use(t); err != nil {
			t.Errorf("round %d: %v", round, err)
		}
		if err := s.in(a).use(t); err != nil {
			t.Errorf("round %d: at the first: %v", round, err)
		}
	}
	done[*directoryv1.RevokeSessionsResponse](t)(a.admin.RevokeSessions(ctx, &directoryv1.RevokeSessionsRequest{UserPrincipalName: alice}))
	wantCode(t, s.use(t), aadsts.FreshTokenNeeded)
}

// TestT12_KeysRotateOverReplicas: what one replica seals under a key that it drew just
// now the others open, and all publish the same keys.
func TestT12_KeysRotateOverReplicas(t *testing.T) {
	c := newCluster(t, 3, idp.Config{})
	doors := []*world{c.at(t, 0), c.at(t, 1), c.at(t, 2)}
	d := doors[0].join(t, alice, alicePassword, 1, 2)
	first := d.first(t, alice, alicePassword)
	for round := range 4 {
		w := doors[round%3]
		done[*directoryv1.RotateKeysResponse](t)(w.admin.RotateKeys(context.Background(), &directoryv1.RotateKeysRequest{}))
		s := first.in(w).d.first(t, alice, alicePassword)
		nonce := w.nonce(t)
		for i, other := range doors {
			own := s.in(other)
			claims := own.renewal(t)
			claims.RequestNonce = nonce
			if _, err := other.renewPRT(own.sign(t, claims)); err != nil {
				t.Errorf("round %d, replica %d: %v", round, i, err)
			}
		}
	}
	for _, w := range doors { // the fourth rotation ends what was sealed before the second
		wantCode(t, first.in(w).use(t), aadsts.InvalidGrant)
	}
	// Many at once are as many rotations, and nobody is left behind.
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			if _, err := doors[i%3].admin.RotateKeys(context.Background(), &directoryv1.RotateKeysRequest{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s := first.in(doors[0]).d.first(t, alice, alicePassword)
	for i, w := range doors {
		if err := s.in(w).use(t); err != nil {
			t.Errorf("replica %d: %v", i, err)
		}
	}
}

// nemesisSeeds are histories that are played; a failure names its own.
var nemesisSeeds = []uint64{1, 2, 3}

// TestDEP06_T12_Nemesis: devices renew, and an operator reads and revokes, while replicas
// are killed and started again, drawn by a seed. Every error is that the service cannot be
// reached, and the next try is good; a request that was taken once is never taken again;
// in the middle somebody's sessions are revoked, and that is one moment for everybody.
func TestDEP06_T12_Nemesis(t *testing.T) {
	for _, seed := range nemesisSeeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { nemesis(t, seed) })
	}
}

func nemesis(t *testing.T, seed uint64) {
	const clients, rounds = 4, 25
	c := newCluster(t, 3, idp.Config{})
	w := c.device(t)
	s := w.join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword)
	var ticks, operations atomic.Int64
	var chaos sync.Mutex
	rng := rand.New(rand.NewPCG(seed, 0))
	strike := func() { // at every seventh operation somebody dies, and whoever is dead comes back
		if operations.Add(1)%7 != 0 || !chaos.TryLock() {
			return
		}
		defer chaos.Unlock()
		victim := c.replicas[rng.IntN(len(c.replicas))]
		for _, r := range c.replicas {
			if !r.runs() {
				if err := c.start(r); err != nil {
					t.Error(err)
				}
			}
		}
		victim.kill()
	}
	history := make([][]renewed, clients)
	var begun, ended int64
	var retries atomic.Int64
	revoked := make(chan struct{})
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			own := c.device(t)
			for range rounds {
				if operations.Load() >= clients*rounds*3/4 {
					<-revoked // so that there is something after it, however slow the operator is
				}
				strike()
				r := persistent(t, own, s, &ticks, &retries)
				history[i] = append(history[i], r)
			}
		})
	}
	wg.Go(func() {
		defer close(revoked)
		operator := c.device(t)
		for operations.Load() < clients*rounds/2 {
			if err := again(func() error {
				_, err := operator.read.ListTenants(context.Background(), &directoryv1.ListTenantsRequest{})
				return err
			}, &retries); err != nil {
				t.Error(err)
			}
		}
		begun = ticks.Add(1)
		if err := again(func() error {
			_, err := operator.admin.RevokeSessions(context.Background(), &directoryv1.RevokeSessionsRequest{UserPrincipalName: alice})
			return err
		}, &retries); err != nil {
			t.Error(err)
		}
		ended = ticks.Add(1)
	})
	wg.Wait()
	var all []renewed
	for _, h := range history {
		all = append(all, h...)
	}
	linearizable(t, all, begun, ended)
	t.Logf("seed %d: %d renewals, %d tries more", seed, len(all), retries.Load())
}

// persistent renews as a device does, which tries again when the service is not there,
// and then sees that the request that was taken is not taken once more.
func persistent(t *testing.T, w *world, s *signIn, ticks, retries *atomic.Int64) renewed {
	var r renewed
	r.asked = ticks.Add(1)
	var request string
	r.err = again(func() error {
		nonce, err := w.nonces.IssueNonce(context.Background(), &idpv1.IssueNonceRequest{})
		if err != nil {
			return err
		}
		own := s.in(w)
		claims := own.renewalWith(nonce.GetNonce())
		request = own.sign(t, claims)
		_, err = w.renewPRT(request)
		return err
	}, retries)
	r.answered = ticks.Add(1)
	if r.err == nil {
		err := again(func() error { _, err := w.renewPRT(request); return err }, retries)
		if prterr.CodeOf(err) != aadsts.InvalidNonce && prterr.CodeOf(err) != aadsts.FreshTokenNeeded {
			t.Errorf("a request that was taken is taken again: %v", err)
		}
	}
	return r
}

// maxTries bounds how often something is tried: two of three replicas may die in the
// way of one call, but not for ever.
const maxTries = 6

func again(f func() error, retries *atomic.Int64) error {
	var all []error
	for range maxTries {
		err := f()
		if prterr.KindOf(err) != prterr.Unavailable {
			return err
		}
		retries.Add(1)
		all = append(all, err)
	}
	return errors.Join(all...)
}
