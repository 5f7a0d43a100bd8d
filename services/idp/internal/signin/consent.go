package signin

import (
	"context"

	"github.com/lockstep-sso/lockstep/services/idp/internal/authorize"
	"github.com/lockstep-sso/lockstep/services/idp/internal/flowstate"
)

// AnswerConsent takes the answer to what an application wants to be allowed.
func (s *Service) AnswerConsent(ctx context.Context, f Form, accept, forOrganization bool) (authorize.Outcome, error) {
	st, over := s.open(f, flowstate.Consent)
	switch {
	case over != nil:
		return *over, nil
	case !accept:
		return s.next.DeclineConsent(ctx, st)
	default:
		return s.next.Consent(ctx, st, forOrganization)
	}
}
