package idptest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/lockstep-sso/lockstep/services/idp/internal/store/postgres/pgtest"
)

// Database starts a PostgreSQL server that goes with the test, and returns the path of a
// file with the DSN of an empty database on it: the setting "database" of identity
// providers that share their state. Without PostgreSQL's programs the test is skipped
// and says what is missing, or fails when LOCKSTEP_NEED_POSTGRES is 1.
func Database(t testing.TB) (path string) {
	t.Helper()
	return databaseFile(t, pgtest.Start(t, pgtest.Config{}))
}

// Databases is Database for several on one server: each call of the function returns
// another one.
func Databases(t testing.TB) func(testing.TB) (path string) {
	t.Helper()
	server := pgtest.Start(t, pgtest.Config{})
	return func(t testing.TB) string { return databaseFile(t, server) }
}

func databaseFile(t testing.TB, server *pgtest.Server) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dsn")
	if err := os.WriteFile(path, []byte(server.Database(t).Reveal()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
