package postgres_test

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store/postgres"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store/postgres/pgtest"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store/storetest"
)

func level(t *testing.T, s *postgres.Store) (level int) {
	t.Helper()
	if err := s.DB().QueryRowContext(t.Context(), "SELECT level FROM schema_level").Scan(&level); err != nil {
		t.Fatal(err)
	}
	return level
}

// TestDEP07_TheProgramBeforeWorksOnThisSchema: a program that knows one level less, or
// only the first, passes the whole suite on the schema of this one, and does not take
// the schema back; this one passes it on a schema that an older one began.
func TestDEP07_TheProgramBeforeWorksOnThisSchema(t *testing.T) {
	server := pgtest.Start(t, pgtest.Config{})
	for older := 1; older <= postgres.Newest(); older++ {
		storetest.Run(t, func(t testing.TB) store.Store {
			dsn := server.Database(t)
			if _, err := postgres.OpenAt(context.Background(), postgres.Config{DSN: dsn}, older); err != nil {
				t.Fatal(err)
			}
			open(t, dsn) // an upgrade
			s, err := postgres.OpenAt(context.Background(), postgres.Config{DSN: dsn}, older)
			if err != nil {
				t.Fatalf("the way back: %v", err)
			}
			return s
		})
	}
}

// TestDEP07_WritesOfThisProgramOnTheSchemaBefore: while the schema is still the older
// one, what this program writes of records is taken, and the older one reads it.
func TestDEP07_WritesOfThisProgramOnTheSchemaBefore(t *testing.T) {
	server := pgtest.Start(t, pgtest.Config{})
	storetest.Run(t, func(t testing.TB) store.Store {
		s, err := postgres.OpenAt(context.Background(), postgres.Config{DSN: server.Database(t)}, postgres.Newest()-1)
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

// TestDEP07_LevelsOnlyAdd: a level takes nothing away that an older program may use.
func TestDEP07_LevelsOnlyAdd(t *testing.T) {
	files, err := filepath.Glob("schema/*.sql")
	if err != nil || len(files) != postgres.Newest() {
		t.Fatalf("%v, %v", files, err)
	}
	takes := regexp.MustCompile(`(?i)\b(DROP|RENAME|TRUNCATE|REVOKE|ALTER\s+COLUMN|ADD\s+CONSTRAINT|SET\s+NOT\s+NULL)\b`)
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			required := strings.Contains(line, "ADD COLUMN") && strings.Contains(line, "NOT NULL") && !strings.Contains(line, "DEFAULT")
			if takes.MatchString(line) || required {
				t.Errorf("%s: %s", f, strings.TrimSpace(line))
			}
		}
	}
}

// TestDEP07_AProgramThatIsTooOldSaysSo and touches nothing.
func TestDEP07_AProgramThatIsTooOldSaysSo(t *testing.T) {
	dsn := pgtest.Start(t, pgtest.Config{}).Database(t)
	s := open(t, dsn)
	if _, err := s.DB().ExecContext(t.Context(), "UPDATE schema_level SET level = 99, oldest = 98"); err != nil {
		t.Fatal(err)
	}
	if _, err := postgres.New(t.Context(), postgres.Config{DSN: dsn}); err == nil || !strings.Contains(err.Error(), "use the newer program") {
		t.Errorf("%v", err)
	}
	if level(t, s) != 99 {
		t.Error("it changed the level")
	}
}

// TestDEP06_ManyStartAtOnce on an empty database: one makes the schema.
func TestDEP06_ManyStartAtOnce(t *testing.T) {
	dsn := pgtest.Start(t, pgtest.Config{}).Database(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			s, err := postgres.New(context.Background(), postgres.Config{DSN: dsn})
			if err != nil {
				t.Error(err)
				return
			}
			_ = s.Close()
		})
	}
	wg.Wait()
	if got := level(t, open(t, dsn)); got != postgres.Newest() {
		t.Errorf("level %d", got)
	}
}

// TestDEP07_WhatAProgramDoesNotKnowStaysInARecord when it changes something else there.
func TestDEP07_WhatAProgramDoesNotKnowStaysInARecord(t *testing.T) {
	s := open(t, pgtest.Start(t, pgtest.Config{}).Database(t))
	ctx := t.Context()
	u := store.User{ID: ids.NewUser(), Tenant: ids.NewTenant(), UPN: "a@x.test", PasswordHash: secret.NewText("h")}
	d := store.Device{ID: ids.NewDevice(), Tenant: u.Tenant}
	for _, err := range []error{s.AddUser(ctx, u), s.AddDevice(ctx, d, 1)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, table := range []string{"users", "devices"} {
		if _, err := s.DB().ExecContext(ctx, "UPDATE "+table+` SET record = jsonb_set(record::jsonb, '{OfTomorrow}', '{"A": [1]}')::text`); err != nil {
			t.Fatal(err)
		}
	}
	for _, err := range []error{
		s.UpdateUser(ctx, u.Tenant, u.ID, func(u *store.User) error { u.Enabled = true; return nil }),
		s.UpdateDevice(ctx, d.ID, func(d *store.Device) error { d.Enabled = true; return nil }),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, table := range []string{"users", "devices"} {
		var kept bool
		if err := s.DB().QueryRowContext(ctx, "SELECT record::jsonb -> 'OfTomorrow' -> 'A' -> 0 = '1' AND record::jsonb -> 'Enabled' = 'true' FROM "+table).Scan(&kept); err != nil || !kept {
			t.Errorf("%s: %v, %v", table, kept, err)
		}
	}
}
