// Package authorize is the authorization endpoint for everybody who comes over
// HTTPS: what was asked, who is there, what policy demands, and the answer.
//
// What lives here: the decision between answer, error, page and other places.
// What never may: a password or a one-time code; the room of the pages checks
// those and comes back with who it was. A PRT is never issued or renewed here.
// The server's edge calls it for each visit, the sign-in room after each form.
package authorize

import (
	"time"

	"github.com/google/uuid"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/deviceflow"
	"github.com/lockstep-sso/lockstep/services/idp/internal/flowstate"
	"github.com/lockstep-sso/lockstep/services/idp/internal/grants"
	"github.com/lockstep-sso/lockstep/services/idp/internal/session"
)

// Config of the service. Every field must be set.
type Config struct {
	Gate  *grants.Gate
	Flows *deviceflow.Flows
	Ended session.Ended
}

// Service decides about visits. It is safe for concurrent use.
type Service struct {
	gate  *grants.Gate
	flows *deviceflow.Flows
	ended session.Ended
	keep  flowstate.Keeper
}

// New makes the service.
func New(cfg Config) *Service {
	return &Service{
		gate: cfg.Gate, flows: cfg.Flows, ended: cfg.Ended,
		keep: flowstate.Keeper{Sealer: cfg.Gate.Authority, Clock: cfg.Gate.Clock},
	}
}

// Keeper opens the flow tokens of the pages made here.
func (s *Service) Keeper() flowstate.Keeper { return s.keep }

// Caller is what the edge saw of who asks. Nothing in it is proof.
type Caller struct {
	UserAgent string
	// Correlation is a GUID or empty.
	Correlation string
}

// Credentials are what a browser or broker brings beside a visit or a form. One
// that is not good is ignored; why it was not is in the sign-in log.
type Credentials struct {
	// PRTs are the PRT cookies, that of the first header first.
	PRTs []secret.Text
	// Device is a request signed with the device key.
	Device secret.Text
	// Cookie is the session cookie.
	Cookie secret.Text
}

// Outcome is what the browser does next: exactly one field is set.
type Outcome struct {
	SignedIn *SignedIn
	// Challenge is a nonce to come back with.
	Challenge string
	Page      *Page
	Refusal   *Refusal
	// Elsewhere is the address of the user's federation provider.
	Elsewhere string
}

// SignedIn is the answer to the application, and what the browser keeps.
type SignedIn struct {
	RedirectURI, Mode, State string
	Code, IDToken            secret.Text
	// SessionCookie for the next visit.
	SessionCookie secret.Text
	// SessionState changes when the session does.
	SessionState string
	// Persistent is a session that the user wants to keep.
	Persistent bool
}

// Refusal is an error for the application.
type Refusal struct {
	RedirectURI, Mode, State string
	Code                     aadsts.Code
	Text                     string
	// Claims is the claims challenge in JSON, or empty.
	Claims string
}

// Kind of a page.
type Kind int

// The pages.
const (
	PageSignIn Kind = iota + 1
	PageFactor
	PageDeviceCode
	PageDeviceConfirm
	PageDeviceDone
	PageChange
	// PageRegister says that a second factor must be registered first.
	PageRegister
	// PageConsent asks what the application may do.
	PageConsent
	// PageHandOver takes the sign-in back to the login host.
	PageHandOver
	// PageError is the end.
	PageError
)

// Page is what stands on a page.
type Page struct {
	Kind      Kind
	FlowToken secret.Text
	Canary    secret.Text
	// SessionID names the sign-in in the log, a GUID.
	SessionID   string
	UPN         string
	Application string
	TenantName  string
	Code        aadsts.Code
	Text        string
	Methods     []Method
	// Nonce is fresh, for a client that asks its broker itself.
	Nonce    string
	UserCode string
	// Guidance says what the user can do that the page cannot offer; RegisterURL is
	// where a method is registered.
	Guidance, RegisterURL string
	// Permissions are what the application wants, on PageConsent.
	Permissions []Permission
	// MayConsentForAll says that the user administers the organisation.
	MayConsentForAll bool
}

// Permission is one thing that an application wants to be allowed.
type Permission struct {
	// Resource by its name, and a scope of it.
	Resource, Scope string
}

// Method is a second factor the user may choose, by the name clients know.
type Method struct {
	ID, Display string
	Default     bool
}

// factorAge is how old a second factor may be that is demanded now (ngcmfa).
const factorAge = 10 * time.Minute

// correlation is a caller's id for the log, or nothing when it is not a GUID.
func correlation(s string) string {
	id, err := uuid.Parse(s)
	if err != nil || len(s) != 36 {
		return ""
	}
	return id.String()
}

func sameUser(tenant ids.TenantID, user ids.UserID, p flowstate.Proof) bool {
	return p.Known() && p.Tenant == tenant && p.User == user
}
