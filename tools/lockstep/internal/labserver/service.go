package labserver

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	labv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lab/v1"
)

const (
	// maxAdvance bounds one move of the clocks, as each component does.
	maxAdvance = 400 * 24 * time.Hour
	// maxCommand bounds a command, in bytes.
	maxCommand = 4096
)

// begin waits for the turn of a command; the function that it returns ends it. What a
// command does begins traces of its own: they belong to the persons in the laboratory and
// not to the telephone call from outside, which would never be over before they are.
func (s *service) begin(ctx context.Context) (context.Context, func(), error) {
	select {
	case s.turn <- struct{}{}:
		return trace.ContextWithSpanContext(ctx, trace.SpanContext{}), func() { <-s.turn }, nil
	case <-ctx.Done():
		return ctx, nil, prterr.New(prterr.Unavailable, "another command runs in this laboratory: try again when it is over")
	}
}

// keep writes down where the clocks will be, before they are moved.
func (s *service) keep(by time.Duration) error {
	if by <= 0 || by > maxAdvance {
		return prterr.New(prterr.Invalid, "by: must be more than zero and at most 400 days")
	}
	if err := s.folder.keep(time.Now(), s.lab.Ahead()+by); err != nil {
		return prterr.Wrap(prterr.Conflict, err, "the time of the laboratory cannot be written to its folder %s, so the clocks were not moved: make room there, or let this user write to it", s.folder.dir)
	}
	return nil
}

func (s *service) now() *timestamppb.Timestamp {
	return timestamppb.New(time.Now().Add(s.lab.Ahead()))
}

// DescribeLab tells what there is.
func (s *service) DescribeLab(context.Context, *labv1.DescribeLabRequest) (*labv1.DescribeLabResponse, error) {
	return &labv1.DescribeLabResponse{Now: s.now(), Devices: s.names}, nil
}

// AdvanceLab moves the clocks and waits for what fell due.
func (s *service) AdvanceLab(ctx context.Context, r *labv1.AdvanceLabRequest) (*labv1.AdvanceLabResponse, error) {
	by := r.GetBy().AsDuration()
	if err := r.GetBy().CheckValid(); err != nil {
		return nil, prterr.New(prterr.Invalid, "by: is no duration")
	}
	ctx, end, err := s.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	if err := s.runner.Advance(ctx, by); err != nil {
		return nil, err
	}
	return &labv1.AdvanceLabResponse{Now: s.now()}, nil
}

// AdjustLab stops clocks, lets them go on, or sets one wrong.
func (s *service) AdjustLab(ctx context.Context, r *labv1.AdjustLabRequest) (*labv1.AdjustLabResponse, error) {
	ctx, end, err := s.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	var now time.Time
	switch a := r.GetAdjustment().(type) {
	case *labv1.AdjustLabRequest_Frozen:
		set := s.lab.Resume
		if a.Frozen {
			set = s.lab.Freeze
		}
		now, err = set(ctx, r.GetComponent())
	case *labv1.AdjustLabRequest_Skew:
		if err := a.Skew.CheckValid(); err != nil {
			return nil, prterr.New(prterr.Invalid, "skew: is no duration")
		}
		now, err = s.lab.Skew(ctx, r.GetComponent(), a.Skew.AsDuration())
	default:
		return nil, prterr.New(prterr.Invalid, "adjustment: is missing: use frozen or skew")
	}
	if err != nil {
		return nil, err
	}
	return &labv1.AdjustLabResponse{Now: timestamppb.New(now)}, nil
}

// PlayCommand carries out one command.
func (s *service) PlayCommand(ctx context.Context, r *labv1.PlayCommandRequest) (*labv1.PlayCommandResponse, error) {
	if len(r.GetCommand()) > maxCommand || len(r.GetDevice()) > maxCommand {
		return nil, prterr.New(prterr.Invalid, "command: at most %d bytes", maxCommand)
	}
	ctx, end, err := s.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	return s.runner.PlayCommand(ctx, r), nil
}
