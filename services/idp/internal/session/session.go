// Package session signs users in to web pages with a PRT cookie, for a device's
// own browser; who comes over HTTPS goes to the room authorize.
//
// What lives here: the decision between three outcomes, and the rule that a
// session cookie is good only beside a fresh proof of its session key. What
// never may: a PRT that is issued or renewed, and an error shown to the user for
// a credential that was not good; why it was not is in the sign-in log. The
// server's edge calls it (browser SSO, steps E and F; MS-OAPXBC 3.2.5.2).
package session

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/trace"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/pkg/step"
	stepv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/step/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/grants"
	"github.com/lockstep-sso/lockstep/services/idp/internal/issuance"
)

// maxNonce bounds the nonce of an application, in bytes.
const maxNonce = 512

// Request is one visit to the authorization endpoint.
type Request struct {
	ClientID, RedirectURI string
	// Nonce of the application.
	Nonce string
	// Prompt is empty, "none" or "login".
	Prompt string
	// SSONonce is what the URL carries after a challenge.
	SSONonce string
	// Credential is the PRT cookie.
	Credential secret.Text
	// Cookie is the session cookie of an earlier visit.
	Cookie secret.Text
	// Correlation is the client's id for the request, for the log, or empty.
	Correlation string
}

// Outcome is what the browser does next: exactly one field is set.
type Outcome struct {
	SignedIn *issuance.WebTokens
	// Challenge is a nonce to come back with.
	Challenge string
	// SignInPage asks the user to sign in.
	SignInPage bool
}

// Service signs users in.
type Service struct {
	gate  *grants.Gate
	ended Ended
}

// New makes the service.
func New(g *grants.Gate, e Ended) *Service { return &Service{gate: g, ended: e} }

// errCredential says that there is no credential, or none that is good. It never
// leaves this room.
var errCredential = errors.New("no good credential")

// refusal is what a policy said of a good credential.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

// Authorize decides about one visit. Errors are about the application only
// (AADSTS700016, 50011, 900144, 90023), or AADSTS50058 when it wanted no page
// and the user is not signed in, or the codes of the policies.
func (s *Service) Authorize(ctx context.Context, r Request) (_ Outcome, err error) {
	// A visit without a credential is not step F: there is nothing to check yet.
	if !r.Credential.Empty() {
		var span trace.Span
		ctx, span = step.Start(ctx, stepv1.Step_STEP_BROWSER_SSO_F)
		defer func() { step.End(span, err) }()
	}
	app, err := s.application(r)
	if err != nil {
		return Outcome{}, err
	}
	if r.Prompt == "login" {
		return Outcome{SignInPage: true}, nil
	}
	tokens, err := s.signIn(ctx, app, r)
	switch {
	case err == nil:
		return Outcome{SignedIn: &tokens}, nil
	case (prterr.KindOf(err) == prterr.Interaction || prterr.CodeOf(err) == aadsts.SessionTooOld) && r.Prompt != "none":
		// What a policy wants can be had at the page.
		return Outcome{SignInPage: true}, nil
	case !errors.Is(err, errCredential):
		return Outcome{}, err
	case r.SSONonce == "":
		return Outcome{Challenge: s.gate.Nonces.Issue()}, nil
	case r.Prompt == "none":
		return Outcome{}, prterr.AADSTS(aadsts.UserInformationMissing, "")
	default:
		// Sent back once already: a second challenge would be a loop.
		return Outcome{SignInPage: true}, nil
	}
}

// application checks who wants the user signed in. The tenant is not known
// before the user is, so any tenant will do here; the user's own is checked
// again before tokens are made.
func (s *Service) application(r Request) (ids.ClientID, error) {
	id, err := ids.ParseClient(r.ClientID)
	switch {
	case r.ClientID == "":
		return "", prterr.AADSTS(aadsts.MissingParameter, "client_id is missing")
	case err != nil:
		return "", prterr.AADSTS(aadsts.InvalidRequest, "client_id is not right: %v", err)
	case len(r.Nonce) > maxNonce:
		return "", prterr.AADSTS(aadsts.InvalidRequest, "nonce is longer than %d bytes", maxNonce)
	case r.Prompt != "" && r.Prompt != "none" && r.Prompt != "login":
		return "", prterr.AADSTS(aadsts.InvalidRequest, "prompt is not one of none and login")
	}
	refused := prterr.AADSTS(aadsts.ApplicationNotFound, "")
	for _, t := range s.gate.Tenants.All() {
		app, known := t.Application(id)
		switch {
		case known && app.Redirects(r.RedirectURI):
			return id, nil
		case known:
			refused = prterr.AADSTS(aadsts.InvalidReplyTo, "")
		}
	}
	return "", refused
}
