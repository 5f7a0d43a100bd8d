package authorize

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/deviceflow"
	"github.com/lockstep-sso/lockstep/services/idp/internal/flowstate"
)

// maxUserCode bounds what a person types, in bytes.
const maxUserCode = 40

// VisitDevice is the page where a person types the code of a device (RFC 8628
// section 3.3). With a good code it goes on as any sign-in does, and asks before
// it signs the device in.
func (s *Service) VisitDevice(ctx context.Context, caller Caller, typed string, c Credentials) (Outcome, error) {
	typed = typed[:min(len(typed), maxUserCode)]
	st := s.keep.Begin(flowstate.Asked{UserCode: typed}, correlation(caller.Correlation))
	if typed == "" {
		return s.page(ctx, st, flowstate.Over, PageDeviceCode, nil)
	}
	asked, err := s.WaitingDevice(ctx, typed)
	if err != nil {
		return s.device(ctx, st, err)
	}
	st.Asked = asked
	return s.enter(ctx, st, c, entry{agent: caller.UserAgent, again: true})
}

// WaitingDevice finds what the device of a code asks for. AADSTS70018, 70019.
func (s *Service) WaitingDevice(ctx context.Context, typed string) (flowstate.Asked, error) {
	f, err := s.flows.ByUserCode(ctx, typed)
	switch {
	case err != nil:
		return flowstate.Asked{}, err
	case f.Status != deviceflow.Waiting:
		return flowstate.Asked{}, prterr.AADSTS(aadsts.CodeExpired, "the code was answered already: start again on the device")
	}
	a := flowstate.Asked{
		Client: f.Client, Tenant: f.Tenant, V2: f.Version == 2, Scope: f.Scope, Resource: f.Resource, UserCode: f.UserCode,
	}
	err = demands(f.Claims, f.AMRValues, &a)
	return a, err
}

// Decline answers a device with no.
func (s *Service) Decline(ctx context.Context, st *flowstate.State) (Outcome, error) {
	if err := s.flows.Decline(ctx, st.Asked.UserCode); err != nil {
		return s.device(ctx, st, err)
	}
	return s.end(ctx, st, prterr.AADSTS(aadsts.AuthorizationDeclined, ""))
}

// device shows the page of the code again with what is wrong with it.
func (s *Service) device(ctx context.Context, st *flowstate.State, err error) (Outcome, error) {
	if broken(err) {
		return Outcome{}, err
	}
	st.Proof = flowstate.Proof{}
	s.log(ctx, st, nil, err)
	return s.page(ctx, st, flowstate.Over, PageDeviceCode, err)
}
