package authorize

import (
	"context"
	"crypto/rand"
	"errors"
	"net/url"

	"github.com/google/uuid"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/flowstate"
	"github.com/lockstep-sso/lockstep/services/idp/internal/grants"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// page shows a page of the sign-in, with what went wrong before it.
func (s *Service) page(_ context.Context, st *flowstate.State, step flowstate.Step, kind Kind, why error) (Outcome, error) {
	st.Step = step
	token, err := s.keep.Seal(st)
	if err != nil {
		return Outcome{}, err
	}
	p := &Page{
		Kind: kind, FlowToken: token, Canary: secret.NewText(st.Canary), SessionID: st.ID, UPN: st.Asked.Hint,
		Nonce: s.gate.Nonces.Issue(), UserCode: st.Asked.UserCode,
	}
	s.dress(st, p)
	p.Code, p.Text = told(why)
	return Outcome{Page: p}, nil
}

// dress names the application, the organisation and the user.
func (s *Service) dress(st *flowstate.State, p *Page) {
	home := st.Proof.Tenant
	if home == "" {
		home = st.Asked.Tenant
	}
	t, known := s.gate.Tenants.Tenant(home)
	if known {
		p.TenantName = t.DisplayName
	}
	all := s.gate.Tenants.All()
	if known {
		all = []*tenant.Tenant{t}
	}
	for _, t := range all {
		if app, ok := t.Application(st.Asked.Client); ok {
			p.Application = app.Name
			return
		}
	}
}

// told is what a page says of an error: what was written for the user.
func told(err error) (code aadsts.Code, text string) {
	var known *prterr.Error
	if errors.As(err, &known) {
		return known.Code, known.Msg
	}
	return 0, ""
}

// end shows the page of an error that neither user nor application can go on from.
func (s *Service) end(ctx context.Context, st *flowstate.State, err error) (Outcome, error) {
	if broken(err) || prterr.CodeOf(err) == 0 {
		return Outcome{}, err
	}
	s.log(ctx, st, &st.Proof, err)
	o := Over(err)
	o.Page.SessionID = st.ID
	s.dress(st, o.Page)
	return o, nil
}

// Over is the page of an error without a sign-in that it belongs to.
func Over(err error) Outcome {
	p := &Page{Kind: PageError, SessionID: uuid.NewString(), Canary: secret.NewText(rand.Text())}
	p.Code, p.Text = told(err)
	return Outcome{Page: p}
}

// refuse tells the application. A sign-in by device code has none to tell: the
// person sees it.
func (s *Service) refuse(ctx context.Context, st *flowstate.State, err error, claims string) (Outcome, error) {
	var known *prterr.Error
	if !errors.As(err, &known) || broken(err) {
		return Outcome{}, err
	}
	if st.Asked.UserCode != "" {
		return s.end(ctx, st, err)
	}
	s.log(ctx, st, &st.Proof, err)
	return Outcome{Refusal: &Refusal{
		RedirectURI: st.Asked.RedirectURI, Mode: st.Asked.Mode, State: st.Asked.State, Code: known.Code, Text: known.Msg, Claims: claims,
	}}, nil
}

// log ends a visit or a form in the sign-in log.
func (s *Service) log(ctx context.Context, st *flowstate.State, p *flowstate.Proof, why error) {
	e := signinlog.Event{
		Flow: signinlog.WebSignIn, Tenant: st.Asked.Tenant, Device: st.Device.ID, Client: st.Asked.Client, Correlation: st.Correlation, Detail: st.Detail,
	}
	grants.NoteCaller(ctx, &e)
	if p != nil && p.Known() {
		e.Tenant = p.Tenant
		if u, err := s.gate.Directory.User(ctx, p.Tenant, p.User); err == nil {
			e.User = u.UPN
		}
	}
	s.gate.Log.Record(ctx, s.gate.Clock.Now(), e, why)
}

// Log notes what became of a form, about a user that may not exist.
func (s *Service) Log(ctx context.Context, st *flowstate.State, flow signinlog.Flow, user ids.UPN, why error) {
	home, _ := s.gate.Tenants.Home(user.Domain())
	e := signinlog.Event{Flow: flow, User: user, Device: st.Device.ID, Client: st.Asked.Client, Correlation: st.Correlation}
	grants.NoteCaller(ctx, &e)
	if home.Tenant != nil {
		e.Tenant = home.Tenant.ID
	}
	s.gate.Log.Record(ctx, s.gate.Clock.Now(), e, why)
}

// Away is the sign-in page of a user's federation provider, and false when the
// user has none. It comes back with the flow token as wctx (WS-Federation
// passive requestor).
func (s *Service) Away(st *flowstate.State, name string) (string, bool, error) {
	i := len(name) - 1
	for i >= 0 && name[i] != '@' {
		i--
	}
	if i < 0 {
		return "", false, nil
	}
	home, known := s.gate.Tenants.Home(name[i+1:])
	if !known || home.Domain.Federated == nil || st.Asked.Tenant != "" && st.Asked.Tenant != home.Tenant.ID {
		return "", false, nil
	}
	st.Step, st.Domain = flowstate.Away, home.Domain.Name
	token, err := s.keep.Seal(st)
	if err != nil {
		return "", false, err
	}
	to, err := url.Parse(home.Domain.Federated.PassiveURL)
	if err != nil {
		return "", false, nil //nolint:nilerr // the provider has no page for browsers: who asks goes on without
	}
	q := to.Query()
	q.Set("wa", "wsignin1.0")
	q.Set("wtrealm", "urn:federation:MicrosoftOnline")
	q.Set("wctx", token.Reveal())
	if i > 0 {
		q.Set("username", name)
	}
	to.RawQuery = q.Encode()
	return to.String(), true, nil
}
