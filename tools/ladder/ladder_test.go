package ladder_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"strings"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/lockstep-sso/lockstep/pkg/obs"
	"github.com/lockstep-sso/lockstep/pkg/step"
	stepv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/step/v1"
	"github.com/lockstep-sso/lockstep/tools/ladder"
)

func appToken(letters string) []stepv1.Step {
	var rows []stepv1.Step
	for _, l := range letters {
		for _, s := range step.All() {
			if step.FlowOf(s) == step.AppToken && step.Letter(s) == string(l) {
				rows = append(rows, s)
			}
		}
	}
	return rows
}

// record makes the spans of a flow and returns the recorder and the trace.
func record(t *testing.T, letters string, otlp string) (*ladder.Recorder, trace.TraceID) {
	t.Helper()
	rec := ladder.NewRecorder()
	tp, err := obs.Tracing(t.Context(), obs.TraceConfig{Service: "wam-broker", OTLP: otlp, Processors: []sdktrace.SpanProcessor{rec}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, root := tp.Tracer("t").Start(t.Context(), "request token")
	for _, s := range appToken(letters) {
		_, span := step.Start(ctx, s)
		time.Sleep(time.Millisecond) // so that the order of the starts shows in the clock
		span.End()
	}
	root.End()
	if err := tp.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	return rec, root.SpanContext().TraceID()
}

func TestCheckNamesWhatIsMissingOrOutOfOrder(t *testing.T) {
	for ran, want := range map[string]string{"ACDE": "", "ACE": "step D is missing", "ADCE": "ran as ADCE", "ABCDE": "ran as ABCDE", "": "step A is missing; ran: nothing"} {
		rec, id := record(t, ran, "")
		l := ladder.Build(step.AppToken, id, rec.Trace(id), false)
		err := l.Check(appToken("ACDE"))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", ran, err)
		}
	}
}

func TestJSONHasOneObjectAStep(t *testing.T) {
	rec, id := record(t, "ABE", "")
	var out bytes.Buffer
	l := ladder.Build(step.AppToken, id, rec.Trace(id), true)
	if err := l.JSON(&out); err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(&out)
	dec.DisallowUnknownFields()
	got := ""
	for dec.More() {
		var o struct {
			Flow, Step, From, To, What string
			MS                         float64
		}
		if err := dec.Decode(&o); err != nil {
			t.Fatal(err)
		}
		if o.Flow != "app_token" || o.From == "" || o.To == "" || o.What == "" || o.MS <= 0 {
			t.Errorf("%+v", o)
		}
		got += o.Step
	}
	if got != "ABE" {
		t.Errorf("steps %s", got)
	}
}

// TestOBS05_TracesGoOutOverOTLP exports to a receiver, which passes them on to
// another, and finds the same rows there.
func TestOBS05_TracesGoOutOverOTLP(t *testing.T) {
	listen := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	far := ladder.NewRecorder()
	l := listen()
	rx := ladder.NewReceiver(l, far, nil)
	defer rx.Close()
	_, id := record(t, "ACDE", l.Addr().String())
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := far.AwaitRows(ctx, id, appToken("ACDE")); err != nil {
		t.Fatal(err)
	}
	spans := far.Trace(id)
	if err := ladder.Build(step.AppToken, id, spans, false).Check(appToken("ACDE")); err != nil {
		t.Error(err)
	}
	if spans[0].Service != "wam-broker" {
		t.Errorf("service %q", spans[0].Service)
	}
}

// TestABoundedRecorderKeepsTheNewest: what looks at a state all day does not push out what
// happened.
func TestABoundedRecorderKeepsTheNewest(t *testing.T) {
	rec := ladder.NewBoundedRecorder(10, 3)
	span := func(n byte, s stepv1.Step) ladder.Span {
		return ladder.Span{Trace: trace.TraceID{0: n, 15: byte(s)}, Step: s}
	}
	for n := range byte(8) {
		rec.Add(span(n, stepv1.Step_STEP_RENEWAL_A))
	}
	for n := range byte(200) {
		rec.Add(span(n, stepv1.Step_STEP_UNSPECIFIED))
	}
	plain, lettered := 0, 0
	for _, id := range rec.Newest() {
		if len(ladder.Flows(rec.Trace(id))) > 0 {
			lettered++
		} else {
			plain++
		}
	}
	if plain != 5 || lettered != 5 {
		t.Errorf("%d traces without a row, %d with one", plain, lettered)
	}
	if newest := rec.Newest()[0]; newest[0] != 199 {
		t.Errorf("the newest is %v", newest)
	}
	for range 5 {
		rec.Add(span(199, stepv1.Step_STEP_UNSPECIFIED))
	}
	if n := len(rec.Trace(trace.TraceID{0: 199})); n != 3 {
		t.Errorf("%d spans of a trace that may have 3", n)
	}
	if len(rec.Trace(trace.TraceID{0: 1})) != 0 {
		t.Error("a trace that was dropped is there")
	}
}
