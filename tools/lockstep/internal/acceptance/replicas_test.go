package acceptance_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
	"github.com/lockstep-sso/lockstep/services/idp/idptest"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/actor"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// reaper kills the replica that has a certain call of those that devices make.
type reaper struct {
	mu    sync.Mutex
	armed bool
	left  int
	done  bool
	calls []string
	dead  string
}

// at implements lab.AtReplica.
func (r *reaper) at(key, method string, done bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !strings.HasPrefix(method, "/prt.idp.v1.") {
		return false
	}
	if !done {
		r.calls = append(r.calls, method)
	}
	if !r.armed || done != r.done {
		return false
	}
	if r.left--; r.left >= 0 {
		return false
	}
	r.armed, r.dead = false, key
	return true
}

// arm has the replica die that has the call number n from now on, before it does
// anything or when it has done all but answer.
func (r *reaper) arm(n int, done bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.armed, r.left, r.done, r.calls, r.dead = n >= 0, n, done, nil, ""
}

func (r *reaper) saw() (calls []string, dead string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.calls), r.dead
}

// someone is a person at a device, step by step.
type someone struct {
	*world
	reaper  *reaper
	desktop actor.Desktop
}

// step is what a person or an app does and would do again after an error that says so.
type step struct {
	name string
	do   func(*someone) error
}

// first is of what needs a new device: it joins once, and its first sign-in is the one
// that needs the cloud.
func (s step) first() bool { return s.name == "join" || s.name == "sign-in" }

func (s *someone) steps() []step {
	return []step{
		{"join", func(s *someone) error {
			_, err := s.device.Operator.Join(s.t.Context(), s.tenant.User, s.tenant.Password, "DESKTOP")
			return err
		}},
		{"sign-in", func(s *someone) (err error) {
			s.desktop, _, err = s.device.LogonUI.SignIn(s.t.Context(), s.tenant.User, s.tenant.Password)
			return err
		}},
		{"token", func(s *someone) error {
			_, err := s.token(s.device, s.desktop)
			return err
		}},
		{"browse", func(s *someone) error {
			_, err := s.device.Browser.Open(s.t.Context(), s.desktop, s.tenant.Page, secret.Text{})
			return err
		}},
	}
}

// renew has the PRT fall due and waits until the device has a newer one, for which it may
// need the wait between two tries. Nobody asks it to.
func (s *someone) renew() {
	s.t.Helper()
	before, _ := s.prt(s.device)
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	by := 4*time.Hour + time.Minute
	for now := before; now == before; now, _ = s.prt(s.device) {
		if ctx.Err() != nil {
			s.t.Fatal("the device does not renew")
		}
		if err := s.lab.Advance(ctx, by); err != nil {
			s.t.Fatal(err)
		}
		by = 31 * time.Minute
		_ = s.device.Operator.AwaitSSOState(ctx, func(p *lsav1.PartitionState) bool { return p.GetPrtDigest() != before || p.GetLastError() != "" })
	}
	s.settle(s.device)
}

// again brings back who was killed.
func (s *someone) again(key string) {
	s.t.Helper()
	if key == "" {
		return
	}
	if err := s.lab.StartReplica(s.t.Context(), key); err != nil {
		s.t.Fatal(err)
	}
}

func newSomeone(t *testing.T, cfg lab.Config) *someone {
	t.Helper()
	r := &reaper{}
	cfg.TPM, cfg.Replicas, cfg.Database, cfg.AtReplica = "mem:", 3, idptest.Database(t), r.at
	return &someone{world: newWorld(t, cfg), reaper: r}
}

// TestDEP06_AReplicaDiesInAnyCallOfADevice: the real device side, three replicas behind
// one address. In every step, at every call that reaches the cloud, the replica that has
// the call dies: before it does anything, and when it has done all but answer. A person
// or an app sees one error at most, which says that the service cannot be reached, and
// the same again succeeds.
func TestDEP06_AReplicaDiesInAnyCallOfADevice(t *testing.T) {
	s := newSomeone(t, lab.Config{})
	for _, st := range s.steps() {
		if !st.first() { // the first time is another one: it also asks for what is kept
			if err := st.do(s); err != nil {
				t.Fatalf("%s, the first time: %v", st.name, err)
			}
			s.settle(s.device)
		}
		s.reaper.arm(-1, false)
		if err := st.do(s); err != nil {
			t.Fatalf("%s, nobody dies: %v", st.name, err)
		}
		calls, _ := s.reaper.saw()
		if len(calls) == 0 {
			t.Fatalf("%s asks nothing of the cloud", st.name)
		}
		errs := 0
		for n, method := range calls {
			for _, done := range []bool{false, true} {
				errs += s.survives(st, fmt.Sprintf("%s, call %d (%s), all done: %v", st.name, n, method, done), n, done)
			}
		}
		t.Logf("%s: %d calls, %d errors in %d deaths", st.name, len(calls), errs, 2*len(calls))
	}
}

// TestDEP06_AReplicaDiesInARenewal: so it is with a renewal, which the device does by
// itself, and tries again by itself: no person and no app sees an error.
func TestDEP06_AReplicaDiesInARenewal(t *testing.T) {
	s := newSomeone(t, lab.Config{})
	for _, st := range s.steps()[:3] {
		if err := st.do(s); err != nil {
			t.Fatalf("%s: %v", st.name, err)
		}
	}
	s.settle(s.device)
	s.reaper.arm(-1, false)
	s.renew()
	calls, _ := s.reaper.saw()
	if len(calls) < 2 {
		t.Fatalf("a renewal makes the calls %v", calls)
	}
	for n, method := range calls {
		for _, done := range []bool{false, true} {
			s.reaper.arm(n, done)
			s.renew()
			_, dead := s.reaper.saw()
			if dead == "" {
				t.Errorf("renewal, call %d (%s): nobody died", n, method)
			}
			if _, err := s.token(s.device, s.desktop); err != nil {
				t.Errorf("renewal, call %d (%s), all done: %v: an app got %v", n, method, done, err)
			}
			s.again(dead)
		}
	}
	t.Logf("renewal: %d calls, each with two deaths", len(calls))
}

// survives does a step in which a replica dies, and again if that failed, and says how
// many errors there were.
func (s *someone) survives(st step, when string, n int, done bool) (errs int) {
	s.t.Helper()
	if st.first() {
		s.reaper.arm(-1, false)
		s.device = s.addDevice()
		if st.name == "sign-in" {
			s.join(s.device)
		}
	}
	s.reaper.arm(n, done)
	err := st.do(s)
	_, dead := s.reaper.saw()
	if dead == "" {
		s.t.Errorf("%s: nobody died", when)
	}
	if err != nil {
		errs++
		if prterr.KindOf(err) != prterr.Unavailable {
			s.t.Errorf("%s: %v is no error after which to try again", when, err)
		}
		if err := st.do(s); err != nil {
			s.t.Errorf("%s: a second error: %v", when, err)
		}
	}
	s.again(dead)
	return errs
}

// TestDEP06_AReplicaDiesBetweenTheCallsOfADevice: one replica after the other dies while
// nobody calls, and the first connection after that still goes to the dead one. No person
// and no app sees an error, over either carrier, and the time of the lab reaches all,
// those that come back too.
func TestDEP06_AReplicaDiesBetweenTheCallsOfADevice(t *testing.T) {
	for name, https := range map[string]bool{"gRPC": false, "HTTPS": true} {
		t.Run(name, func(t *testing.T) {
			s := newSomeone(t, lab.Config{HTTPS: https})
			for _, st := range s.steps() {
				if err := st.do(s); err != nil {
					t.Fatalf("%s: %v", st.name, err)
				}
			}
			for _, key := range s.lab.ReplicaKeys() {
				if err := s.lab.KillReplica(key); err != nil {
					t.Fatal(err)
				}
				if err := s.lab.AwaitHangUp(t.Context()); err != nil {
					t.Fatal(err)
				}
				spared := https // a request may have gone to a connection whose end was not noticed yet
				for _, st := range s.steps()[2:] {
					err := st.do(s)
					if spared && prterr.KindOf(err) == prterr.Unavailable {
						spared, err = false, st.do(s)
					}
					if err != nil {
						t.Errorf("%s is dead, %s: %v", key, st.name, err)
					}
				}
				s.renew()
				s.again(key)
			}
			for _, key := range s.lab.ReplicaKeys() {
				at, err := s.lab.Skew(t.Context(), key, 0)
				if ahead := time.Until(at) - s.lab.Ahead(); err != nil || ahead.Abs() > time.Minute {
					t.Errorf("%s is %v beside the lab's time, %v", key, ahead, err)
				}
			}
			if s.lab.Ahead() < 12*time.Hour {
				t.Errorf("the lab is only %v ahead", s.lab.Ahead())
			}
		})
	}
}
