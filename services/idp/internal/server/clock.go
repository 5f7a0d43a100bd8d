package server

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	labv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lab/v1"
)

// maxAdvance is the longest move of a lab clock.
const maxAdvance = 400 * 24 * time.Hour

// Clock serves ClockService, in a lab only.
type Clock struct {
	labv1.UnimplementedClockServiceServer
	Lab *clock.Lab
}

// AdvanceClock moves the clock forward.
func (s *Clock) AdvanceClock(_ context.Context, req *labv1.AdvanceClockRequest) (*labv1.AdvanceClockResponse, error) {
	if err := req.GetBy().CheckValid(); err != nil {
		return nil, prterr.New(prterr.Invalid, "by is missing or not a duration")
	}
	by := req.GetBy().AsDuration()
	if by <= 0 || by > maxAdvance {
		return nil, prterr.New(prterr.Invalid, "by is not more than zero and at most 400 days")
	}
	return &labv1.AdvanceClockResponse{Now: timestamppb.New(s.Lab.Advance(by))}, nil
}
