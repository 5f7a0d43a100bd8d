package faulty

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lockstep-sso/lockstep/pkg/fault"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	faultv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/fault/v1"
)

// door serves prt.fault.v1.
type door struct {
	faultv1.UnimplementedFaultServiceServer
	service *Service
}

// SetRules replaces all rules.
func (d *door) SetRules(_ context.Context, r *faultv1.SetRulesRequest) (*faultv1.SetRulesResponse, error) {
	rules, err := fault.Parse(r.GetRules())
	if err == nil {
		err = d.service.Set(rules, r.GetSeed())
	}
	if err != nil {
		return nil, prterr.New(prterr.Invalid, "%v", err)
	}
	e := d.service.engine
	return &faultv1.SetRulesResponse{Rules: e.Rules().String(), Seed: e.Seed()}, nil
}

// DescribeRules tells what is in force.
func (d *door) DescribeRules(context.Context, *faultv1.DescribeRulesRequest) (*faultv1.DescribeRulesResponse, error) {
	resp := &faultv1.DescribeRulesResponse{Component: d.service.component, Seed: d.service.engine.Seed()}
	for i, s := range d.service.engine.State() {
		seen, struck := d.service.struck(i, s)
		state := &faultv1.RuleState{Rule: s.Rule.String(), Seen: seen, Struck: struck}
		if !s.Last.IsZero() {
			state.Last = timestamppb.New(s.Last)
		}
		resp.Rules = append(resp.Rules, state)
	}
	return resp, nil
}
