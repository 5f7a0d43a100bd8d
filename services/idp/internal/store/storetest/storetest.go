// Package storetest is what every store has to do. Each implementation runs it
// from its own test.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// Run runs the suite. open makes a fresh, empty store.
func Run(t *testing.T, open func(testing.TB) store.Store) {
	for name, f := range map[string]func(*testing.T, store.Store){
		"users": users, "changes of users": userChanges, "devices": devices, "changes of devices": deviceChanges,
		"copies": copies, "quota at once": quotaAtOnce, "once at once": onceAtOnce, "changes at once": changesAtOnce,
		"lists and deletions of users": userLists, "methods of users": userMethods, "what waits": pending, "documents": documents,
		"data keys": dataKeys, "data keys at once": dataKeysAtOnce, "uses": uses, "uses at once": usesAtOnce,
		"tries": tries, "tries at once": triesAtOnce, "swaps of documents": swaps, "strange names": strangeNames,
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			f(t, s)
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func ctx() context.Context { return context.Background() }

func user(tenant ids.TenantID, upn ids.UPN) store.User {
	return store.User{
		ID: ids.NewUser(), Tenant: tenant, UPN: upn, DisplayName: "A User", PasswordHash: secret.NewText("$argon2id$x"),
		Enabled: true, MayJoin: true, ImmutableID: "imm-" + string(upn),
	}
}

func device(tenant ids.TenantID, by ids.UserID) store.Device {
	return store.Device{
		ID: ids.NewDevice(), Tenant: tenant, DisplayName: "D", Type: "Linux", OSVersion: "1", Enabled: true, RegisteredBy: by,
		RegisteredAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Certificate: []byte{1, 2}, DeviceKey: []byte{3}, TransportKey: []byte{4, 5},
		KeyProtection: store.ProtectionEmulated, StorageKey: []byte{6, 7},
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func same(t *testing.T, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func users(t *testing.T, s store.Store) {
	tenant, other := ids.NewTenant(), ids.NewTenant()
	u := user(tenant, "a@x.test")
	must(t, s.AddUser(ctx(), u))
	clash := user(other, "a@x.test")
	want(t, s.AddUser(ctx(), clash), store.ErrExists)
	clash = user(tenant, "b@x.test")
	clash.ID = u.ID
	want(t, s.AddUser(ctx(), clash), store.ErrExists)
	got, err := s.User(ctx(), tenant, u.ID)
	must(t, err)
	same(t, got, u)
	got, err = s.UserByUPN(ctx(), u.UPN)
	must(t, err)
	same(t, got, u)
	got, err = s.UserByImmutableID(ctx(), tenant, u.ImmutableID)
	must(t, err)
	same(t, got, u)
	for _, err := range []error{
		second(s.User(ctx(), other, u.ID)), second(s.User(ctx(), tenant, ids.NewUser())), second(s.UserByUPN(ctx(), "b@x.test")),
		second(s.UserByImmutableID(ctx(), other, u.ImmutableID)), second(s.UserByImmutableID(ctx(), tenant, "")),
	} {
		want(t, err, store.ErrNotFound)
	}
}

func second[T any](_ T, err error) error { return err }

func userChanges(t *testing.T, s store.Store) {
	tenant := ids.NewTenant()
	u := user(tenant, "a@x.test")
	must(t, s.AddUser(ctx(), u))
	must(t, s.UpdateUser(ctx(), tenant, u.ID, func(r *store.User) error {
		r.Enabled, r.PasswordEpoch, r.SessionEpoch, r.PasswordHash = false, 7, 8, secret.NewText("other")
		r.ID, r.Tenant, r.UPN = ids.NewUser(), ids.NewTenant(), "z@x.test" // must not stick
		return nil
	}))
	u.Enabled, u.PasswordEpoch, u.SessionEpoch, u.PasswordHash = false, 7, 8, secret.NewText("other")
	got, err := s.User(ctx(), tenant, u.ID)
	must(t, err)
	same(t, got, u)
	boom := errors.New("no")
	want(t, s.UpdateUser(ctx(), tenant, u.ID, func(r *store.User) error { r.PasswordEpoch = 99; return boom }), boom)
	got, err = s.User(ctx(), tenant, u.ID)
	must(t, err)
	same(t, got, u)
	want(t, s.UpdateUser(ctx(), ids.NewTenant(), u.ID, func(*store.User) error { return nil }), store.ErrNotFound)
}

func devices(t *testing.T, s store.Store) {
	tenant, other := ids.NewTenant(), ids.NewTenant()
	by := ids.NewUser()
	var all []store.Device
	for range 3 {
		d := device(tenant, by)
		must(t, s.AddDevice(ctx(), d, 3))
		all = append(all, d)
	}
	want(t, s.AddDevice(ctx(), device(tenant, by), 3), store.ErrQuota)
	must(t, s.AddDevice(ctx(), device(tenant, ids.NewUser()), 3)) // another user has a quota of their own
	must(t, s.AddDevice(ctx(), device(other, by), 3))             // and another tenant
	want(t, s.AddDevice(ctx(), all[0], 100), store.ErrExists)
	got, err := s.Devices(ctx(), tenant)
	must(t, err)
	if len(got) != 4 {
		t.Fatalf("%d devices", len(got))
	}
	same(t, got[:3], all)
	must(t, s.DeleteDevice(ctx(), all[1].ID))
	want(t, s.DeleteDevice(ctx(), all[1].ID), store.ErrNotFound)
	want(t, second(s.Device(ctx(), all[1].ID)), store.ErrNotFound)
	must(t, s.AddDevice(ctx(), device(tenant, by), 3)) // the quota counts what is there
	one, err := s.Device(ctx(), all[2].ID)
	must(t, err)
	same(t, one, all[2])
}

func deviceChanges(t *testing.T, s store.Store) {
	d := device(ids.NewTenant(), ids.NewUser())
	must(t, s.AddDevice(ctx(), d, 1))
	must(t, s.UpdateDevice(ctx(), d.ID, func(r *store.Device) error {
		r.Enabled, r.ID, r.Tenant = false, ids.NewDevice(), ids.NewTenant()
		r.KeyProtection, r.StorageKey = store.ProtectionHardware, []byte{8}
		return nil
	}))
	d.Enabled, d.KeyProtection, d.StorageKey = false, store.ProtectionHardware, []byte{8}
	got, err := s.Device(ctx(), d.ID)
	must(t, err)
	same(t, got, d)
	boom := errors.New("no")
	want(t, s.UpdateDevice(ctx(), d.ID, func(r *store.Device) error { r.Certificate[0], r.StorageKey[0] = 9, 9; return boom }), boom)
	got, err = s.Device(ctx(), d.ID)
	must(t, err)
	same(t, got, d)
	want(t, s.UpdateDevice(ctx(), ids.NewDevice(), func(*store.Device) error { return nil }), store.ErrNotFound)
}

// copies: what a caller does with its bytes does not reach the store.
func copies(t *testing.T, s store.Store) {
	d := device(ids.NewTenant(), ids.NewUser())
	given := d
	given.Certificate = []byte{1, 2}
	must(t, s.AddDevice(ctx(), given, 1))
	given.Certificate[0] = 9
	got, err := s.Device(ctx(), d.ID)
	must(t, err)
	got.TransportKey[0], got.StorageKey[0] = 9, 9
	list, err := s.Devices(ctx(), d.Tenant)
	must(t, err)
	same(t, list, []store.Device{d})
}

// onceAtOnce: of many who add the same device one does, and a full quota is no matter to
// who only asks again.
func onceAtOnce(t *testing.T, s store.Store) {
	tenant, by := ids.NewTenant(), ids.NewUser()
	key := device(tenant, by).Certificate
	isSame := func(recent []store.Device) (int, error) { //nolint:unparam // the form is that of a look of AddDeviceOnce
		return slices.IndexFunc(recent, func(d store.Device) bool { return bytes.Equal(d.Certificate, key) }), nil
	}
	var wg sync.WaitGroup
	got := make([]store.Device, 20)
	for i := range got {
		wg.Go(func() {
			var err error
			if got[i], err = s.AddDeviceOnce(ctx(), device(tenant, by), 1, isSame); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, d := range got {
		same(t, d, got[0])
	}
	want(t, second(s.AddDeviceOnce(ctx(), device(tenant, by), 1, func([]store.Device) (int, error) { return -1, nil })), store.ErrQuota)
	boom := errors.New("no")
	want(t, second(s.AddDeviceOnce(ctx(), device(tenant, by), 9, func(recent []store.Device) (int, error) {
		if len(recent) != 1 {
			t.Errorf("%d devices are shown", len(recent))
		}
		return -1, boom
	})), boom)
	_, err := s.AddDeviceOnce(ctx(), device(tenant, ids.NewUser()), 1, isSame) // another user's is not looked at
	must(t, err)
	all, err := s.Devices(ctx(), tenant)
	must(t, err)
	if len(all) != 2 {
		t.Errorf("%d devices", len(all))
	}
}

func quotaAtOnce(t *testing.T, s store.Store) {
	tenant, by := ids.NewTenant(), ids.NewUser()
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if err := s.AddDevice(ctx(), device(tenant, by), 5); err != nil && !errors.Is(err, store.ErrQuota) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err := s.Devices(ctx(), tenant)
	must(t, err)
	if len(got) != 5 {
		t.Errorf("%d devices of 5", len(got))
	}
}

func changesAtOnce(t *testing.T, s store.Store) {
	u := user(ids.NewTenant(), "a@x.test")
	must(t, s.AddUser(ctx(), u))
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if err := s.UpdateUser(ctx(), u.Tenant, u.ID, func(r *store.User) error { r.PasswordEpoch++; return nil }); err != nil {
				t.Error(err)
			}
			if err := s.AddUser(ctx(), user(u.Tenant, ids.UPN(fmt.Sprintf("%s@x.test", ids.NewUser())))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err := s.User(ctx(), u.Tenant, u.ID)
	must(t, err)
	if got.PasswordEpoch != 50 {
		t.Errorf("%d of 50 changes", got.PasswordEpoch)
	}
}
