package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	labv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lab/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/door"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/operator"
)

// hands are those of the clock of a laboratory, or of a server that is one.
type hands struct {
	// lab is nil for a server.
	lab    labv1.LabServiceClient
	server labv1.ClockServiceClient
	conn   *grpc.ClientConn
}

// clockOf is the clock of a server, or of the laboratory that it is the cloud of.
func clockOf(c *operator.Client, l *door.Info) (hands, error) {
	if l == nil {
		if !c.Server.Lab {
			return hands{}, errors.New("the clock of this server cannot be moved: it is no laboratory, and has no prt.lab.v1.ClockService; start it with lockstep serve --lab")
		}
		return hands{server: c.Clock}, nil
	}
	conn, err := l.DialLab()
	if err != nil {
		return hands{}, err
	}
	return hands{lab: labv1.NewLabServiceClient(conn), conn: conn}, nil
}

func (h hands) close() error {
	if h.conn == nil {
		return nil
	}
	return h.conn.Close()
}

// timeIn is the time in an answer about a clock.
func timeIn(answer interface{ GetNow() *timestamppb.Timestamp }, err error) (time.Time, error) {
	return answer.GetNow().AsTime().UTC(), err
}

func (h hands) now(ctx context.Context) (time.Time, error) {
	if h.lab != nil {
		return timeIn(h.lab.DescribeLab(ctx, &labv1.DescribeLabRequest{}))
	}
	return timeIn(h.server.DescribeClock(ctx, &labv1.DescribeClockRequest{}))
}

func (h hands) advance(ctx context.Context, by time.Duration) (time.Time, error) {
	if h.lab != nil {
		return timeIn(h.lab.AdvanceLab(ctx, &labv1.AdvanceLabRequest{By: durationpb.New(by)}))
	}
	return timeIn(h.server.AdvanceClock(ctx, &labv1.AdvanceClockRequest{By: durationpb.New(by)}))
}

// strides moves the clock in strides, each as long as stride, the last maybe shorter.
func (h hands) strides(ctx context.Context, by, stride time.Duration) (now time.Time, err error) {
	for by > 0 {
		s := min(by, stride)
		if now, err = h.advance(ctx, s); err != nil {
			return now, err
		}
		by -= s
	}
	return now, nil
}

func clockCommand() *cobra.Command {
	var state string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "clock", Short: "Tell, move, stop and skew the clock of a running lockstep lab or serve --lab",
		Long: `Tell and move the clock of a running lockstep lab, or of a lockstep serve that was
started with --lab. It goes forward only. All components of a laboratory are moved,
the cloud's first, and the command waits until the renewals that fell due have ended.
A clock can also be stopped, and that of one component set wrong.`,
	}
	f := cmd.PersistentFlags()
	f.StringVar(&state, "state", "", "folder of the lockstep serve or lab that is meant (default the newest that runs)")
	labFlag(f, &state)
	f.BoolVar(&asJSON, "json", false, "print one JSON object: now")
	with := func(do func(context.Context, hands, []string) (time.Time, error)) func(*cobra.Command, []string) error {
		return func(cmd *cobra.Command, args []string) (err error) {
			i, l, err := theServer(cmd.ErrOrStderr(), state)
			if err != nil {
				return err
			}
			c, err := operator.Connect(i)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, c.Close()) }()
			h, err := clockOf(c, l)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, h.close()) }()
			now, err := do(cmd.Context(), h, args)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]string{"now": now.Format(time.RFC3339)})
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "it is %s\n", now.Format(time.RFC3339))
			return err
		}
	}
	cmd.AddCommand(&cobra.Command{
		Use: "now", Short: "Tell the time in the laboratory", Args: cobra.NoArgs,
		RunE: with(func(ctx context.Context, h hands, _ []string) (time.Time, error) { return h.now(ctx) }),
	}, advanceClockCommand(with), freezeClockCommand(with), resumeClockCommand(with), skewClockCommand(with))
	return cmd
}

func advanceClockCommand(with withHands) *cobra.Command {
	var every string
	back := errors.New("the clock goes forward only, by a duration such as 4h or 14d")
	cmd := &cobra.Command{
		Use: "advance DURATION", Short: "Move the clock forward, such as 4h or 14d", Args: cobra.ExactArgs(1),
		Example: "  lockstep clock advance 14d                # in one go: the devices slept for two weeks\n" +
			"  lockstep clock advance 14d --every 4h     # in strides: who is signed in has the PRT renewed every four hours",
		RunE: with(func(ctx context.Context, h hands, args []string) (time.Time, error) {
			by, err := lab.ParseDuration(args[0])
			if err != nil || by <= 0 {
				return time.Time{}, fmt.Errorf("%w, not by %.80q", back, args[0])
			}
			stride := by
			if every != "" {
				if stride, err = lab.ParseDuration(every); err != nil || stride < time.Minute {
					return time.Time{}, errors.Join(fmt.Errorf("--every %.80q: use a duration of a minute or more, such as 4h", every), err)
				}
			}
			return h.strides(ctx, by, stride)
		}),
	}
	// A clock that somebody wants to set back is taken for a flag: -1h.
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		if strings.HasPrefix(err.Error(), "unknown shorthand flag") {
			return back
		}
		return err
	})
	cmd.Flags().StringVar(&every, "every", "", "move in strides of this length, and let what falls due happen after each (default in one go)")
	return cmd
}
