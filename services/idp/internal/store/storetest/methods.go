package storetest

import (
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// userMethods: all that a person proves who they are with comes back as it went in,
// and is the store's own.
func userMethods(t *testing.T, s store.Store) {
	tenant, at := ids.NewTenant(), time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)
	u := user(tenant, "a@x.test")
	must(t, s.AddUser(ctx(), u))
	fill := func(r *store.User) error {
		r.TOTPSecret, r.TOTPAdded = secret.NewText("JBSWY3DPEHPK3PXP"), at
		r.Push = []store.Authenticator{{ID: "1", Name: "Old"}, {ID: "2", Name: "New", PhoneSignIn: true, Added: at}}
		r.Phone, r.PhoneAdded, r.DefaultMethod, r.Risk = "+49 1701234567", at, "OneWaySMS", "high"
		r.AccessPass = store.AccessPass{Hash: []byte{1, 2, 3}, Issued: at, Expires: at.Add(time.Hour), OneTime: true, Used: true}
		r.HelloKeys = []store.HelloKey{{KID: "k", KeyID: "i", Key: []byte{4}, Device: "d", Created: at, Provenance: store.Written}}
		return nil
	}
	must(t, s.UpdateUser(ctx(), tenant, u.ID, fill))
	must(t, fill(&u))
	for range 2 {
		got, err := s.UserByUPN(ctx(), u.UPN)
		must(t, err)
		same(t, got, u)
		got.Push[0].Name, got.AccessPass.Hash[0], got.HelloKeys[0].Key[0] = "changed", 9, 9 // in the caller's copy alone
	}
	must(t, s.UpdateUser(ctx(), tenant, u.ID, func(r *store.User) error {
		r.AccessPass, r.Phone = store.AccessPass{}, ""
		return nil
	}))
	got, err := s.User(ctx(), tenant, u.ID)
	must(t, err)
	if got.AccessPass.Usable(at) || got.Phone != "" || len(got.Push) != 2 {
		t.Errorf("%+v", got)
	}
}
