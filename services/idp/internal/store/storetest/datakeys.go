package storetest

import (
	"sync"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// dataKeys: one a user and device, changed by whoever knows what is there, and gone
// with either of the two.
func dataKeys(t *testing.T, s store.Store) {
	tenant := ids.NewTenant()
	u, other := user(tenant, "a@x.test"), user(tenant, "b@x.test")
	d, second1 := device(tenant, u.ID), device(tenant, u.ID)
	must(t, s.AddUser(ctx(), u))
	must(t, s.AddUser(ctx(), other))
	must(t, s.AddDevice(ctx(), d, 9))
	must(t, s.AddDevice(ctx(), second1, 9))
	get := func(u store.User, d store.Device) string {
		got, err := s.DataKey(ctx(), tenant, u.ID, d.ID)
		if err != nil {
			want(t, err, store.ErrNotFound)
			return ""
		}
		return string(got)
	}
	put := func(u store.User, d store.Device, sealed string, old []byte) string {
		got, err := s.PutDataKey(ctx(), store.DataKey{Tenant: tenant, User: u.ID, Device: d.ID, Sealed: []byte(sealed)}, old)
		must(t, err)
		return string(got)
	}
	same(t, get(u, d), "")
	same(t, put(u, d, "1", nil), "1")
	same(t, put(u, d, "2", nil), "1") // the first one stands
	same(t, put(u, d, "3", []byte("2")), "1")
	same(t, put(u, d, "4", []byte("1")), "4")
	same(t, get(u, d), "4")
	same(t, put(other, d, "o", nil), "o")
	same(t, put(u, second1, "s", nil), "s")
	same(t, get(u, d), "4")
	want(t, second(s.DataKey(ctx(), ids.NewTenant(), u.ID, d.ID)), store.ErrNotFound)
	for name, k := range map[string]store.DataKey{
		"another tenant": {Tenant: ids.NewTenant(), User: u.ID, Device: d.ID}, "no such user": {Tenant: tenant, User: ids.NewUser(), Device: d.ID},
		"no such device": {Tenant: tenant, User: u.ID, Device: ids.NewDevice()},
	} {
		if _, err := s.PutDataKey(ctx(), k, nil); err == nil {
			t.Errorf("%s: it was taken", name)
		}
	}
	want(t, second(s.PutDataKey(ctx(), store.DataKey{Tenant: tenant, User: other.ID, Device: second1.ID}, []byte("gone"))), store.ErrNotFound)

	must(t, s.DeleteDevice(ctx(), d.ID))
	same(t, []string{get(u, d), get(other, d), get(u, second1)}, []string{"", "", "s"})
	must(t, s.AddDevice(ctx(), d, 9)) // the same id again: nothing comes back
	same(t, get(u, d), "")
	must(t, s.DeleteUser(ctx(), tenant, u.ID))
	same(t, get(u, second1), "")
}

// dataKeysAtOnce: of many that make the first key, all get the same one.
func dataKeysAtOnce(t *testing.T, s store.Store) {
	tenant := ids.NewTenant()
	u := user(tenant, "a@x.test")
	d := device(tenant, u.ID)
	must(t, s.AddUser(ctx(), u))
	must(t, s.AddDevice(ctx(), d, 9))
	var mu sync.Mutex
	seen := map[string]bool{}
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			got, err := s.PutDataKey(ctx(), store.DataKey{Tenant: tenant, User: u.ID, Device: d.ID, Sealed: []byte{byte(i)}}, nil)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			seen[string(got)] = true
		})
	}
	wg.Wait()
	if len(seen) != 1 {
		t.Errorf("%d different keys", len(seen))
	}
}
