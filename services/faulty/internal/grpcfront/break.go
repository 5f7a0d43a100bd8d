package grpcfront

import (
	"context"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/fault"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

// call is one call that came in.
type call struct {
	front          *Front
	caller, method string
	request        []byte
	turn           *turn
}

// hand hands the call on as it came.
func (c call) hand(ctx context.Context) ([]byte, error) {
	return c.front.cfg.Real.Hand(ctx, c.caller, c.method, c.request)
}

// broken does what a rule says in place of handing on. What the transport would say is
// said as it says it, without our details.
func (c call) broken(ctx context.Context, s fault.Strike) ([]byte, error) {
	switch r := s.Rule; r.Action {
	case fault.Unavailable:
		return nil, status.Error(codes.Unavailable, "nobody is there")
	case fault.Drop:
		<-ctx.Done()
		return nil, ended(ctx)
	case fault.ExecuteThenTimeout:
		_, _ = c.hand(ctx) // what came of it is what the caller does not learn
		return nil, status.Error(codes.DeadlineExceeded, "the deadline of the call passed")
	case fault.Corrupt:
		return c.corrupted(ctx, s)
	case fault.Duplicate:
		if _, err := c.hand(ctx); ctx.Err() != nil {
			return nil, err
		}
		return c.hand(ctx)
	case fault.Reorder:
		answer, err := c.hand(ctx)
		if late := c.turn.afterNext(ctx, c.front.cfg.Clock); late != nil {
			return nil, late
		}
		return answer, err
	case fault.OtherDevice:
		return c.front.cfg.Other.Hand(ctx, c.caller, c.method, c.request)
	case fault.Answer:
		return nil, given(r)
	case fault.Throttle:
		return nil, c.front.throttled(r)
	default:
		return nil, prterr.New(prterr.Internal, "the rule %s cannot strike a call", r)
	}
}

func ended(ctx context.Context) error { return status.FromContextError(ctx.Err()).Err() }

// given is the error that a rule wants answered.
func given(r fault.Rule) error {
	if r.Code != 0 {
		return prterr.AADSTS(r.Code, "")
	}
	return prterr.New(r.Kind, "a rule of the laboratory answers so")
}

// throttled says when to come again in the form of google.rpc.RetryInfo.
func (f *Front) throttled(r fault.Rule) error {
	e := prterr.New(prterr.Exhausted, "too many requests: try again in %v", r.Duration)
	if f.cfg.Component == "idp" {
		e = prterr.AADSTS(aadsts.Throttled, "")
	}
	s, ok := status.FromError(prterr.ToStatus(e))
	if !ok {
		return e
	}
	hinted, err := s.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(r.Duration)})
	if err != nil {
		return e
	}
	return hinted.Err()
}

// corrupted changes a field on the way there, or on the way back; an error has none.
func (c call) corrupted(ctx context.Context, s fault.Strike) ([]byte, error) {
	m, known := c.front.methods[c.method]
	if !known || m.CanCorrupt(s.Rule.Request, s.Rule.Field) != nil {
		c.front.cfg.Log.WarnContext(ctx, "nothing to corrupt: the message has no such field", "rule", s.Rule.String(), "method", c.method)
		return c.hand(ctx)
	}
	if s.Rule.Request {
		var err error
		if c.request, err = m.Corrupt(true, s.Rule.Field, c.request, s.Draw); err != nil {
			return nil, prterr.Wrap(prterr.Internal, err, "the request could not be changed")
		}
		return c.hand(ctx)
	}
	answer, err := c.hand(ctx)
	if err != nil {
		return nil, err
	}
	if answer, err = m.Corrupt(false, s.Rule.Field, answer, s.Draw); err != nil {
		return nil, prterr.Wrap(prterr.Internal, err, "the answer could not be changed")
	}
	return answer, nil
}
