package idp

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/services/idp/internal/consent"
	"github.com/lockstep-sso/lockstep/services/idp/internal/issuance"
	"github.com/lockstep-sso/lockstep/services/idp/internal/nonce"
	"github.com/lockstep-sso/lockstep/services/idp/internal/pairing"
	"github.com/lockstep-sso/lockstep/services/idp/internal/replay"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// WithDeviceKeys lets tests share the keys of device authorities.
func (c Config) WithDeviceKeys(draw issuance.DrawKey) Config {
	c.deviceKeys = draw
	return c
}

// Store lets a test change a record behind the doors.
func (s *Service) Store() store.Store { return s.store }

// Replays lets a test count what is remembered.
func (s *Service) Replays() *replay.Cache { return s.gate.Replays }

// Nonces lets a test ask for more than it would have patience for.
func (s *Service) Nonces() *nonce.Issuer { return s.gate.Nonces }

// Authority lets a test look into artefacts.
func (s *Service) Authority() *issuance.Authority { return s.gate.Authority }

// Snapshot is everything the store holds, for a comparison.
func (s *Service) Snapshot(t testing.TB) string {
	t.Helper()
	var all []any
	for _, home := range s.tenants.All() {
		devices, err := s.store.Devices(context.Background(), home.ID)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, devices)
		for _, seed := range home.Users {
			all = append(all, s.snapshotUser(t, seed.UPN))
			u, _ := s.store.UserByUPN(context.Background(), seed.UPN)
			for _, d := range devices {
				all = append(all, s.DataKeyOf(t, home.ID, u.ID, d.ID))
			}
		}
	}
	out, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// DataKeyOf is the sealed key of a user on a device as the store has it, nil for none.
func (s *Service) DataKeyOf(t testing.TB, tenant ids.TenantID, user ids.UserID, device ids.DeviceID) []byte {
	t.Helper()
	sealed, err := s.store.DataKey(context.Background(), tenant, user, device)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	return sealed
}

func (s *Service) snapshotUser(t testing.TB, upn ids.UPN) any {
	u, err := s.store.UserByUPN(context.Background(), upn)
	if err != nil {
		t.Fatal(err)
	}
	hash := u.PasswordHash.Reveal()
	return []any{u.ID, u.UPN, hash, u.Enabled, u.MayJoin, u.ImmutableID, u.PasswordEpoch, u.SessionEpoch}
}

// Consent notes what a user allowed an application, behind the pages.
func (s *Service) Consent(t testing.TB, upn ids.UPN, app ids.ClientID, resource string, scopes ...string) {
	t.Helper()
	u, err := s.store.UserByUPN(context.Background(), upn)
	if err != nil {
		t.Fatal(err)
	}
	home, _ := s.tenants.Tenant(u.Tenant)
	a, _ := home.Application(app)
	r, _ := home.Resource(resource)
	err = s.gate.Consents.Grant(context.Background(), consent.Ask{Tenant: u.Tenant, App: a, User: u.ID, Resource: r, Scopes: scopes}, false)
	if err != nil {
		t.Fatal(err)
	}
}

// TenantOf lets a test look a tenant up.
func (s *Service) TenantOf(id ids.TenantID) (*tenant.Tenant, bool) { return s.tenants.Tenant(id) }

// Pairing lets a test be the page that an authenticator is paired with.
func (s *Service) Pairing() *pairing.Service { return s.pairing }
