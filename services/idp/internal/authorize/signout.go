package authorize

import (
	"context"
	"slices"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// SignOut is what a browser brings to sign out (OpenID Connect RP-Initiated
// Logout 1.0).
type SignOut struct {
	Caller        Caller
	Cookie        secret.Text
	IDTokenHint   secret.Text
	ClientID      string
	PostLogoutURI string
}

// SignOut ends the session of the cookie: every copy of it is dead from here on.
// It returns where to go, which is registered, or nothing for our own page.
func (s *Service) SignOut(ctx context.Context, r SignOut) (string, error) {
	cookie, err := s.gate.Authority.Open(sealed.Cookie, r.Cookie)
	ours := !r.Cookie.Empty() && err == nil
	if ours {
		defer cookie.SessionKey.Wipe()
		err := s.ended.End(ctx, cookie)
		e := signinlog.Event{
			Flow: signinlog.SignOut, Tenant: cookie.Tenant, Device: cookie.Device, Client: cookie.Client, Correlation: correlation(r.Caller.Correlation),
		}
		if u, err := s.gate.Directory.User(ctx, cookie.Tenant, cookie.User); err == nil {
			e.User = u.UPN
		}
		s.gate.Log.Record(ctx, s.gate.Clock.Now(), e, err)
		if err != nil {
			return "", err
		}
	}
	if !s.mayGo(r, cookie.Tenant) {
		return "", nil
	}
	return r.PostLogoutURI, nil
}

// mayGo reports whether an address is registered for signing out. The application
// is the one that is named or that the hint was made for; without either, any of
// the session's tenant may have registered it: it is an address that the tenant
// chose.
func (s *Service) mayGo(r SignOut, home ids.TenantID) bool {
	if r.PostLogoutURI == "" || len(r.PostLogoutURI) > maxURI {
		return false
	}
	client := r.ClientID
	if aud, ok := s.gate.Authority.Audience(r.IDTokenHint); ok && client == "" {
		client = aud
	}
	registered := func(a tenant.Application) bool {
		return (client == "" || string(a.ID) == client) && slices.Contains(a.PostLogoutURIs, r.PostLogoutURI)
	}
	for _, t := range s.gate.Tenants.All() {
		if (home == "" || t.ID == home) && slices.ContainsFunc(t.Applications, registered) {
			return true
		}
	}
	return false
}
