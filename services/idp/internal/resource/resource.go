// Package resource is the directory as a resource: what a client reads of it with
// an access token.
//
// What lives here: the check of an access token as a resource server makes it
// (signature, times, issuer, audience, proof of possession, continuous access
// evaluation), and the look-ups behind it. What never may: issuing anything, and
// changing the directory. The server's edge calls it for the HTTPS front.
//
// Every token of a tenant for Microsoft Graph may read that tenant's directory, whoever
// got it: consent decides whether there is such a token, and not what it reads.
package resource

import (
	"context"
	"slices"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/directory"
	"github.com/lockstep-sso/lockstep/services/idp/internal/issuance"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// me stands for the user of the token.
const me = "me"

// Config of the resource. Every field must be set.
type Config struct {
	Tenants   *tenant.Set
	Directory *directory.Directory
	Keys      *issuance.Authority
	Clock     clock.Clock
	Log       *signinlog.Log
}

// Service answers. It is safe for concurrent use.
type Service struct{ cfg Config }

// New makes the resource.
func New(cfg Config) *Service { return &Service{cfg: cfg} }

// Person is what userinfo tells.
type Person struct {
	User store.User
	// Subject names the user to the application that asks, as its ID tokens do.
	Subject string
}

// UserInfo is the userinfo endpoint of OpenID Connect. It takes a user's token
// that was asked for with openid, or one of version 1.0, whose one scope covers it.
func (s *Service) UserInfo(ctx context.Context, c Call) (Person, error) {
	b, err := s.bearer(ctx, c)
	if err != nil {
		return Person{}, err
	}
	if b.appOnly || !slices.Contains(b.scopes, "openid") && !slices.Contains(b.scopes, "user_impersonation") {
		return Person{}, prterr.New(prterr.Denied, "access_token is not for userinfo: sign a user in with the scope openid")
	}
	return Person{User: b.user, Subject: issuance.Subject(b.tenant.ID, b.client, b.user.ID)}, nil
}

// User finds a user by object id or name; no key, or me, is the user of the token.
func (s *Service) User(ctx context.Context, c Call, key string) (store.User, error) {
	b, err := s.bearer(ctx, c)
	if err != nil {
		return store.User{}, err
	}
	return s.user(ctx, b, key)
}

func (s *Service) user(ctx context.Context, b bearer, key string) (store.User, error) {
	if key == "" || strings.EqualFold(key, me) {
		if b.appOnly {
			return store.User{}, prterr.New(prterr.Invalid, "me is the user of the token, and this one is an application's: name a user")
		}
		return b.user, nil
	}
	users, err := s.cfg.Directory.Users(ctx, b.tenant.ID)
	if err != nil {
		return store.User{}, err
	}
	for _, u := range users {
		if strings.EqualFold(string(u.ID), key) || strings.EqualFold(string(u.UPN), key) {
			return u, nil
		}
	}
	return store.User{}, prterr.New(prterr.NotFound, "the user does not exist in the tenant of the token")
}

// Users lists the users of the tenant.
func (s *Service) Users(ctx context.Context, c Call) ([]store.User, error) {
	b, err := s.bearer(ctx, c)
	if err != nil {
		return nil, err
	}
	return s.cfg.Directory.Users(ctx, b.tenant.ID)
}

// Device finds a device by its id or the id of its object.
func (s *Service) Device(ctx context.Context, c Call, key string) (store.Device, error) {
	b, err := s.bearer(ctx, c)
	if err != nil {
		return store.Device{}, err
	}
	devices, err := s.cfg.Directory.Devices(ctx, b.tenant.ID)
	if err != nil {
		return store.Device{}, err
	}
	for _, d := range devices {
		if strings.EqualFold(string(d.ID), key) || d.ObjectID != "" && strings.EqualFold(d.ObjectID, key) {
			return d.Device, nil
		}
	}
	return store.Device{}, prterr.New(prterr.NotFound, "the device does not exist in the tenant of the token")
}

// Devices lists the devices of the tenant, or those that a user registered.
func (s *Service) Devices(ctx context.Context, c Call, registeredBy string) ([]store.Device, error) {
	b, err := s.bearer(ctx, c)
	if err != nil {
		return nil, err
	}
	var owner ids.UserID
	if registeredBy != "" {
		u, err := s.user(ctx, b, registeredBy)
		if err != nil {
			return nil, err
		}
		owner = u.ID
	}
	devices, err := s.cfg.Directory.Devices(ctx, b.tenant.ID)
	if err != nil {
		return nil, err
	}
	var out []store.Device
	for _, d := range devices {
		if owner == "" || d.RegisteredBy == owner {
			out = append(out, d.Device)
		}
	}
	return out, nil
}

// Groups lists the groups of the tenant, or those that a user is in.
func (s *Service) Groups(ctx context.Context, c Call, member string) ([]tenant.Group, error) {
	b, err := s.bearer(ctx, c)
	if err != nil {
		return nil, err
	}
	if member == "" {
		return slices.Clone(b.tenant.Groups), nil
	}
	u, err := s.user(ctx, b, member)
	if err != nil {
		return nil, err
	}
	var out []tenant.Group
	for _, g := range b.tenant.Groups {
		if slices.Contains(g.Members, u.UPN) {
			out = append(out, g)
		}
	}
	return out, nil
}

// Organization describes the tenant.
func (s *Service) Organization(ctx context.Context, c Call) (*tenant.Tenant, error) {
	b, err := s.bearer(ctx, c)
	return b.tenant, err
}
