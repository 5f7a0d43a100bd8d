package faulty_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/run"
	"github.com/lockstep-sso/lockstep/pkg/step"
	faultv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/fault/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	labv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lab/v1"
	"github.com/lockstep-sso/lockstep/services/faulty"
)

// world is an idp of a few methods, another one, and a stand-in before the first.
type world struct {
	t    *testing.T
	net  *rpc.Mem
	ca   *rpc.CA
	real *cloud
	away *cloud
	tp   *sdktrace.TracerProvider
	rec  *tracetest.SpanRecorder
}

// cloud is the idp that is called.
type cloud struct {
	idpv1.UnimplementedNonceServiceServer
	idpv1.UnimplementedRealmServiceServer
	name string
	mu   sync.Mutex
	// calls and asked are what came, by whom and for whom.
	calls  int
	caller string
	asked  []string
}

func (c *cloud) Register(r grpc.ServiceRegistrar) {
	idpv1.RegisterNonceServiceServer(r, c)
	idpv1.RegisterRealmServiceServer(r, c)
}
func (*cloud) Close() error { return nil }

func (c *cloud) came(ctx context.Context, what string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls++
	c.caller, c.asked = rpc.Caller(ctx), append(c.asked, what)
	return c.calls
}

func (c *cloud) IssueNonce(ctx context.Context, _ *idpv1.IssueNonceRequest) (*idpv1.IssueNonceResponse, error) {
	n := c.came(ctx, "")
	return &idpv1.IssueNonceResponse{Nonce: c.name + strings.Repeat("i", n)}, nil
}

func (c *cloud) DiscoverRealm(ctx context.Context, r *idpv1.DiscoverRealmRequest) (*idpv1.DiscoverRealmResponse, error) {
	c.came(ctx, r.GetUserPrincipalName())
	if r.GetUserPrincipalName() == "nobody" {
		return nil, prterr.New(prterr.NotFound, "no such realm")
	}
	return &idpv1.DiscoverRealmResponse{}, nil
}

func newWorld(t *testing.T, settings map[string]string) *world {
	t.Helper()
	ca, err := rpc.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	rec := tracetest.NewSpanRecorder()
	w := &world{t: t, net: rpc.NewMem(), ca: ca, real: &cloud{name: "n"}, away: &cloud{name: "away"}, rec: rec, tp: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(rec))}
	for addr, c := range map[string]*cloud{"mem:idp.real": w.real, "mem:other": w.away} {
		w.start(addr, func(*run.Env) (*run.Component, error) {
			return &run.Component{Service: c, Allow: rpc.AllowList{
				idpv1.NonceService_IssueNonce_FullMethodName:    {"lsa-cloudap", "dsreg"},
				idpv1.RealmService_DiscoverRealm_FullMethodName: {"lsa-cloudap", "dsreg"},
			}}, nil
		}, nil)
	}
	all := map[string]string{"real": "mem:idp.real", "other": "mem:other", "seed": "1"}
	for k, v := range settings {
		all[k] = v
	}
	w.start("mem:idp", faulty.Wire("idp"), all)
	return w
}

func (w *world) start(addr string, wire run.Wire, settings map[string]string) {
	w.t.Helper()
	lab := clock.NewLab()
	id, err := w.ca.Issue("idp")
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := run.Start(run.Config{Name: "idp", Identity: id, Network: w.net, Listen: addr, Env: run.Env{Clock: lab, Lab: lab, Settings: settings, TracerProvider: w.tp}}, wire)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := r.Stop(); err != nil {
			w.t.Error(err)
		}
	})
}

func (w *world) as(caller string) *grpc.ClientConn {
	w.t.Helper()
	id, err := w.ca.Issue(caller)
	if err != nil {
		w.t.Fatal(err)
	}
	conn, err := rpc.Dial(rpc.DialConfig{Network: w.net, Addr: "mem:idp", Identity: id, Server: "idp"})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func (w *world) rules(text string) {
	w.t.Helper()
	if _, err := faultv1.NewFaultServiceClient(w.as("operator")).SetRules(w.t.Context(), &faultv1.SetRulesRequest{Rules: text}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) nonce(ctx context.Context) (string, error) {
	r, err := idpv1.NewNonceServiceClient(w.as("lsa-cloudap")).IssueNonce(ctx, &idpv1.IssueNonceRequest{})
	return r.GetNonce(), err
}

// TestFLT01_EachActionIsWhatTheCallerMeets: what the caller hears, and what was done.
func TestFLT01_EachActionIsWhatTheCallerMeets(t *testing.T) {
	for rules, want := range map[string]struct {
		nonce string
		kind  prterr.Kind
		code  int
		done  int
		away  int
	}{
		``:                                   {"ni", "", 0, 1, 0},
		`(unavailable)`:                      {"", prterr.Unavailable, 0, 0, 0},
		`(delay 1ms)`:                        {"ni", "", 0, 1, 0},
		`(delay 1ms) (answer denied)`:        {"", prterr.Denied, 0, 0, 0},
		`(drop)`:                             {"", prterr.Deadline, 0, 0, 0},
		`(execute-then-timeout)`:             {"", prterr.Deadline, 0, 1, 0},
		`(corrupt "nonce")`:                  {"xi", "", 0, 1, 0},
		`(duplicate)`:                        {"nii", "", 0, 2, 0},
		`(other-device)`:                     {"awayi", "", 0, 0, 1},
		`(answer 50126)`:                     {"", prterr.Unauthenticated, 50126, 0, 0},
		`(answer keys_lost)`:                 {"", prterr.KeysLost, 0, 0, 0},
		`(throttle 300s)`:                    {"", prterr.Exhausted, 90055, 0, 0},
		`(unavailable (caller dsreg))`:       {"ni", "", 0, 1, 0},
		`(unavailable (step RENEWAL_D))`:     {"", prterr.Unavailable, 0, 0, 0},
		`(unavailable (flow first_sign_in))`: {"ni", "", 0, 1, 0},
	} {
		t.Run(rules, func(t *testing.T) {
			w := newWorld(t, map[string]string{"rules": rules})
			patience := 20 * time.Second
			if rules == `(drop)` {
				patience = 300 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(step.In(t.Context(), step.Renewal), patience)
			defer cancel()
			nonce, err := w.nonce(ctx)
			if want.nonce == "xi" && len(nonce) == 2 && nonce != "ni" {
				nonce = "xi" // which character is another is the seed's
			}
			if nonce != want.nonce || prterr.KindOf(err) != want.kind || int(prterr.CodeOf(err)) != want.code {
				t.Errorf("the caller got %q, %v", nonce, err)
			}
			if w.real.calls != want.done || w.away.calls != want.away {
				t.Errorf("%d calls were done, %d by the other device's", w.real.calls, w.away.calls)
			}
			if w.real.calls > 0 && w.real.caller != "lsa-cloudap" {
				t.Errorf("the real one saw %q", w.real.caller)
			}
		})
	}
}

func TestConditionsOnMessagesAndRequests(t *testing.T) {
	w := newWorld(t, nil)
	realm := idpv1.NewRealmServiceClient(w.as("dsreg"))
	ask := func(upn string) error {
		_, err := realm.DiscoverRealm(t.Context(), &idpv1.DiscoverRealmRequest{UserPrincipalName: upn})
		return err
	}
	w.rules(`(answer denied (user "Alice@contoso.test"))`)
	if err := ask("alice@contoso.test"); prterr.KindOf(err) != prterr.Denied {
		t.Errorf("alice: %v", err)
	}
	if err := ask("bob@contoso.test"); err != nil {
		t.Errorf("bob: %v", err)
	}
	w.rules(`(corrupt request "user_principal_name")`)
	if err := ask("alice"); err != nil {
		t.Error(err)
	}
	if last := w.real.asked[len(w.real.asked)-1]; last == "alice" || len(last) != 5 {
		t.Errorf("the real one was asked for %q", last)
	}
	w.rules(`(corrupt "account_type" (caller app)) (corrupt request "user_principal_name" (method "RealmService/*") (nth 2))`)
	if err := ask("nobody"); prterr.KindOf(err) != prterr.NotFound || err.Error() != "no such realm" {
		t.Errorf("an error has no fields and comes as it is: %v", err)
	}
}

// TestAnAnswerWaitsForALaterCall: the first answer comes after the second.
func TestAnAnswerWaitsForALaterCall(t *testing.T) {
	w := newWorld(t, map[string]string{"rules": `(reorder (caller lsa-cloudap) (nth 1))`})
	first := make(chan error, 1)
	early := idpv1.NewNonceServiceClient(w.as("lsa-cloudap"))
	go func() {
		_, err := early.IssueNonce(t.Context(), &idpv1.IssueNonceRequest{})
		first <- err
	}()
	for came := 0; came == 0; { // the first is done and waits
		w.real.mu.Lock()
		came = w.real.calls
		w.real.mu.Unlock()
		select {
		case err := <-first:
			t.Fatalf("the answer did not wait: %v", err)
		case <-time.After(time.Millisecond):
		}
	}
	if _, err := idpv1.NewNonceServiceClient(w.as("dsreg")).IssueNonce(t.Context(), &idpv1.IssueNonceRequest{}); err != nil {
		t.Fatal(err)
	}
	if err := <-first; err != nil {
		t.Errorf("the first: %v", err)
	}
}

// TestTheDoorIsTheOperatorsAndRefusesWhatCannotStrike: nobody else sets rules, and refused
// ones change nothing.
func TestTheDoorIsTheOperatorsAndRefusesWhatCannotStrike(t *testing.T) {
	w := newWorld(t, map[string]string{"rules": `(unavailable (nth 3))`})
	for _, caller := range []string{"app", "lsa-cloudap", "idp"} {
		if _, err := faultv1.NewFaultServiceClient(w.as(caller)).SetRules(t.Context(), &faultv1.SetRulesRequest{}); prterr.KindOf(err) != prterr.Denied {
			t.Errorf("%s: %v", caller, err)
		}
	}
	client := faultv1.NewFaultServiceClient(w.as("operator"))
	for rules, says := range map[string]string{
		`(drop`:                                             "1:1: this parenthesis is not closed",
		`(drop (path "/token"))`:                            "takes no HTTPS requests",
		`(drop (method "KeyService/*"))`:                    "idp serves nothing that fits",
		`(drop (or (nth 1) (method "A/B")))`:                "idp serves nothing that fits",
		`(drop (step APP_TOKEN_E))`:                         "no call to idp carries out",
		`(drop (method "NonceService/*") (user a))`:         "no request to idp that fits has a field user_principal_name",
		`(drop (method "NonceService/*") (step RENEWAL_E))`: "no method of idp fits all",
		`(corrupt "no_such_field")`:                         "has a field no_such_field",
		`(corrupt "nonce.x" (method "NonceService/*"))`:     "nonce has no fields",
		`(tpm "*:gone")`:                                    "not before a TPM",
		strings.Repeat("(drop)", 65):                        "more than 64 rules",
	} {
		_, err := client.SetRules(t.Context(), &faultv1.SetRulesRequest{Rules: rules})
		if prterr.KindOf(err) != prterr.Invalid || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", rules, err)
		}
	}
	_, _ = w.nonce(t.Context())
	d, err := client.DescribeRules(t.Context(), &faultv1.DescribeRulesRequest{})
	if err != nil || d.GetComponent() != "idp" || d.GetSeed() != 1 || len(d.GetRules()) != 1 || d.GetRules()[0].GetRule() != "(unavailable (nth 3))" || d.GetRules()[0].GetSeen() != 1 || d.GetRules()[0].GetLast() != nil {
		t.Errorf("%v, %v", d, err)
	}
	r, err := client.SetRules(t.Context(), &faultv1.SetRulesRequest{Rules: "(delay field) ; slow", Seed: 7})
	if err != nil || r.GetRules() != "(delay field)\n" || r.GetSeed() != 7 {
		t.Errorf("%v, %v", r, err)
	}
}

// TestALaboratorysOwnCallsReachTheRealOne: the clock that is moved is the real one's,
// whatever breaks; the real one's allow-list decides.
func TestALaboratorysOwnCallsReachTheRealOne(t *testing.T) {
	w := newWorld(t, map[string]string{"rules": `(unavailable)`})
	moved, err := labv1.NewClockServiceClient(w.as("operator")).AdvanceClock(t.Context(), &labv1.AdvanceClockRequest{By: durationpb.New(time.Hour)})
	if err != nil || time.Until(moved.GetNow().AsTime()) < 59*time.Minute {
		t.Errorf("%v, %v", moved, err)
	}
	if _, err := labv1.NewClockServiceClient(w.as("app")).DescribeClock(t.Context(), &labv1.DescribeClockRequest{}); prterr.KindOf(err) != prterr.Denied {
		t.Errorf("app asked for the clock: %v", err)
	}
	if _, err := grpc_health_v1.NewHealthClient(w.as("app")).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); err != nil {
		t.Errorf("health: %v", err)
	}
}

// TestATraceTellsWhatWasInjected: the rule stands on the stand-in's span, and its spans are
// of the trace that the caller began.
func TestATraceTellsWhatWasInjected(t *testing.T) {
	w := newWorld(t, map[string]string{"rules": `(delay 1ms)`})
	ctx, root := w.tp.Tracer("t").Start(t.Context(), "root")
	if _, err := w.nonce(ctx); err != nil {
		t.Fatal(err)
	}
	root.End()
	told := 0
	for _, s := range w.rec.Ended() {
		for _, kv := range s.Attributes() {
			if kv.Key == "prt.fault.rules" && kv.Value == attribute.StringValue("(delay 1ms)") {
				told++
			}
		}
	}
	if told != 1 {
		t.Errorf("%d spans tell of the rule", told)
	}
}

// TestT10_AStandInRefusesToStartOutsideALab: without the flag, whatever else is right.
func TestT10_AStandInRefusesToStartOutsideALab(t *testing.T) {
	for name, c := range map[string]struct {
		component string
		lab       bool
		settings  map[string]string
		says      string
	}{
		"outside":      {"idp", false, map[string]string{"real": "mem:x"}, "start it with --lab"},
		"a stranger":   {"printer", true, map[string]string{"real": "mem:x"}, "name a component, one of adfs"},
		"nobody there": {"idp", true, nil, "--set real=ADDRESS"},
		"no number":    {"idp", true, map[string]string{"real": "mem:x", "seed": "x"}, "use a number"},
		"two sources":  {"idp", true, map[string]string{"real": "mem:x", "rules": "(drop)", "rules-file": "f"}, "use one"},
		"no file":      {"idp", true, map[string]string{"real": "mem:x", "rules-file": "/no/such/file"}, "rules-file"},
		"bad rules":    {"idp", true, map[string]string{"real": "mem:x", "rules": "(dorp)"}, "no action"},
		"no other one": {"idp", true, map[string]string{"real": "mem:x", "rules": "(other-device)"}, "--set other=ADDRESS"},
	} {
		t.Run(name, func(t *testing.T) {
			ca, err := rpc.NewCA()
			if err != nil {
				t.Fatal(err)
			}
			id, err := ca.Issue("idp")
			if err != nil {
				t.Fatal(err)
			}
			env := run.Env{Settings: c.settings}
			if c.lab {
				env.Lab = clock.NewLab()
			}
			r, err := run.Start(run.Config{Name: "idp", Identity: id, Network: rpc.NewMem(), Listen: "mem:idp", Env: env}, faulty.Wire(c.component))
			if err == nil {
				err = errors.Join(errors.New("it started"), r.Stop())
			}
			if !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v", err)
			}
		})
	}
}
