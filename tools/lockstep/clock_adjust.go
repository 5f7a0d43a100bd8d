package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	labv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lab/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// withHands runs a command on the clock of what runs.
type withHands = func(func(context.Context, hands, []string) (time.Time, error)) func(*cobra.Command, []string) error

// adjust does something with the clocks of a laboratory, or of one component of it; a
// server has one clock, that of idp, to which alone does it.
func (h hands) adjust(ctx context.Context, component string, r *labv1.AdjustLabRequest, alone func() (time.Time, error)) (time.Time, error) {
	if h.lab != nil {
		r.Component = component
		return timeIn(h.lab.AdjustLab(ctx, r))
	}
	if component != "" && component != "idp" {
		return time.Time{}, fmt.Errorf("this server has one clock, that of idp, and none of %.80q: lockstep lab has more", component)
	}
	return alone()
}

func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

func freezeClockCommand(with withHands) *cobra.Command {
	return &cobra.Command{
		Use: "freeze [COMPONENT]", Short: "Stop the clocks, or that of one component; they can still be moved", Args: cobra.MaximumNArgs(1),
		RunE: with(func(ctx context.Context, h hands, args []string) (time.Time, error) {
			return h.adjust(ctx, first(args), &labv1.AdjustLabRequest{Adjustment: &labv1.AdjustLabRequest_Frozen{Frozen: true}}, func() (time.Time, error) {
				return timeIn(h.server.FreezeClock(ctx, &labv1.FreezeClockRequest{}))
			})
		}),
	}
}

func resumeClockCommand(with withHands) *cobra.Command {
	return &cobra.Command{
		Use: "resume [COMPONENT]", Short: "Let clocks that were stopped go on; one component has the time of the others again", Args: cobra.MaximumNArgs(1),
		RunE: with(func(ctx context.Context, h hands, args []string) (time.Time, error) {
			return h.adjust(ctx, first(args), &labv1.AdjustLabRequest{Adjustment: &labv1.AdjustLabRequest_Frozen{}}, func() (time.Time, error) {
				return timeIn(h.server.ResumeClock(ctx, &labv1.ResumeClockRequest{}))
			})
		}),
	}
}

func skewClockCommand(with withHands) *cobra.Command {
	return &cobra.Command{
		Use: "skew COMPONENT [slow:]DURATION", Short: "Set the clock of one component wrong; 0s sets it right", Args: cobra.ExactArgs(2),
		Example: "  lockstep clock skew lsa-cloudap 10m            # fast by ten minutes, on the first device\n" +
			"  lockstep clock skew device-2/dsreg slow:1h     # slow by one hour",
		RunE: with(func(ctx context.Context, h hands, args []string) (time.Time, error) {
			by, err := lab.ParseSkew(args[1])
			if err != nil {
				return time.Time{}, fmt.Errorf("a clock is wrong by a duration such as 5m, or slow:5m for one that is slow; 0s sets it right: not %.80q", args[1])
			}
			skew := durationpb.New(by)
			return h.adjust(ctx, args[0], &labv1.AdjustLabRequest{Adjustment: &labv1.AdjustLabRequest_Skew{Skew: skew}}, func() (time.Time, error) {
				return timeIn(h.server.SkewClock(ctx, &labv1.SkewClockRequest{Skew: skew}))
			})
		}),
	}
}
