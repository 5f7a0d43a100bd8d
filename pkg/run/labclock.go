package run

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	labv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lab/v1"
)

// maxAdvance bounds one move of a lab's clock, and how wrong it can be set.
const maxAdvance = 400 * 24 * time.Hour

// LabAllow says who may call what a component serves in lab mode beside its own.
func LabAllow() rpc.AllowList {
	return rpc.AllowList{
		labv1.ClockService_DescribeClock_FullMethodName: {"operator"},
		labv1.ClockService_AdvanceClock_FullMethodName:  {"operator"},
		labv1.ClockService_FreezeClock_FullMethodName:   {"operator"},
		labv1.ClockService_ResumeClock_FullMethodName:   {"operator"},
		labv1.ClockService_SkewClock_FullMethodName:     {"operator"},
	}
}

// WholeLabAllow says who may call the door of a whole laboratory, which is no
// component and has none beside it in a deployment.
func WholeLabAllow() rpc.AllowList {
	return rpc.AllowList{
		labv1.LabService_DescribeLab_FullMethodName: {"operator"},
		labv1.LabService_AdvanceLab_FullMethodName:  {"operator"},
		labv1.LabService_AdjustLab_FullMethodName:   {"operator"},
		labv1.LabService_PlayCommand_FullMethodName: {"operator"},
		labv1.LabService_ListTraces_FullMethodName:  {"operator"},
		labv1.LabService_GetTrace_FullMethodName:    {"operator"},
	}
}

// labClock lets the operator move the clock of a component. It is served only by
// components that were started with a lab clock, so a component outside lab mode
// has no way to be told another time.
type labClock struct {
	labv1.UnimplementedClockServiceServer
	clock *clock.Lab
	moves func(by time.Duration)
}

func registerLab(r grpc.ServiceRegistrar, c *clock.Lab, moves func(by time.Duration)) {
	labv1.RegisterClockServiceServer(r, &labClock{clock: c, moves: moves})
}

// DescribeClock tells the time.
func (l *labClock) DescribeClock(context.Context, *labv1.DescribeClockRequest) (*labv1.DescribeClockResponse, error) {
	return &labv1.DescribeClockResponse{Now: timestamppb.New(l.clock.Now()), Frozen: l.clock.Frozen(), Skew: durationpb.New(l.clock.Skew())}, nil
}

// AdvanceClock moves the clock forward.
func (l *labClock) AdvanceClock(_ context.Context, r *labv1.AdvanceClockRequest) (*labv1.AdvanceClockResponse, error) {
	by := r.GetBy()
	if err := by.CheckValid(); err != nil || by.AsDuration() <= 0 || by.AsDuration() > maxAdvance {
		return nil, prterr.New(prterr.Invalid, "by: must be more than zero and at most 400 days")
	}
	if l.moves != nil {
		l.moves(by.AsDuration())
	}
	return &labv1.AdvanceClockResponse{Now: timestamppb.New(l.clock.Advance(by.AsDuration()))}, nil
}

// FreezeClock stops the clock.
func (l *labClock) FreezeClock(context.Context, *labv1.FreezeClockRequest) (*labv1.FreezeClockResponse, error) {
	return &labv1.FreezeClockResponse{Now: timestamppb.New(l.clock.Freeze())}, nil
}

// ResumeClock lets it go on.
func (l *labClock) ResumeClock(context.Context, *labv1.ResumeClockRequest) (*labv1.ResumeClockResponse, error) {
	return &labv1.ResumeClockResponse{Now: timestamppb.New(l.clock.Resume())}, nil
}

// SkewClock sets it wrong.
func (l *labClock) SkewClock(_ context.Context, r *labv1.SkewClockRequest) (*labv1.SkewClockResponse, error) {
	skew := r.GetSkew()
	if err := skew.CheckValid(); err != nil || skew.AsDuration().Abs() > maxAdvance {
		return nil, prterr.New(prterr.Invalid, "skew: must be at most 400 days either way")
	}
	return &labv1.SkewClockResponse{Now: timestamppb.New(l.clock.SetSkew(skew.AsDuration()))}, nil
}
