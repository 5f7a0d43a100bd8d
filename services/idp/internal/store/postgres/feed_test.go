package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store/postgres"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store/postgres/pgtest"
)

// listener hears of changes of documents.
type listener struct {
	docs []store.Change
	all  int
	err  error
}

func (l *listener) told(_ context.Context, docs []store.Change, all bool) error {
	if l.err != nil {
		return l.err
	}
	l.docs = append(l.docs, docs...)
	if all {
		l.all++
	}
	return nil
}

// TestT12_ReplicasHearOfEachOther: what one changes the other tells of once, in order; an
// error has it told again; whoever is far behind is told to read everything.
func TestT12_ReplicasHearOfEachOther(t *testing.T) {
	dsn := pgtest.Start(t, pgtest.Config{}).Database(t)
	a, b := open(t, dsn), open(t, dsn)
	ctx := t.Context()
	var l listener
	fresh := func() {
		t.Helper()
		if err := b.Fresh(ctx, l.told); err != nil {
			t.Fatal(err)
		}
	}
	fresh()
	for i := range 3 {
		if err := a.PutDocument(ctx, "policy", fmt.Sprint(i), []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	l.err = errors.New("not now")
	if err := b.Fresh(ctx, l.told); !errors.Is(err, l.err) {
		t.Fatalf("%v", err)
	}
	l.err = nil
	for range 2 {
		fresh()
	}
	want := []store.Change{{Kind: "policy", Key: "0"}, {Kind: "policy", Key: "1"}, {Kind: "policy", Key: "2"}}
	if !slices.Equal(l.docs, want) || l.all != 0 {
		t.Errorf("%v, %d", l.docs, l.all)
	}
	if _, err := a.DB().ExecContext(ctx, "INSERT INTO documents (kind, key, data) SELECT 'many', n::text, '' FROM generate_series(1, 10500) n"); err != nil {
		t.Fatal(err)
	}
	fresh()
	var kept int
	if err := a.DB().QueryRowContext(ctx, "SELECT count(*) FROM changes").Scan(&kept); err != nil || kept > 10_000 {
		t.Errorf("%d changes are kept, %v", kept, err)
	}
	if _, err := a.DB().ExecContext(ctx, "UPDATE newest_change SET seq = 1; DELETE FROM changes"); err != nil { // a backup was put back
		t.Fatal(err)
	}
	fresh()
	if len(l.docs) != 3 || l.all != 2 {
		t.Errorf("%d told one by one and %d times all", len(l.docs), l.all)
	}
	fresh()
	if l.all != 2 {
		t.Error("told again without need")
	}
}

// TestT12_ARecordInMemoryIsTheOneOfNow: many change a user and a device at one replica
// while the other looks at them; whoever begins after a change was made sees it.
func TestT12_ARecordInMemoryIsTheOneOfNow(t *testing.T) {
	dsn := pgtest.Start(t, pgtest.Config{}).Database(t)
	a, b := open(t, dsn), open(t, dsn)
	ctx := t.Context()
	u := store.User{ID: ids.NewUser(), Tenant: ids.NewTenant(), UPN: "a@x.test"}
	if err := a.AddUser(ctx, u); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var changed uint64
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			for range 40 {
				if i < 2 {
					if err := a.UpdateUser(ctx, u.Tenant, u.ID, func(u *store.User) error { u.SessionEpoch++; return nil }); err != nil {
						t.Error(err)
					}
					mu.Lock()
					changed++
					mu.Unlock()
					continue
				}
				mu.Lock()
				atLeast := changed
				mu.Unlock()
				s := []*postgres.Store{a, b}[i%2]
				if err := s.Fresh(ctx, (&listener{}).told); err != nil {
					t.Error(err)
				}
				got, err := s.UserByUPN(ctx, u.UPN)
				if err != nil || got.SessionEpoch < atLeast {
					t.Errorf("%d changes were made, and it shows %d: %v", atLeast, got.SessionEpoch, err)
				}
			}
		})
	}
	wg.Wait()
	if err := a.DeleteUser(ctx, u.Tenant, u.ID); err != nil {
		t.Fatal(err)
	}
	if err := b.Fresh(ctx, (&listener{}).told); err != nil {
		t.Fatal(err)
	}
	if _, err := b.UserByUPN(ctx, u.UPN); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a deleted user: %v", err)
	}
}

// TestT12_AUseOutlivesALossOfPower: what was used is used when the database comes back.
func TestT12_AUseOutlivesALossOfPower(t *testing.T) {
	server := pgtest.Start(t, pgtest.Config{Durable: true})
	s := open(t, server.Database(t))
	now := time.Now()
	var d store.Digest
	if first, err := s.Use(t.Context(), d, now, now.Add(time.Hour)); err != nil || !first {
		t.Fatalf("%v, %v", first, err)
	}
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Use(t.Context(), d, now, now.Add(time.Hour)); err == nil {
		t.Error("used without a database")
	}
	if err := server.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if first, err := s.Use(t.Context(), d, now, now.Add(time.Hour)); err != nil || first {
		t.Errorf("after it: %v, %v", first, err)
	}
}

// TestADSNIsASecret: no error repeats it.
func TestADSNIsASecret(t *testing.T) {
	for dsn, says := range map[string]string{
		"": "is empty", "postgres://user:hunter2@[": "is not one", "host=db.example.test user=u password=hunter2 dbname=d": "must say sslmode",
		"host=/nowhere user=u password=hunter2 dbname=d": "database",
	} {
		_, err := postgres.New(t.Context(), postgres.Config{DSN: secret.NewText(dsn)})
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v", err)
		}
	}
}
