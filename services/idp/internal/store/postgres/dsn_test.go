package postgres_test

import (
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/services/idp/internal/store/postgres"
)

// TestDEP06_NoKeyGoesInTheClearByAccident: over TCP the DSN says how the connection is
// protected, and nobody on the way can talk it out of that. No error repeats any of it.
func TestDEP06_NoKeyGoesInTheClearByAccident(t *testing.T) {
	t.Setenv("PGSSLMODE", "")
	for dsn, good := range map[string]bool{
		"host=/run/postgresql dbname=idp user=idp":                                     true,
		"host=db.test user=idp password=hunter2 sslmode=verify-full":                   true,
		"host=db.test user=idp password=hunter2 sslmode=require":                       true,
		"host=db.test user=idp password=hunter2 sslmode=disable":                       true,
		"postgres://idp:hunter2@db.test/idp?sslmode=disable":                           true,
		"host=db.test user=idp password=hunter2":                                       false,
		"host=db.test user=idp password=hunter2 sslmode=prefer":                        false, // whoever answers "no TLS" reads on
		"host=db.test user=idp password=hunter2 sslmode=allow":                         false,
		"postgres://idp:hunter2@db.test/idp?sslmode=prefer":                            false,
		"host=db.test user=idp password=hunter2sslmode":                                false, // says nothing
		"host=/run/postgresql,db.test user=idp password=hunter2":                       false, // the second is over TCP
		"host=/run/postgresql,db.test user=idp password=hunter2 sslmode=prefer":        false,
		"host=db.test user=idp password=hunter2 sslmode=verify-full sslrootcert=/none": false,
		"": false,
	} {
		err := postgres.Parse(dsn)
		if (err == nil) != good {
			t.Errorf("%s: %v", dsn, err)
		}
		if err != nil && (strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "db.test")) {
			t.Errorf("%s: the error repeats it: %v", dsn, err)
		}
	}
}
