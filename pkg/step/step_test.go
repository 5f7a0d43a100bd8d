package step_test

import (
	"strings"
	"testing"

	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/lockstep-sso/lockstep/pkg/step"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	stepv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/step/v1"
)

func TestTheTablesHave24Rows(t *testing.T) {
	letters := map[step.Flow]string{}
	for _, s := range step.All() {
		row := step.RowOf(s)
		if row.GetFrom() == "" || row.GetTo() == "" || row.GetDoes() == "" {
			t.Errorf("%v has an empty column", s)
		}
		letters[step.FlowOf(s)] += step.Letter(s)
	}
	want := map[step.Flow]string{step.FirstSignIn: "ABCDEF", step.Renewal: "ABCDEFG", step.AppToken: "ABCDE", step.BrowserSSO: "ABCDEF"}
	for f, l := range want {
		if letters[f] != l {
			t.Errorf("%s has rows %s, want %s", f, letters[f], l)
		}
	}
	if len(letters) != 4 || len(step.All()) != 24 {
		t.Errorf("%d tables, %d rows", len(letters), len(step.All()))
	}
}

func TestSpansAreNamedAfterRows(t *testing.T) {
	rec := tracetest.NewSpanRecorder()
	tp := trace.NewTracerProvider(trace.WithSpanProcessor(rec))
	ctx, root := tp.Tracer("t").Start(t.Context(), "rpc")
	ctx = step.Begin(ctx, stepv1.Step_STEP_APP_TOKEN_A)
	_, child := step.Start(ctx, stepv1.Step_STEP_APP_TOKEN_E)
	child.End()
	root.End()
	var names []string
	for _, s := range rec.Ended() {
		names = append(names, s.Name())
	}
	got := strings.Join(names, "; ")
	if got != "E hand over the access token, nothing else; A ask WAM for an access token" {
		t.Errorf("spans: %s", got)
	}
	if step.FlowFrom(ctx) != step.AppToken {
		t.Errorf("flow %q", step.FlowFrom(ctx))
	}
	if rows := step.Realised(idpv1.NonceService_IssueNonce_FullMethodName); len(rows) != 2 {
		t.Errorf("IssueNonce realises %v", rows)
	}
	if rows := step.Realised("/no/Such"); rows != nil {
		t.Errorf("an unknown method realises %v", rows)
	}
}
