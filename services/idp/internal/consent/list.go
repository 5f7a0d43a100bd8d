package consent

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

// Granted is what was allowed to one application on one resource.
type Granted struct {
	App ids.ClientID
	// User who allowed it; empty is everybody.
	User ids.UserID
	// Resource is its URI.
	Resource string
	Scopes   []string
}

// List is what was allowed in a tenant, by application and user.
func (s *Service) List(ctx context.Context, t ids.TenantID) ([]Granted, error) {
	keys, err := s.docs.DocumentKeys(ctx, kind)
	if err != nil {
		return nil, prterr.Wrap(prterr.Internal, err, "consent cannot be read")
	}
	var out []Granted
	for _, k := range keys {
		home, rest, _ := strings.Cut(k, "/")
		app, who, _ := strings.Cut(rest, "/")
		if home != string(t) {
			continue
		}
		g, err := s.read(ctx, t, ids.ClientID(app), who)
		if err != nil {
			return nil, err
		}
		user := ids.UserID(who)
		if who == everybody {
			user = ""
		}
		for _, resource := range slices.Sorted(maps.Keys(g)) {
			out = append(out, Granted{App: ids.ClientID(app), User: user, Resource: resource, Scopes: g[resource]})
		}
	}
	return out, nil
}

// Revoke takes back what was allowed to an application: by one user, or, without one,
// by everybody and for the organisation. Access tokens that are out live to their end;
// the next one asks. NotFound when there was nothing.
func (s *Service) Revoke(ctx context.Context, t ids.TenantID, app ids.ClientID, user ids.UserID) error {
	all, err := s.List(ctx, t)
	if err != nil {
		return err
	}
	found := false
	for _, g := range all {
		if g.App != app || user != "" && g.User != user {
			continue
		}
		who := string(g.User)
		if who == "" {
			who = everybody
		}
		found = true
		if err := s.change(ctx, key(t, app, who), func(g grants) error { clear(g); return nil }); err != nil {
			return err
		}
	}
	if !found {
		return prterr.New(prterr.NotFound, "nobody has consented to anything for the application")
	}
	return nil
}
