package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"
	"go.opentelemetry.io/otel/trace"

	"github.com/lockstep-sso/lockstep/pkg/step"
	labv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lab/v1"
	"github.com/lockstep-sso/lockstep/tools/ladder"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/diagram"
)

// allTraces is more than a laboratory keeps.
const allTraces = 10000

// view is how a trace is shown.
type view struct {
	dir, flow, svg, jaeger     string
	diagram, asJSON, hops, all bool
	limit                      uint32
}

func traceCommand() *cobra.Command {
	v := &view{}
	cmd := &cobra.Command{
		Use:   "trace list|last|ID",
		Short: "Show what ran in a running lockstep lab: as a table, a sequence diagram, an SVG",
		Long: `Show what ran in a running lockstep lab, read from the spans of its components: the
lettered rows of the documents' tables, as a table, as a sequence diagram, or as an
SVG. With --jaeger it is read from a Jaeger, wherever the components run. ID is the id of a trace, which is also the Correlation ID in lockstep status and
in the sign-in log; its first digits are enough.`,
		Example: "  lockstep trace last --diagram\n  lockstep trace list --flow renewal\n  lockstep trace 0f92c3ab --svg first-sign-in.svg",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if v.flow != "" && !slices.Contains(step.Flows(), step.Flow(v.flow)) {
				return fmt.Errorf("there is no flow %.80q: there are %v", v.flow, step.Flows())
			}
			if v.jaeger != "" {
				return v.inJaeger(cmd.Context(), cmd.OutOrStdout(), args[0])
			}
			i, err := theLab(cmd.ErrOrStderr(), v.dir)
			if err != nil {
				return err
			}
			conn, err := i.DialLab()
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, conn.Close()) }()
			l := labv1.NewLabServiceClient(conn)
			if args[0] == "list" {
				return v.list(cmd.Context(), cmd.OutOrStdout(), l)
			}
			return v.show(cmd.Context(), cmd.OutOrStdout(), l, args[0])
		},
	}
	f := cmd.Flags()
	labFlag(f, &v.dir)
	f.StringVar(&v.jaeger, "jaeger", "", "read from the Jaeger at this address, as http://127.0.0.1:16686, in place of a laboratory")
	f.StringVar(&v.flow, "flow", "", "the flow that is meant: first_sign_in, renewal, app_token or browser_sso (default the first of the trace)")
	f.BoolVar(&v.diagram, "diagram", false, "draw a sequence diagram")
	f.StringVar(&v.svg, "svg", "", "write the sequence diagram into this file as SVG; - is standard output")
	f.BoolVar(&v.hops, "hops", false, "also show the calls between components that have no letter")
	f.BoolVar(&v.asJSON, "json", false, "print one JSON object a step, or a trace: flow, step, from, to, what, ms")
	f.BoolVar(&v.all, "all", false, "list traces without a flow too")
	f.Uint32Var(&v.limit, "limit", 20, "number of traces of a list")
	cmd.MarkFlagsMutuallyExclusive("diagram", "svg", "json")
	cmd.MarkFlagsMutuallyExclusive("jaeger", "lab")
	return cmd
}

func (v *view) list(ctx context.Context, out io.Writer, l labv1.LabServiceClient) error {
	r, err := l.ListTraces(ctx, &labv1.ListTracesRequest{Limit: v.limit, Flow: v.flow, All: v.all})
	if err != nil {
		return err
	}
	if v.asJSON {
		for _, t := range r.GetTraces() {
			if err := writeMessage(out, t); err != nil {
				return err
			}
		}
		return nil
	}
	rows := make([]table.Row, 0, len(r.GetTraces()))
	for _, t := range r.GetTraces() {
		failed := ""
		if t.GetFailed() {
			failed = "failed"
		}
		rows = append(rows, table.Row{t.GetTraceId(), t.GetFlow(), t.GetStart().AsTime().Local().Format(time.TimeOnly), t.GetDuration().AsDuration().Round(100 * time.Microsecond), failed})
	}
	showTable(out, "", table.Row{"trace", "flow", "at", "took", ""}, rows)
	return nil
}

// find is the id that its first digits mean; that of "last" is left to the laboratory.
func (v *view) find(ctx context.Context, l labv1.LabServiceClient, name string) (string, error) {
	const whole = 32
	name = strings.ToLower(strings.ReplaceAll(name, "-", "")) // a Correlation ID is a GUID
	if name == "last" || len(name) == whole {
		return strings.TrimPrefix(name, "last"), nil
	}
	r, err := l.ListTraces(ctx, &labv1.ListTracesRequest{Limit: allTraces, All: true})
	if err != nil {
		return "", err
	}
	var found []string
	for _, t := range r.GetTraces() {
		if strings.HasPrefix(t.GetTraceId(), name) {
			found = append(found, t.GetTraceId())
		}
	}
	if len(found) != 1 {
		return "", fmt.Errorf("%d traces begin with %.80q: lockstep trace list shows those that there are", len(found), name)
	}
	return found[0], nil
}

func (v *view) show(ctx context.Context, out io.Writer, l labv1.LabServiceClient, name string) error {
	wanted, err := v.find(ctx, l, name)
	if err != nil {
		return err
	}
	r, err := l.GetTrace(ctx, &labv1.GetTraceRequest{TraceId: wanted, Flow: v.flow})
	if err != nil {
		return err
	}
	id, spans, err := ladder.FromMessages(r)
	if err != nil {
		return err
	}
	return v.draw(out, id, spans)
}

// draw shows the spans of a trace.
func (v *view) draw(out io.Writer, id trace.TraceID, spans []ladder.Span) (err error) {
	flow := step.Flow(v.flow)
	if all := ladder.Flows(spans); flow == "" && len(all) > 0 {
		flow = all[0]
	}
	rows := ladder.Build(flow, id, spans, v.hops || flow == "")
	drawn := diagram.Of(rows, v.hops || flow == "")
	switch {
	case v.asJSON:
		return rows.JSON(out)
	case v.svg == "-":
		_, err = io.WriteString(out, drawn.SVG())
	case v.svg != "":
		if err = os.WriteFile(v.svg, []byte(drawn.SVG()), 0o644); err == nil { //nolint:gosec // a picture to be shown
			_, err = fmt.Fprintf(out, "%s\n", v.svg)
		}
	case v.diagram:
		_, err = io.WriteString(out, drawn.Text())
	default:
		rows.Print(out, fmt.Sprintf("%s, trace %s", drawn.Title, id))
	}
	return err
}
