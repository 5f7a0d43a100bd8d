package sqlite_test

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// A state file of version 1 holds devices of which nothing was proven, and objects
// that have no keys yet.
func TestDevicesOfBeforeAttestationHaveNothingProven(t *testing.T) {
	path, ctx := filepath.Join(t.TempDir(), "state.db"), context.Background()
	registered, waiting := ids.NewDevice(), ids.NewDevice()
	write(t, path, registered, waiting)
	s := open(t, path)
	for id, want := range map[ids.DeviceID]store.Protection{registered: store.ProtectionSoftware, waiting: ""} {
		d, err := s.Device(ctx, id)
		if err != nil || d.KeyProtection != want || d.DisplayName != "D" || len(d.StorageKey) != 0 {
			t.Errorf("%+v, %v; want protection %q", d, err, want)
		}
	}
}

// A state file of version 1 knows of an authenticator only that there is one.
func TestAuthenticatorsOfBeforeHaveNoName(t *testing.T) {
	path, ctx := filepath.Join(t.TempDir(), "state.db"), context.Background()
	write(t, path, ids.NewDevice(), ids.NewDevice())
	s := open(t, path)
	for upn, want := range map[ids.UPN]int{"with@x.test": 1, "without@x.test": 0} {
		u, err := s.UserByUPN(ctx, upn)
		if err != nil || len(u.Push) != want {
			t.Errorf("%s: %+v, %v", upn, u.Push, err)
		}
		for _, a := range u.Push {
			if len(a.ID) != 36 || a.Name != "Authenticator app" || a.PhoneSignIn {
				t.Errorf("%+v", a)
			}
		}
	}
}

func write(t *testing.T, path string, registered, waiting ids.DeviceID) {
	t.Helper()
	schema, err := os.ReadFile("schema/0001.sql")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	const insert = "INSERT INTO devices (id, tenant, registered_by, record) VALUES (?, 't', 'u', ?)"
	for _, do := range [][]any{
		{string(schema) + "PRAGMA user_version = 1;"},
		{`INSERT INTO users (id, tenant, upn, immutable_id, record) VALUES ('1', 't', 'with@x.test', '', '{"UPN":"with@x.test","Push":true}')`},
		{`INSERT INTO users (id, tenant, upn, immutable_id, record) VALUES ('2', 't', 'without@x.test', '', '{"UPN":"without@x.test","Push":false}')`},
		{insert, string(registered), `{"ID":"` + string(registered) + `","DisplayName":"D"}`},
		{insert, string(waiting), `{"ID":"` + string(waiting) + `","DisplayName":"D","Pending":true}`},
	} {
		if _, err := db.Exec(do[0].(string), do[1:]...); err != nil {
			t.Fatal(err)
		}
	}
}
