package server

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	labv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lab/v1"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/artefact"
)

// labClock moves this component's clock in a lab.
type labClock struct {
	labv1.UnimplementedClockServiceServer
	lab *clock.Lab
}

func (l labClock) AdvanceClock(_ context.Context, req *labv1.AdvanceClockRequest) (*labv1.AdvanceClockResponse, error) {
	by := req.GetBy().AsDuration()
	if req.GetBy().CheckValid() != nil || by <= 0 || by > artefact.MaxLife {
		return nil, prterr.New(prterr.Invalid, "by must be more than zero and at most 400 days")
	}
	return &labv1.AdvanceClockResponse{Now: timestamppb.New(l.lab.Advance(by))}, nil
}
