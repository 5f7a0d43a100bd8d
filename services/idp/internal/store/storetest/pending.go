package storetest

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

func userLists(t *testing.T, s store.Store) {
	tenant, other := ids.NewTenant(), ids.NewTenant()
	b, a, c := user(tenant, "b@x.test"), user(tenant, "a@x.test"), user(other, "c@y.test")
	a.HelloKeys = []store.HelloKey{{KID: "1", KeyID: "k", Key: []byte{1}, Device: ids.NewDevice(), Created: time.UnixMilli(7).UTC()}}
	a.Passkeys = []store.Passkey{{
		ID: []byte{1}, PublicKey: []byte{2}, SignCount: 3, Name: "Key", Site: "localhost", AAGUID: []byte{4}, Attestation: "none",
		Transports: []string{"usb"}, BackupEligible: true, BackedUp: true, Added: time.UnixMilli(5).UTC(), Used: time.UnixMilli(6).UTC(),
	}}
	for _, u := range []store.User{b, a, c} {
		must(t, s.AddUser(ctx(), u))
	}
	list, err := s.Users(ctx(), tenant)
	must(t, err)
	same(t, list, []store.User{a, b})
	want(t, s.DeleteUser(ctx(), other, a.ID), store.ErrNotFound)
	must(t, s.DeleteUser(ctx(), tenant, a.ID))
	want(t, s.DeleteUser(ctx(), tenant, a.ID), store.ErrNotFound)
	if _, err := s.UserByUPN(ctx(), a.UPN); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a deleted user is found by name: %v", err)
	}
	a.ID = ids.NewUser()
	must(t, s.AddUser(ctx(), a))
}

func pending(t *testing.T, s store.Store) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	one := store.Pending{Kind: "k", Key: "1", Expires: now.Add(time.Minute), Data: []byte("x")}
	two := store.Pending{Kind: "k", Key: "2", Expires: now.Add(time.Second), Data: []byte("y")}
	for _, p := range []store.Pending{one, two, {Kind: "other", Key: "1", Expires: now.Add(time.Hour)}} {
		must(t, s.AddPending(ctx(), p))
	}
	want(t, s.AddPending(ctx(), one), store.ErrExists)
	got, err := s.Pending(ctx(), "k", "1", now)
	must(t, err)
	same(t, got, one)
	list, err := s.Pendings(ctx(), "k", now)
	must(t, err)
	same(t, list, []store.Pending{two, one})
	must(t, s.UpdatePending(ctx(), "k", "1", now, func(p *store.Pending) error {
		p.User, p.Data, p.Expires = "u", []byte("z"), now.Add(time.Hour)
		return nil
	}))
	boom := errors.New("boom")
	want(t, s.UpdatePending(ctx(), "k", "1", now, func(*store.Pending) error { return boom }), boom)
	one.User, one.Data = "u", []byte("z")
	got, err = s.Pending(ctx(), "k", "1", now)
	must(t, err)
	same(t, got, one)
	_, err = s.Pending(ctx(), "k", "2", now.Add(2*time.Second))
	want(t, err, store.ErrNotFound)
	want(t, s.UpdatePending(ctx(), "k", "2", now.Add(2*time.Second), func(*store.Pending) error { return nil }), store.ErrNotFound)
	var won atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if s.DeletePending(ctx(), "k", "1") == nil {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d of 8 deleted one record", won.Load())
	}
}
