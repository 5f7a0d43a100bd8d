package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	labv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lab/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// withHands runs a command on the clock of what runs.
type withHands = func(func(context.Context, hands, []string) (time.Time, error)) func(*cobra.Command, []string) error

// adjust does something with the clocks of a laboratory, or of one component of it.
func (h hands) adjust(ctx context.Context, r *labv1.AdjustLabRequest) (time.Time, error) {
	d, err := h.lab.AdjustLab(ctx, r)
	return d.GetNow().AsTime().UTC(), err
}

// alone refuses a component of a server, which has one clock.
func (h hands) alone(component string) error {
	if h.lab == nil && component != "" && component != "idp" {
		return fmt.Errorf("this server has one clock, that of idp, and none of %.80q: lockstep lab has more", component)
	}
	return nil
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
			if err := h.alone(first(args)); err != nil {
				return time.Time{}, err
			}
			if h.lab != nil {
				return h.adjust(ctx, &labv1.AdjustLabRequest{Component: first(args), Adjustment: &labv1.AdjustLabRequest_Frozen{Frozen: true}})
			}
			d, err := h.server.FreezeClock(ctx, &labv1.FreezeClockRequest{})
			return d.GetNow().AsTime().UTC(), err
		}),
	}
}

func resumeClockCommand(with withHands) *cobra.Command {
	return &cobra.Command{
		Use: "resume [COMPONENT]", Short: "Let clocks that were stopped go on; one component has the time of the others again", Args: cobra.MaximumNArgs(1),
		RunE: with(func(ctx context.Context, h hands, args []string) (time.Time, error) {
			if err := h.alone(first(args)); err != nil {
				return time.Time{}, err
			}
			if h.lab != nil {
				return h.adjust(ctx, &labv1.AdjustLabRequest{Component: first(args), Adjustment: &labv1.AdjustLabRequest_Frozen{}})
			}
			d, err := h.server.ResumeClock(ctx, &labv1.ResumeClockRequest{})
			return d.GetNow().AsTime().UTC(), err
		}),
	}
}

func skewClockCommand(with withHands) *cobra.Command {
	wrong := errors.New("a clock is wrong by a duration such as 5m, or slow: for one that is slow; 0s sets it right")
	return &cobra.Command{
		Use: "skew COMPONENT [slow:]DURATION", Short: "Set the clock of one component wrong; 0s sets it right", Args: cobra.ExactArgs(2),
		Example: "  lockstep clock skew lsa-cloudap 10m            # fast by ten minutes, on the first device\n" +
			"  lockstep clock skew device-2/dsreg slow:1h     # slow by one hour",
		RunE: with(func(ctx context.Context, h hands, args []string) (time.Time, error) {
			text, slow := strings.CutPrefix(args[1], "slow:")
			by, err := lab.ParseDuration(text)
			if err != nil {
				return time.Time{}, fmt.Errorf("%w, not %.80q", wrong, args[1])
			}
			if slow {
				by = -by
			}
			if err := h.alone(args[0]); err != nil {
				return time.Time{}, err
			}
			if h.lab != nil {
				return h.adjust(ctx, &labv1.AdjustLabRequest{Component: args[0], Adjustment: &labv1.AdjustLabRequest_Skew{Skew: durationpb.New(by)}})
			}
			d, err := h.server.SkewClock(ctx, &labv1.SkewClockRequest{Skew: durationpb.New(by)})
			return d.GetNow().AsTime().UTC(), err
		}),
	}
}
