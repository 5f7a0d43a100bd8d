package postgres_test

import (
	"context"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store/postgres"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store/postgres/pgtest"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store/storetest"
)

func open(t testing.TB, dsn secret.Text) *postgres.Store {
	t.Helper()
	s, err := postgres.New(context.Background(), postgres.Config{DSN: dsn})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestStore(t *testing.T) {
	server := pgtest.Start(t, pgtest.Config{})
	storetest.Run(t, func(t testing.TB) store.Store { return open(t, server.Database(t)) })
}
