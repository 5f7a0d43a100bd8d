package server

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	labv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lab/v1"
)

// maxAdvance is the furthest one call moves the clock (prt.lab.v1).
const maxAdvance = 400 * 24 * time.Hour

// Clock serves prt.lab.v1.ClockService over a laboratory's clock.
type Clock struct {
	labv1.UnimplementedClockServiceServer
	Lab *clock.Lab
}

// AdvanceClock moves the component's clock forward.
func (c *Clock) AdvanceClock(_ context.Context, req *labv1.AdvanceClockRequest) (*labv1.AdvanceClockResponse, error) {
	by := req.GetBy().AsDuration()
	if err := req.GetBy().CheckValid(); err != nil || by <= 0 || by > maxAdvance {
		return nil, prterr.New(prterr.Invalid, "by must be more than zero and at most 400 days")
	}
	return &labv1.AdvanceClockResponse{Now: timestamppb.New(c.Lab.Advance(by))}, nil
}
