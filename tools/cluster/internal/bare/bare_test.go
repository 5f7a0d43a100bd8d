package bare

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/tools/cluster/internal/sh"
)

// program is a script in the place of a server.
func program(t *testing.T, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// A server that dies is not waited for: its name, and the end of its log, are the error.
func TestServerThatDies(t *testing.T) {
	never := func(context.Context, string) error { return errors.New("not yet") }
	for name, c := range map[string][2]string{
		"etcd":           {"echo no disk >&2; exit 3", "exec sleep 60"},
		"kube-apiserver": {"exec sleep 60", "echo no etcd >&2; exit 1"},
	} {
		_, err := Start(t.Context(), Config{Shell: sh.New(sh.Config{}), Etcd: program(t, c[0]), APIServer: program(t, c[1]), Dir: t.TempDir()}, never)
		if err == nil || !strings.HasPrefix(err.Error(), name+":") || !strings.Contains(err.Error(), "no ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Keys are the user's alone, and every certificate is of the one authority.
func TestKeysOfARun(t *testing.T) {
	dir := t.TempDir()
	s, err := Start(t.Context(), Config{Shell: sh.New(sh.Config{}), Etcd: program(t, "exec sleep 60"), APIServer: program(t, "exec sleep 60"), Dir: dir},
		func(context.Context, string) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	roots, keys := x509.NewCertPool(), 0
	ca, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil || !roots.AppendCertsFromPEM(ca) {
		t.Fatalf("ca.pem: %v", err)
	}
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: mode %v, %v", f, info.Mode(), err)
		}
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(text)
		switch {
		case block == nil:
		case block.Type == "PRIVATE KEY":
			keys++
		case block.Type == "CERTIFICATE":
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
				t.Errorf("%s: %v", f, err)
			}
		}
	}
	if keys != 4 {
		t.Errorf("%d private keys, want 4: of etcd, the API server, the accounts, the administrator", keys)
	}
}

// The throw-away module of Kubernetes has published modules where upstream's has folders.
func TestModuleOfKubernetes(t *testing.T) {
	const upstream = "module k8s.io/kubernetes\n\nreplace (\n\tk8s.io/api => ./staging/src/k8s.io/api\n\tother => ../folder\n\tkept => kept v1.0.0\n)\n"
	mod := rewrite(upstream)
	for want, there := range map[string]bool{
		"module built.invalid/program\n": true, "k8s.io/api => k8s.io/api v0.37.0\n": true, "kept => kept v1.0.0\n": true, "./": false, "other": false,
	} {
		if strings.Contains(mod, want) != there {
			t.Errorf("%q: want %v in\n%s", want, there, mod)
		}
	}
}
