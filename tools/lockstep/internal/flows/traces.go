package flows

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/trace"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/step"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	"github.com/lockstep-sso/lockstep/tools/ladder"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/diagram"
)

// signIns is how many rows of the sign-in log are searched.
const signIns = 100

// traces carries out the commands about the trace whose ladder was drawn last.
func (r *Runner) traces(ctx context.Context, command string, arg map[string]string) (string, bool) {
	switch command {
	case "diagram": // diagram [flow=renewal]
		return r.drawn(step.Flow(arg["flow"])), true
	case "services": // services
		return r.services(), true
	case "correlation": // correlation
		return r.correlation(ctx), true
	default:
		return "", false
	}
}

// drawn is the last trace as a sequence, without what changes from run to run.
func (r *Runner) drawn(flow step.Flow) string {
	spans := r.lab.Recorder().Trace(r.last)
	if all := ladder.Flows(spans); flow == "" && len(all) > 0 {
		flow = all[0]
	}
	d := diagram.Of(ladder.Build(flow, r.last, spans, false), false)
	d.Note, d.Times = "from the spans of the last trace", false
	return d.Text()
}

// services are those whose spans are in the last trace, in alphabetical order.
func (r *Runner) services() string {
	var all []string
	for _, s := range r.lab.Recorder().Trace(r.last) {
		if !slices.Contains(all, s.Service) {
			all = append(all, s.Service)
		}
	}
	slices.Sort(all)
	return "one trace: " + strings.Join(all, ", ") + "\n"
}

// correlation looks for the id of the last trace where administrators find it: as the
// Correlation ID in the sign-in log, and in the status of the device after a failure.
func (r *Runner) correlation(ctx context.Context) string {
	if !r.last.IsValid() {
		return failure(prterr.New(prterr.NotFound, "nothing has run yet"))
	}
	ctx = step.Outside(ctx)
	conn, err := r.lab.Dial(ctx, "operator", "idp")
	if err != nil {
		return failure(err)
	}
	log, err := directoryv1.NewReadServiceClient(conn).ListSignIns(ctx, &directoryv1.ListSignInsRequest{Limit: signIns})
	if err != nil {
		return failure(err)
	}
	var b strings.Builder
	for _, e := range log.GetSignIns() {
		// A browser is told to come back with a cookie before anybody is known.
		if e.GetCorrelationId() != uuid.UUID(r.last).String() || e.GetUserPrincipalName() == "" {
			continue
		}
		fmt.Fprintf(&b, "sign-in log: %s of %s, %s", e.GetFlow(), e.GetUserPrincipalName(), e.GetOutcome())
		if e.GetErrorCode() != 0 {
			fmt.Fprintf(&b, " AADSTS%d", e.GetErrorCode())
		}
		b.WriteByte('\n')
	}
	parts, err := r.device.Operator.SSOState(ctx)
	if err != nil {
		return failure(err)
	}
	for _, p := range parts {
		if isTrace(p.GetLastAcquire(), r.last) {
			fmt.Fprintf(&b, "status: the last attempt to acquire a PRT for %s\n", p.GetUserPrincipalName())
		}
		if isTrace(p.GetLastRefresh(), r.last) {
			fmt.Fprintf(&b, "status: the last attempt to refresh the PRT of %s\n", p.GetUserPrincipalName())
		}
	}
	if b.Len() == 0 {
		return "the id of the trace is in no log\n"
	}
	return "the id of the trace is the Correlation ID in\n" + b.String()
}

func isTrace(a *authorityv1.Attempt, id trace.TraceID) bool {
	return strings.ReplaceAll(a.GetCorrelationId(), "-", "") == id.String()
}
