package authorize

import (
	"context"
	"strings"

	"go.opentelemetry.io/otel/trace"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/step"
	stepv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/step/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/flowstate"
)

// Visit is one visit to the authorization endpoint, as sent.
type Visit struct {
	Caller                         Caller
	ClientID, RedirectURI, Tenant  string
	V2                             bool
	ResponseType, ResponseMode     string
	State, Nonce, Scope, Resource  string
	CodeChallenge, ChallengeMethod string
	Prompt, LoginHint, DomainHint  string
	Claims, AMRValues              string
	SSONonce                       string
	SSOReload                      bool
	WindowsAPIVersion              string
	Credentials                    Credentials
}

// Visit decides about one visit. What is wrong with the application or its
// address is shown on a page, because nobody knows whether the address is good;
// what is wrong with the rest goes to the application. Errors are ours alone.
func (s *Service) Visit(ctx context.Context, v Visit) (_ Outcome, err error) {
	// A visit without a PRT cookie is not step F: there is nothing to check yet.
	if len(v.Credentials.PRTs) > 0 {
		var span trace.Span
		ctx, span = step.Start(ctx, stepv1.Step_STEP_BROWSER_SSO_F)
		defer func() { step.End(span, err) }()
	}
	a, err := s.application(v)
	if err != nil {
		return s.end(ctx, s.keep.Begin(a, correlation(v.Caller.Correlation)), err)
	}
	err = form(v, &a)
	st := s.keep.Begin(a, correlation(v.Caller.Correlation))
	if err == nil {
		err = s.audiences(a)
	}
	if err != nil {
		return s.refuse(ctx, st, err, "")
	}
	return s.enter(ctx, st, v.Credentials, entry{
		agent: v.Caller.UserAgent, ssoNonce: v.SSONonce, again: v.SSONonce != "" || v.SSOReload, domain: strings.ToLower(v.DomainHint),
	})
}

// entry is how somebody came to a sign-in, beside what was asked.
type entry struct {
	agent, ssoNonce string
	// again says that the browser was sent back once already, or will not go.
	again  bool
	domain string
}

// enter finds out who is there already and goes on from that.
func (s *Service) enter(ctx context.Context, st *flowstate.State, c Credentials, e entry) (Outcome, error) {
	found, err := s.identify(ctx, st, c, e.ssoNonce)
	if err != nil {
		return Outcome{}, err
	}
	st.Device = found.device
	switch {
	case found.ambiguous:
		// Nothing was used up: the same headers are good once the cookie is gone.
		return s.ask(ctx, st, prterr.AADSTS(aadsts.InteractionRequired, ""))
	case found.stale && !e.again:
		return s.challenge(ctx, st)
	case found.proof.Known() && !st.Asked.Fresh:
		st.Proof = found.proof
		return s.Proceed(ctx, st)
	case !e.again && !st.Asked.Fresh && pulls(e.agent) && st.Asked.UserCode == "":
		return s.challenge(ctx, st)
	case st.Asked.Silent:
		return s.refuse(ctx, st, prterr.AADSTS(aadsts.UserInformationMissing, ""), "")
	}
	if to, ok, err := s.Away(st, federatedName(st.Asked.Hint, e.domain)); ok || err != nil {
		return Outcome{Elsewhere: to}, err
	}
	return s.page(ctx, st, flowstate.SignIn, PageSignIn, nil)
}

// challenge sends the browser back for a PRT cookie with a nonce, once.
func (s *Service) challenge(ctx context.Context, st *flowstate.State) (Outcome, error) {
	s.log(ctx, st, nil, prterr.AADSTS(aadsts.BrowserNonceRequired, ""))
	return Outcome{Challenge: s.gate.Nonces.Issue()}, nil
}

// pulls reports whether a browser can fetch a PRT cookie: Edge does by itself,
// Chrome with Microsoft's extension, both on Windows. Others are only known to
// when they bring one.
func pulls(agent string) bool {
	return strings.Contains(agent, "Windows NT") && strings.Contains(agent, "Chrome/")
}

// federatedName is a name whose domain says where to sign in: the hint of the
// user, else one of nobody in the hinted domain.
func federatedName(hint, domain string) string {
	if _, err := ids.ParseUPN(hint); err == nil {
		return hint
	}
	if domain != "" {
		return "@" + domain
	}
	return ""
}
