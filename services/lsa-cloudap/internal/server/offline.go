package server

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/cloudap"
)

// offlinePolicy lifts the offline limit.
type offlinePolicy struct {
	lsav1.UnimplementedOfflinePolicyServiceServer
	cloudAP *cloudap.CloudAP
}

func (o offlinePolicy) OpenBreakGlass(ctx context.Context, req *lsav1.OpenBreakGlassRequest) (*lsav1.OpenBreakGlassResponse, error) {
	if err := req.GetFor().CheckValid(); err != nil {
		return nil, prterr.New(prterr.Invalid, "for: must be more than zero and at most 30 days")
	}
	until, err := o.cloudAP.OpenBreakGlass(ctx, req.GetFor().AsDuration())
	if err != nil {
		return nil, err
	}
	return &lsav1.OpenBreakGlassResponse{Until: timestamppb.New(until)}, nil
}

func (o offlinePolicy) CloseBreakGlass(ctx context.Context, _ *lsav1.CloseBreakGlassRequest) (*lsav1.CloseBreakGlassResponse, error) {
	if err := o.cloudAP.CloseBreakGlass(ctx); err != nil {
		return nil, err
	}
	return &lsav1.CloseBreakGlassResponse{}, nil
}
