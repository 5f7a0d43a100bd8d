package lsacloudap_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/wincode"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	eventv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/event/v1"
	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
	lsacloudap "github.com/lockstep-sso/lockstep/services/lsa-cloudap"
)

// events are those of the component since after, and the number of the last.
func (m *machine) events(after uint64) ([]*eventv1.Event, uint64) {
	m.w.t.Helper()
	conn := m.w.dial(rpc.LoopbackConfig{Caller: "operator", Server: "lsa-cloudap", Allow: lsacloudap.Allow(), TracerProvider: m.w.tp}, m.svc.Register)
	resp, err := eventv1.NewEventServiceClient(conn).ListEvents(m.w.t.Context(), &eventv1.ListEventsRequest{After: after})
	if err != nil {
		m.w.t.Fatal(err)
	}
	if n := len(resp.GetEvents()); n > 0 {
		after = resp.GetEvents()[n-1].GetNumber()
	}
	return resp.GetEvents(), after
}

func idsOf(events []*eventv1.Event) (found []uint32) {
	for _, e := range events {
		found = append(found, e.GetId())
	}
	return found
}

// Each way an acquisition can end: with which events, and with which attempt.
func TestOBS03_AFailedAttemptIsWhatFailed(t *testing.T) {
	for name, c := range map[string]struct {
		damage func(*world)
		status wincode.Code
		events []uint32
		want   *authorityv1.Attempt
	}{
		"wrong password": {
			func(w *world) {
				w.idp.faults.set(func(f *faults) {
					f.on = map[string]error{"idp:RequestPRT": prterr.ToStatus(prterr.AADSTS(aadsts.InvalidCredentials, ""))}
				})
			},
			wincode.LogonFailure, []uint32{1006, 1144, 1022, 1022, 1022, 1081, 1007},
			&authorityv1.Attempt{Aadsts: 50126, ServerErrorCode: "invalid_grant", Step: "FIRST_SIGN_IN_D", EndpointUri: "grpc://idp/prt.idp.v1.IssuanceService/RequestPRT", Kind: "unauthenticated"},
		},
		"disabled": {
			func(w *world) {
				w.idp.faults.set(func(f *faults) {
					f.on = map[string]error{"idp:RequestPRT": prterr.ToStatus(prterr.AADSTS(aadsts.UserDisabled, ""))}
				})
			},
			wincode.AccountDisabled, []uint32{1006, 1144, 1022, 1022, 1022, 1081, 1007},
			&authorityv1.Attempt{Aadsts: 50057, ServerErrorCode: "invalid_grant", Step: "FIRST_SIGN_IN_D", EndpointUri: "grpc://idp/prt.idp.v1.IssuanceService/RequestPRT", Kind: "denied"},
		},
		"no answer": {
			func(w *world) {
				w.idp.faults.set(func(f *faults) { f.stall = []string{"idp:DiscoverRealm"} })
			},
			wincode.UnexpectedNetworkError, []uint32{1006, 1144, 1022, 1084, 1007},
			&authorityv1.Attempt{HttpError: 0x80072ee2, Step: "FIRST_SIGN_IN_B", EndpointUri: "grpc://idp/prt.idp.v1.RealmService/DiscoverRealm", Kind: "deadline"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.damage(w)
			lab := clock.NewLab()
			m := w.start(func(cfg *lsacloudap.Config) { cfg.CallTimeout, cfg.Clock = 100*time.Millisecond, lab })
			if _, err := m.try(alice, password); err == nil {
				t.Fatal("signed in")
			}
			s, err := m.state.GetSSOState(t.Context(), nil)
			if err != nil || len(s.GetAttempts()) != 1 {
				t.Fatalf("attempts %v, %v", s.GetAttempts(), err)
			}
			a := s.GetAttempts()[0]
			if wincode.Code(a.GetStatus()) != c.status || a.GetUserIdentity() != alice || a.GetCredentialType() != "Password" || lab.Now().Sub(a.GetTime().AsTime()).Abs() > time.Minute {
				t.Errorf("attempt %v", a)
			}
			got := &authorityv1.Attempt{
				Aadsts: a.GetAadsts(), ServerErrorCode: a.GetServerErrorCode(), Step: a.GetStep(), EndpointUri: a.GetEndpointUri(), HttpError: a.GetHttpError(), Kind: a.GetKind(),
			}
			if fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("attempt\n %v, want\n %v", got, c.want)
			}
			events, _ := m.events(0)
			if got := idsOf(events); !slices.Equal(got, c.events) {
				t.Errorf("events %v, want %v", got, c.events)
			}
			last := events[len(events)-1]
			if wincode.Code(last.GetStatus()) != c.status || last.GetCorrelationId() == "" || last.GetCorrelationId() != a.GetCorrelationId() {
				t.Errorf("event 1007 %v beside attempt %v", last, a)
			}
		})
	}
}

// 1006 and 1007 stand round every acquisition and every renewal, whatever comes of it;
// what is between has the same correlation id.
func TestOBS02_EveryFlowIsBracketed(t *testing.T) {
	w := newWorld(t)
	lab := clock.NewLab()
	m := w.start(func(cfg *lsacloudap.Config) { cfg.Clock = lab })
	m.signIn(alice)
	events, after := m.events(0)
	bracketed(t, events, 0)

	lab.Advance(5 * time.Hour)
	m.awaitRenewed(t, lab)
	events, after = m.events(after)
	bracketed(t, events, 0)

	w.idp.faults.set(func(f *faults) {
		f.on = map[string]error{"idp:RenewPRT": prterr.ToStatus(prterr.AADSTS(aadsts.DeviceDisabled, ""))}
	})
	lab.Advance(5 * time.Hour)
	m.await(t, func(p *lsav1.PartitionState) bool { return p.GetLastRefresh() != nil && !p.GetRenewalRunning() })
	events, _ = m.events(after)
	bracketed(t, events, wincode.RequestNotAccepted)
	if !slices.Contains(idsOf(events), 1081) {
		t.Errorf("events %v", idsOf(events))
	}
	p := m.only()
	if a := p.GetLastRefresh(); a.GetAadsts() != 135011 || a.GetStep() != "RENEWAL_E" || p.GetLastAcquire() != nil {
		t.Errorf("attempts %v and %v", p.GetLastAcquire(), a)
	}
}

func bracketed(t *testing.T, events []*eventv1.Event, end wincode.Code) {
	t.Helper()
	n := len(events)
	if n < 4 || events[0].GetId() != 1006 || events[n-1].GetId() != 1007 || wincode.Code(events[n-1].GetStatus()) != end {
		t.Fatalf("events %v", events)
	}
	for _, e := range events {
		if e.GetCorrelationId() == "" || e.GetCorrelationId() != events[0].GetCorrelationId() {
			t.Errorf("event %v is of another trace", e)
		}
	}
}

func (m *machine) awaitRenewed(t *testing.T, lab *clock.Lab) {
	t.Helper()
	m.await(t, func(p *lsav1.PartitionState) bool {
		return !p.GetRenewalRunning() && lab.Now().Sub(p.GetPrtUpdateTime().AsTime()) < time.Hour
	})
}

func (m *machine) await(t *testing.T, wanted func(*lsav1.PartitionState) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for !wanted(m.only()) {
		select {
		case <-ctx.Done():
			t.Fatalf("state stays %v", m.only())
		case <-time.After(time.Millisecond):
		}
	}
}

// Who makes up user names at the lock screen fills no memory, and does not push out
// what is known of a user of this device.
func TestAttemptsAreBounded(t *testing.T) {
	w := newWorld(t)
	m := w.start()
	for i := range 70 {
		if _, err := m.try(fmt.Sprintf("nobody%d@contoso.test", i), "wrong"); err == nil {
			t.Fatal("signed in")
		}
	}
	s, err := m.state.GetSSOState(t.Context(), nil)
	if err != nil || len(s.GetAttempts()) != 64 {
		t.Errorf("%d attempts, %v", len(s.GetAttempts()), err)
	}
}

// What happened before a restart, or before the process was killed, is shown after it: the
// failed attempt of a user without a PRT, that of a renewal, and the events. A success
// takes the failure away for good.
func TestOBS03_OBS02_ARestartForgetsNoFailure(t *testing.T) {
	for name, stop := range map[string]func(*machine){
		"restart": (*machine).stop,
		"killed":  func(*machine) {}, // nothing is closed before the next run
	} {
		t.Run(name, func(t *testing.T) {
			w, lab := newWorld(t), clock.NewLab()
			start := func() *machine { return w.start(func(cfg *lsacloudap.Config) { cfg.Clock = lab }) }
			m := start()
			if _, err := m.try("bob@contoso.test", "wrong"); err == nil {
				t.Fatal("signed in")
			}
			m.signIn(alice)
			w.idp.faults.set(func(f *faults) {
				f.on = map[string]error{"idp:RenewPRT": prterr.ToStatus(prterr.AADSTS(aadsts.DeviceDisabled, ""))}
			})
			lab.Advance(5 * time.Hour)
			m.await(t, func(p *lsav1.PartitionState) bool { return p.GetLastRefresh() != nil && !p.GetRenewalRunning() })
			before, err := m.state.GetSSOState(t.Context(), nil)
			events, _ := m.events(0)
			if err != nil || len(before.GetAttempts()) != 1 {
				t.Fatalf("%v, %v", before, err)
			}
			stop(m)

			m = start()
			after, err := m.state.GetSSOState(t.Context(), nil)
			if err != nil || fmt.Sprint(after.GetAttempts()) != fmt.Sprint(before.GetAttempts()) {
				t.Errorf("attempts %v, before %v, %v", after.GetAttempts(), before.GetAttempts(), err)
			}
			if got, was := m.only().GetLastRefresh(), before.GetPartitions()[0].GetLastRefresh(); fmt.Sprint(got) != fmt.Sprint(was) {
				t.Errorf("renewal %v, before %v", got, was)
			}
			again, _ := m.events(0)
			if len(again) < len(events) || fmt.Sprint(again[:len(events)]) != fmt.Sprint(events) {
				t.Errorf("events %v, before %v", idsOf(again), idsOf(events))
			}

			w.idp.faults.set(func(f *faults) { f.on = nil })
			m.signIn(alice)
			m.awaitRenewed(t, lab)
			stop(m)
			if p := start().only(); p.GetLastRefresh() != nil {
				t.Errorf("after a success there is %v", p.GetLastRefresh())
			}
		})
	}
}

// Files that only tell what happened are in no way of a sign-in: damaged ones are put
// aside by name, and a process that dies while it writes a failure signs in the next time.
func TestREN22_DiagnosticsKeepNobodyFromSigningIn(t *testing.T) {
	t.Run("damaged", func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		m.signIn(alice)
		m.stop()
		for _, f := range []string{"attempts.json", "events/events.jsonl"} {
			if err := os.WriteFile(filepath.Join(w.dir, f), []byte("damaged\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		m = w.start()
		m.signIn(alice)
		if got := m.cache(); len(got.GetQuarantined()) != 1 || !strings.Contains(got.GetQuarantined()[0].GetPath(), "attempts.json") {
			t.Errorf("in quarantine: %v", got.GetQuarantined())
		}
		events, _ := m.events(0)
		for id, file := range map[uint32]string{9001: "attempts.json", 9005: "events.jsonl"} {
			if !slices.ContainsFunc(events, func(e *eventv1.Event) bool {
				return e.GetId() == id && strings.HasSuffix(e.GetFields()[0].GetValue(), file)
			}) {
				t.Errorf("no event %d names %s: %v", id, file, idsOf(events))
			}
		}
	})
	for _, point := range []string{"attempts-temp-created", "attempts-temp-written", "attempts-renamed"} {
		t.Run(point, func(t *testing.T) {
			w := newWorld(t)
			struck := false
			m := w.start(func(c *lsacloudap.Config) {
				c.Points = func(p string) {
					if p == point {
						struck = true
						panic("killed at " + p)
					}
				}
			})
			if _, err := m.try(alice, "wrong"); err == nil || !struck {
				t.Fatalf("signed in, or %s was not reached: %v", point, err)
			}
			m.stop()
			m = w.start()
			m.signIn(alice)
			left, err := filepath.Glob(filepath.Join(w.dir, ".*"))
			if err != nil || len(left) > 0 || len(m.cache().GetQuarantined()) > 0 {
				t.Errorf("left over %v, in quarantine %v, %v", left, m.cache().GetQuarantined(), err)
			}
		})
	}
}
