package consent_test

import (
	"context"
	"slices"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/consent"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

const app, other = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"

func graph() tenant.Resource {
	return tenant.Resource{URI: "https://graph.microsoft.com", Scopes: []string{"User.Read", "Mail.Read"}}
}

func ask(t ids.TenantID, u ids.UserID, rule tenant.Consent, scopes ...string) consent.Ask {
	return consent.Ask{Tenant: t, User: u, App: tenant.Application{ID: app, Consent: rule}, Resource: graph(), Scopes: scopes}
}

// The matrix: who consented, which rule, who asks, what for.
func TestWhoseConsentCounts(t *testing.T) {
	ctx, home, ada, bob := context.Background(), ids.NewTenant(), ids.NewUser(), ids.NewUser()
	for name, c := range map[string]struct {
		granted *consent.Ask
		org     bool
		ask     consent.Ask
		missing []string
	}{
		"nobody, not required":     {ask: ask(home, ada, tenant.ConsentNone)},
		"nobody, no rule":          {ask: ask(home, ada, "")},
		"nobody":                   {ask: ask(home, ada, tenant.ConsentRequired, "User.Read"), missing: []string{"User.Read"}},
		"nobody, all of it":        {ask: ask(home, ada, tenant.ConsentRequired), missing: []string{"User.Read", "Mail.Read"}},
		"the user":                 {granted: new(ask(home, ada, "", "User.Read")), ask: ask(home, ada, tenant.ConsentRequired, "user.read")},
		"the user, to less":        {granted: new(ask(home, ada, "", "User.Read")), ask: ask(home, ada, tenant.ConsentRequired, "User.Read", "Mail.Read"), missing: []string{"Mail.Read"}},
		"another user":             {granted: new(ask(home, bob, "", "User.Read")), ask: ask(home, ada, tenant.ConsentRequired, "User.Read"), missing: []string{"User.Read"}},
		"a user of another tenant": {granted: new(ask(ids.NewTenant(), ada, "", "User.Read")), ask: ask(home, ada, tenant.ConsentRequired, "User.Read"), missing: []string{"User.Read"}},
		"the organisation":         {granted: new(ask(home, bob, "", "User.Read")), org: true, ask: ask(home, ada, tenant.ConsentRequired, "User.Read")},
		"the user, where an administrator has to": {granted: new(ask(home, ada, "", "User.Read")), ask: ask(home, ada, tenant.ConsentAdministrator, "User.Read"), missing: []string{"User.Read"}},
		"an administrator, who has to":            {granted: new(ask(home, bob, "", "User.Read")), org: true, ask: ask(home, ada, tenant.ConsentAdministrator, "User.Read")},
	} {
		t.Run(name, func(t *testing.T) {
			s := consent.New(consent.Config{Documents: store.NewMemory()})
			if c.granted != nil {
				if err := s.Grant(ctx, *c.granted, c.org); err != nil {
					t.Fatal(err)
				}
			}
			missing, err := s.Missing(ctx, c.ask)
			if err != nil || !slices.Equal(missing, c.missing) {
				t.Errorf("%v, %v", missing, err)
			}
			want := aadsts.Code(0)
			if len(c.missing) > 0 {
				want = aadsts.ConsentRequired
			}
			if err := s.Check(ctx, c.ask); prterr.CodeOf(err) != want || want == 0 && err != nil {
				t.Errorf("%v", err)
			}
		})
	}
}

// Consent to one application or resource is none to another, and it can be taken back.
func TestConsentIsListedAndRevoked(t *testing.T) {
	ctx, home, ada, bob := context.Background(), ids.NewTenant(), ids.NewUser(), ids.NewUser()
	s := consent.New(consent.Config{Documents: store.NewMemory()})
	for _, g := range []struct {
		user ids.UserID
		org  bool
	}{{ada, false}, {bob, false}, {bob, true}} {
		if err := s.Grant(ctx, ask(home, g.user, "", "User.Read"), g.org); err != nil {
			t.Fatal(err)
		}
	}
	foreign := ask(home, ada, tenant.ConsentRequired, "User.Read")
	foreign.App.ID = other
	elsewhere := ask(home, ada, tenant.ConsentRequired, "User.Read")
	elsewhere.Resource.URI = "api://else"
	for _, a := range []consent.Ask{foreign, elsewhere} {
		if err := s.Check(ctx, a); prterr.CodeOf(err) != aadsts.ConsentRequired {
			t.Errorf("%+v: %v", a, err)
		}
	}
	all, err := s.List(ctx, home)
	if err != nil || len(all) != 3 || all[0].Resource != graph().URI || !slices.Equal(all[0].Scopes, []string{"User.Read"}) {
		t.Fatalf("%+v, %v", all, err)
	}
	if err := s.Revoke(ctx, home, app, ada); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(ctx, ask(home, ada, tenant.ConsentRequired, "User.Read")); err != nil { // the organisation's counts still
		t.Error(err)
	}
	if err := s.Revoke(ctx, home, app, ""); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(ctx, ask(home, bob, tenant.ConsentRequired, "User.Read")); prterr.CodeOf(err) != aadsts.ConsentRequired {
		t.Errorf("after it was revoked: %v", err)
	}
	if err := s.Revoke(ctx, home, app, ""); prterr.KindOf(err) != prterr.NotFound {
		t.Errorf("nothing to revoke: %v", err)
	}
	if all, err := s.List(ctx, home); err != nil || len(all) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
}
