// Package consent knows what people allowed applications to do in their name.
//
// What lives here: whether an application needs consent for what it asks, what was
// granted, by a user or for the organisation, and taking it back. What never may: a
// page, a token, the question what an application may ask for at all (that is the
// tenant's). The token endpoint and the redemption of a PRT ask it before an access
// token is issued, the authorization endpoint at the end of a sign-in.
package consent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

const (
	// kind of the documents: one for each tenant, application and user, or everybody
	// in place of a user.
	kind      = "consent"
	everybody = "organization"
	// maxScopes bounds what is granted to an application on one resource.
	maxScopes = 256
)

// Config of the room.
type Config struct {
	// Documents keep what was granted. It must be set.
	Documents store.Documents
}

// Service is safe for concurrent use.
type Service struct{ docs store.Documents }

// New makes the room.
func New(cfg Config) *Service { return &Service{docs: cfg.Documents} }

// Ask is what an application wants in the name of a user.
type Ask struct {
	Tenant   ids.TenantID
	App      tenant.Application
	User     ids.UserID
	Resource tenant.Resource
	// Scopes of the resource; none is all that it lists.
	Scopes []string
}

// Wanted are the scopes that the ask comes to.
func (a Ask) Wanted() []string {
	switch {
	case len(a.Scopes) > 0:
		return a.Scopes
	case len(a.Resource.Scopes) > 0:
		return Names(a.Resource.Scopes)
	default:
		return []string{"user_impersonation"}
	}
}

// grants are scopes by the URI of their resource.
type grants map[string][]string

// Missing lists the scopes that nobody has consented to; none when the application
// needs no consent. Where an administrator has to, what a user once allowed does not
// count.
func (s *Service) Missing(ctx context.Context, a Ask) ([]string, error) {
	if !a.App.Consent.Asks() {
		return nil, nil
	}
	whose := []string{everybody, string(a.User)}
	if a.App.Consent == tenant.ConsentAdministrator {
		whose = whose[:1]
	}
	missing := slices.Clone(a.Wanted())
	for _, who := range whose {
		g, err := s.read(ctx, a.Tenant, a.App.ID, who)
		if err != nil {
			return nil, err
		}
		missing = slices.DeleteFunc(missing, func(scope string) bool { return g.cover(a.Resource.URI, scope) })
		if len(missing) == 0 {
			return nil, nil
		}
	}
	return missing, nil
}

// cover says whether a scope was granted; any grant covers a mere sign-in.
func (g grants) cover(resource, scope string) bool {
	return scope == SignIn && len(g) > 0 || has(g[resource], scope)
}

func has(list []string, scope string) bool {
	return slices.ContainsFunc(list, func(s string) bool { return strings.EqualFold(s, scope) })
}

// Check refuses an ask that nobody consented to: AADSTS65001, also when only an
// administrator may, because who asks silently cannot ask one.
func (s *Service) Check(ctx context.Context, a Ask) error {
	missing, err := s.Missing(ctx, a)
	if err == nil && len(missing) > 0 {
		err = prterr.AADSTS(aadsts.ConsentRequired, "")
	}
	return err
}

// Grant notes that the user allowed what was asked, or, for the organisation, an
// administrator for every user. Who may do that is for who calls to know.
func (s *Service) Grant(ctx context.Context, a Ask, forOrganization bool) error {
	who := string(a.User)
	if forOrganization {
		who = everybody
	}
	return s.change(ctx, key(a.Tenant, a.App.ID, who), func(g grants) error {
		for _, scope := range a.Wanted() {
			if !has(g[a.Resource.URI], scope) {
				g[a.Resource.URI] = append(g[a.Resource.URI], scope)
			}
		}
		if len(g[a.Resource.URI]) > maxScopes {
			return prterr.New(prterr.Exhausted, "the application was allowed more than %d things on one resource: revoke its consent", maxScopes)
		}
		return nil
	})
}

// change reads, changes and writes a document, again when somebody else changed it
// between the two.
func (s *Service) change(ctx context.Context, key string, f func(grants) error) error {
	for range maxRaces {
		old, err := s.docs.Document(ctx, kind, key)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return prterr.Wrap(prterr.Internal, err, "consent cannot be read")
		}
		g, err := decode(old)
		if err != nil {
			return err
		}
		if err := f(g); err != nil {
			return err
		}
		raw, err := json.Marshal(g)
		if err != nil {
			return prterr.Wrap(prterr.Internal, err, "consent cannot be kept")
		}
		switch stands, err := s.docs.SwapDocument(ctx, kind, key, old, raw); {
		case err != nil:
			return prterr.Wrap(prterr.Internal, err, "consent cannot be kept")
		case bytes.Equal(stands, raw):
			return nil
		}
	}
	return prterr.New(prterr.Unavailable, "others change the same consent: try again")
}

// maxRaces bounds how often a change is made again; each round one gets through.
const maxRaces = 16

func key(t ids.TenantID, app ids.ClientID, who string) string {
	return string(t) + "/" + string(app) + "/" + who
}

func (s *Service) read(ctx context.Context, t ids.TenantID, app ids.ClientID, who string) (grants, error) {
	raw, err := s.docs.Document(ctx, kind, key(t, app, who))
	if errors.Is(err, store.ErrNotFound) {
		return grants{}, nil
	}
	if err != nil {
		return nil, prterr.Wrap(prterr.Internal, err, "consent cannot be read")
	}
	return decode(raw)
}

// decode reads a document; none is no grants.
func decode(raw []byte) (grants, error) {
	g := grants{}
	if raw == nil {
		return g, nil
	}
	if err := json.Unmarshal(raw, &g); err != nil {
		return nil, prterr.Wrap(prterr.Internal, err, "consent cannot be read")
	}
	return g, nil
}
