// Package securityinfo is a person's own methods: what people register to prove who
// they are, by themselves.
//
// What lives here: who may change what (the access token, its second factor), the
// proof that a person has what they register, and the notice of every change. What
// never may: a page, a policy (it was asked when the token was issued: the resource
// stands for the user action "register security information"), the methods of another
// person. The server's edge calls it for the HTTPS front.
package securityinfo

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/directory"
	"github.com/lockstep-sso/lockstep/services/idp/internal/flowstate"
	"github.com/lockstep-sso/lockstep/services/idp/internal/grants"
	"github.com/lockstep-sso/lockstep/services/idp/internal/lockout"
	"github.com/lockstep-sso/lockstep/services/idp/internal/outbox"
	"github.com/lockstep-sso/lockstep/services/idp/internal/pairing"
	"github.com/lockstep-sso/lockstep/services/idp/internal/passkey"
	"github.com/lockstep-sso/lockstep/services/idp/internal/replay"
	"github.com/lockstep-sso/lockstep/services/idp/internal/resource"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// ClientID is the one application whose tokens are taken: the pages of the front. With
// those of any other, whoever has a person's consent for something could make
// themselves a way in for ever.
const ClientID ids.ClientID = "19db86c3-b2b9-44cc-b339-36da233a3be2"

// factorChallenge asks for a token with a second factor.
const factorChallenge = `{"access_token":{"amr":{"essential":true,"values":["mfa"]}}}`

// Config of the room. Every field must be set.
type Config struct {
	Resource  *resource.Service
	Directory *directory.Directory
	Pairing   *pairing.Service
	Passkeys  *passkey.Service
	Outbox    *outbox.Box
	Sealer    flowstate.Sealer
	Replays   *replay.Cache
	Attempts  *lockout.Counters
	Log       *signinlog.Log
	Clock     clock.Clock
}

// Service is safe for concurrent use.
type Service struct{ cfg Config }

// New makes the room.
func New(cfg Config) *Service { return &Service{cfg: cfg} }

// Call is who asks.
type Call struct {
	// Token is an access token for the security-information resource.
	Token secret.Text
	// Host that was asked, as the edge saw it: passkeys belong to it.
	Host string
	// Correlation is the client's id for the request, or empty.
	Correlation string
}

// person is whose token it is.
type person struct {
	resource.Holder
	call Call
}

// who checks the token: of this resource, of the one application, of a user who is
// there.
func (s *Service) who(ctx context.Context, c Call) (person, error) {
	h, err := s.cfg.Resource.Holder(ctx, c.Token, tenant.Resource{URI: tenant.SecurityInfoResource, ID: ClientID})
	if err == nil && h.Client != ClientID {
		err = prterr.New(prterr.Denied, "access_token is of an application that may not change how people sign in: use the page of the security information")
	}
	return person{Holder: h, call: c}, err
}

// allowed demands a second factor of a person who has one: a password alone must not
// be enough to get another way in. AADSTS50076 with a claims challenge. Who has none
// may register the first, unless a policy said no when the token was issued.
func (s *Service) allowed(p person, now store.User) error {
	if slices.Contains(p.AMR, "mfa") || len(grants.Registered(now)) == 0 && !now.AccessPass.Usable(s.cfg.Clock.Now()) {
		return nil
	}
	return prterr.AADSTS(aadsts.MFARequired, "").WithClaims(factorChallenge)
}

// whoChanges is who, for a person who may change something.
func (s *Service) whoChanges(ctx context.Context, c Call) (person, error) {
	p, err := s.who(ctx, c)
	if err == nil {
		err = s.allowed(p, p.User)
	}
	return p, err
}

// change changes a person's methods, after it looked once more whether they may: one
// may have been registered meanwhile.
func (s *Service) change(ctx context.Context, p person, f func(*store.User) error) (store.User, error) {
	var after store.User
	err := s.cfg.Directory.ChangeMethods(ctx, p.User.Tenant, p.User.ID, func(u *store.User) error {
		if err := s.allowed(p, *u); err != nil {
			return err
		}
		if err := f(u); err != nil {
			return err
		}
		after = *u
		return nil
	})
	return after, err
}

// done ends a change in the log.
func (s *Service) done(ctx context.Context, p person, what string, err error) {
	e := signinlog.Event{Flow: signinlog.SecurityInfo, Tenant: p.User.Tenant, User: p.User.UPN, Client: p.Client, Reason: what}
	if id, err := uuid.Parse(p.call.Correlation); err == nil {
		e.Correlation = id.String()
	}
	s.cfg.Log.Record(ctx, s.cfg.Clock.Now(), e, err)
}

// tell sends a person a notice of what was changed: who it was not learns of it.
func (s *Service) tell(u store.User, format string, args ...any) {
	s.cfg.Outbox.Send(outbox.Message{
		User: u.UPN, Channel: outbox.Notice,
		Text: secret.NewText(fmt.Sprintf(format, args...) + " If it was not you, tell your administrator."),
	})
}

// Paired tells of an authenticator that was added, whose own page may never ask.
func (s *Service) Paired(ctx context.Context, u store.User, name string) {
	p := person{Holder: resource.Holder{User: u, Client: ClientID}}
	s.done(ctx, p, "added microsoftAuthenticatorPush", nil)
	s.tell(u, "The authenticator app %q was added to your account.", name)
}
