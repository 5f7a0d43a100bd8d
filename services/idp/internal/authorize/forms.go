package authorize

import (
	"context"

	"github.com/lockstep-sso/lockstep/services/idp/internal/flowstate"
)

// Resume goes on from a sign-in page with credentials that arrived meanwhile.
func (s *Service) Resume(ctx context.Context, st *flowstate.State, c Credentials, ssoNonce string) (Outcome, error) {
	return s.enter(ctx, st, c, entry{again: true, ssoNonce: ssoNonce})
}

// Beside looks at the headers that came with a form. They tell the device and
// never the user: whoever types a password is not whoever the device knows.
func (s *Service) Beside(ctx context.Context, st *flowstate.State, c Credentials) error {
	c.Cookie = Credentials{}.Cookie
	only := *st
	only.Asked.Fresh = true
	f, err := s.identify(ctx, &only, c, "")
	if err == nil && f.device.ID != "" {
		st.Device = f.device
	}
	return err
}

// HandOver takes a sign-in that was proven at the host which asks for certificates back
// to the login host: session cookies are of that host alone.
func (s *Service) HandOver(ctx context.Context, st *flowstate.State) (Outcome, error) {
	return s.page(ctx, st, flowstate.Certified, PageHandOver, nil)
}

// Ask shows the sign-in page again after a form that was not good.
func (s *Service) Ask(ctx context.Context, st *flowstate.State, err error) (Outcome, error) {
	return s.ask(ctx, st, err)
}

// AskChange shows the page of the new password again.
func (s *Service) AskChange(ctx context.Context, st *flowstate.State, err error) (Outcome, error) {
	return s.page(ctx, st, flowstate.Change, PageChange, err)
}

// AskFactor shows the page of the second factor again after an answer that was not
// good. What is demanded may have changed meanwhile, and then another page comes.
func (s *Service) AskFactor(ctx context.Context, st *flowstate.State, why error) (Outcome, error) {
	o, err := s.Proceed(ctx, st)
	if o.Page != nil && o.Page.Kind == PageFactor {
		o.Page.Code, o.Page.Text = told(why)
	}
	return o, err
}
