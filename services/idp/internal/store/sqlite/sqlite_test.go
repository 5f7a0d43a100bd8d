package sqlite_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store/sqlite"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store/storetest"
)

func open(t testing.TB, path string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.New(context.Background(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t testing.TB) store.Store { return open(t, filepath.Join(t.TempDir(), "a b?c", "state.db")) })
}

func TestDEP05_WhatWasWrittenIsThereAfterARestart(t *testing.T) {
	path, ctx := filepath.Join(t.TempDir(), "state.db"), context.Background()
	first := open(t, path)
	u := store.User{ID: ids.NewUser(), Tenant: ids.NewTenant(), UPN: "a@x.test", PasswordHash: secret.NewText("hash"), TOTPSecret: secret.NewText("totp")}
	if err := first.AddUser(ctx, u); err != nil {
		t.Fatal(err)
	}
	if err := first.PutDocument(ctx, "k", "1", []byte{0, 1}); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, path)
	got, err := again.UserByUPN(ctx, "a@x.test")
	if err != nil || !got.PasswordHash.Equal(u.PasswordHash) || !got.TOTPSecret.Equal(u.TOTPSecret) {
		t.Errorf("%+v, %v", got, err)
	}
	if d, err := again.Document(ctx, "k", "1"); err != nil || string(d) != "\x00\x01" {
		t.Errorf("%v, %v", d, err)
	}
}

func TestTheFileIsItsOwnersAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	path := filepath.Join(dir, "state.db")
	s := open(t, path)
	if err := s.PutDocument(context.Background(), "k", "1", []byte("x")); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) < 2 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range append(files, dir) {
		info, err := os.Stat(f)
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", f, info.Mode(), err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.New(context.Background(), sqlite.Config{Path: path}); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("%v", err)
	}
}

func TestAFileThatIsNotOurs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("not a database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.New(context.Background(), sqlite.Config{Path: path}); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("%v", err)
	}
}
