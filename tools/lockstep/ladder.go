package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"go.opentelemetry.io/otel/trace"

	"github.com/lockstep-sso/lockstep/pkg/step"
	"github.com/lockstep-sso/lockstep/tools/ladder"
)

// wholeWithin bounds the wait for the spans of a trace that should be in Jaeger.
const wholeWithin = 30 * time.Second

// reading is what lockstep ladder is asked for.
type reading struct {
	url, flow, trace    string
	check, asJSON, hops bool
}

func ladderCommand() *cobra.Command {
	r := &reading{}
	cmd := &cobra.Command{
		Use:   "ladder",
		Short: "Read a flow back from Jaeger, and hold it to its golden ladder",
		Long: `Read one run of a documented flow back from Jaeger, wherever its components run:
the newest, or that of a trace. With --check it has to be the golden ladder: the same
rows in order, and the same calls between components. The first difference is named,
and the exit code is not zero.`,
		Example: "  lockstep ladder --jaeger http://127.0.0.1:16686 --flow first_sign_in --check",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if !slices.Contains(step.Flows(), step.Flow(r.flow)) {
				return fmt.Errorf("--flow: there is no flow %.80q: there are %v", r.flow, step.Flows())
			}
			j, err := ladder.NewJaeger(r.url)
			if err != nil {
				return fmt.Errorf("--jaeger: %w", err)
			}
			defer func() { err = errors.Join(err, j.Close()) }()
			return r.read(cmd.Context(), cmd.OutOrStdout(), j)
		},
	}
	f := cmd.Flags()
	f.StringVar(&r.url, "jaeger", "", "address of Jaeger's query service, as http://127.0.0.1:16686")
	f.StringVar(&r.flow, "flow", "", "first_sign_in, renewal, app_token or browser_sso")
	f.StringVar(&r.trace, "trace", "last", "id of the trace, which is also the Correlation ID in lockstep status; its first digits are enough")
	f.BoolVar(&r.check, "check", false, "hold what ran to the golden ladder")
	f.BoolVar(&r.hops, "hops", false, "also show the calls between components that have no letter")
	f.BoolVar(&r.asJSON, "json", false, "print one JSON object a step: flow, step, from, to, what, ms")
	for _, name := range []string{"jaeger", "flow"} {
		_ = cmd.MarkFlagRequired(name) // it is defined above
	}
	return cmd
}

func (r *reading) read(ctx context.Context, out io.Writer, j *ladder.Jaeger) error {
	flow := step.Flow(r.flow)
	id, spans, err := r.find(ctx, j, flow)
	if err != nil {
		return err
	}
	if r.check {
		if spans, err = wholeTrace(ctx, j, id); err != nil {
			return err
		}
	}
	l := ladder.Build(flow, id, spans, r.hops)
	if len(l.Rows()) == 0 {
		return fmt.Errorf("trace %s has no row of flow %s", id, flow)
	}
	if r.asJSON {
		err = l.JSON(out)
	} else {
		l.Print(out, fmt.Sprintf("%s, trace %s", flow, id))
	}
	if err != nil || !r.check {
		return err
	}
	ran := ladder.FormOf(flow, spans)
	want, err := ladder.Golden(ran.Name)
	if err != nil {
		return err
	}
	return want.Compare(ran)
}

// find is the trace that is meant. The newest is one that somebody began: a golden ladder
// begins with a person.
func (r *reading) find(ctx context.Context, j *ladder.Jaeger, flow step.Flow) (trace.TraceID, []ladder.Span, error) {
	if r.trace != "last" {
		return fromJaeger(ctx, j, r.trace, flow)
	}
	found, err := listed(ctx, j, flow)
	if err != nil {
		return trace.TraceID{}, nil, err
	}
	for _, f := range found {
		if fromTheTop(flow, f.Spans) {
			return fromJaeger(ctx, j, f.ID.String(), flow)
		}
	}
	return fromJaeger(ctx, j, "last", flow)
}

// wholeTrace reads a trace once nothing is missing in it.
func wholeTrace(ctx context.Context, from ladder.Source, id trace.TraceID) ([]ladder.Span, error) {
	ctx, cancel := context.WithTimeout(ctx, wholeWithin)
	defer cancel()
	return ladder.AwaitWhole(ctx, from, id, nil)
}
