package idp_test

import (
	"context"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
)

// twoDoors are two identity providers with doors of their own on one store: records and
// keys are the same, memories are not. A nonce is good at the door that gave it. They
// speak HTTPS.
func twoDoors(t *testing.T) [2]*world {
	t.Helper()
	cfg := idp.Config{StateDir: filepath.Join(t.TempDir(), "state")}
	var doors [2]*world
	for i := range doors {
		doors[i] = worldWithItsKeys(t, cfg)
		overWire(t, doors[i])
		if i == 0 {
			doors[i].join(t, bob, bobPassword, 4, 5) // the keys are drawn, and kept, before the other begins
		}
	}
	return doors
}

// renewed is one renewal in a history: when it was asked for and answered, on one
// counter for everybody, and how it ended.
type renewed struct {
	asked, answered int64
	next            *signIn
	err             error
}

// renewAt renews at a door. It calls nothing of the test that ends it, so that it may
// run beside others.
func renewAt(t testing.TB, w *world, s *signIn, ticks *atomic.Int64) renewed {
	own := s.in(w)
	request := own.sign(t, own.renewal(t))
	r := renewed{asked: ticks.Add(1)}
	text, err := w.renewPRT(request)
	r.answered, r.err = ticks.Add(1), err
	if err != nil {
		return r
	}
	var answer entrawire.PRTAnswer
	own.decrypt(t, text, &answer)
	r.next = &signIn{d: own.d, prt: answer.RefreshToken.Reveal(), key: own.key}
	return r
}

// TestREN21_RenewalsAtTwoDoorsOfOneStore: renewals of one PRT at once, at both doors, all succeed;
// whichever answer the device keeps is a PRT with the session key that it has, at either
// door. In the middle somebody revokes the sessions at one of the doors, and the history
// is that of one identity provider: there is a moment before which everything succeeds
// and after which nothing does, and it lies within the call that revoked.
func TestREN21_RenewalsAtTwoDoorsOfOneStore(t *testing.T) {
	doors := twoDoors(t)
	s := doors[0].join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword)
	var ticks atomic.Int64
	race := func(rounds int, alongside func()) []renewed {
		const clients = 6
		history := make([][]renewed, clients)
		var wg sync.WaitGroup
		for i := range clients {
			wg.Go(func() {
				last := s
				for range rounds {
					r := renewAt(t, doors[i%2], last, &ticks)
					if history[i] = append(history[i], r); r.err == nil {
						last = r.next
					}
				}
			})
		}
		if alongside != nil {
			wg.Go(alongside)
		}
		wg.Wait()
		var all []renewed
		for _, h := range history {
			all = append(all, h...)
		}
		return all
	}

	seen := map[string]bool{s.prt: true}
	for _, r := range race(4, nil) {
		if r.err != nil {
			t.Fatal(r.err)
		}
		if seen[r.next.prt] {
			t.Error("two renewals gave one PRT")
		}
		seen[r.next.prt] = true
		for _, w := range doors {
			if err := r.next.in(w).use(t); err != nil {
				t.Errorf("a PRT of the race: %v", err)
			}
		}
	}

	var begun, ended int64
	all := race(12, func() {
		for ticks.Load() < 24*2+40 { // until some renewals are over
			runtime.Gosched()
		}
		begun = ticks.Add(1)
		_, err := doors[1].admin.RevokeSessions(context.Background(), &directoryv1.RevokeSessionsRequest{UserPrincipalName: alice})
		ended = ticks.Add(1)
		if err != nil {
			t.Error(err)
		}
	})
	linearizable(t, all, begun, ended)

	again := s.in(doors[0]).d.first(t, alice, alicePassword)
	for _, w := range doors {
		if err := again.in(w).use(t); err != nil {
			t.Errorf("a sign-in after it: %v", err)
		}
	}
}

// linearizable fails unless the history could be one of a single identity provider whose
// sessions were revoked at one moment of the call that began and ended then.
func linearizable(t *testing.T, all []renewed, begun, ended int64) {
	t.Helper()
	var before, after int
	for _, r := range all {
		refused := r.err != nil
		if refused && prterr.CodeOf(r.err) != aadsts.FreshTokenNeeded {
			t.Fatal(r.err)
		}
		switch {
		case refused && r.answered < begun:
			t.Error("a renewal was refused before anything was revoked")
		case !refused && r.asked > ended:
			t.Error("a renewal that was asked for afterwards succeeded")
		case refused:
			after++
		default:
			before++
		}
		for _, other := range all {
			if refused && other.err == nil && other.asked > r.answered {
				t.Error("a renewal succeeded after one had been refused")
			}
		}
	}
	if before == 0 || after == 0 {
		t.Errorf("%d renewals before and %d after: the history says nothing", before, after)
	}
}
