package tpmca_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/tpmca"
)

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, dir string) *tpmca.CA {
	t.Helper()
	ca, err := tpmca.Open(dir)
	ok(t, err)
	return ca
}

func TestOpen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "there", "yet")
	first := open(t, dir)
	root := first.Root()
	if root.Subject.CommonName != "Lockstep emulated TPM CA" || !root.IsCA || !root.MaxPathLenZero {
		t.Errorf("root %v, CA %v, path length zero %v", root.Subject, root.IsCA, root.MaxPathLenZero)
	}
	if !strings.Contains(root.Subject.String(), "no hardware") {
		t.Errorf("the root's name %v does not say that there is no hardware", root.Subject)
	}
	if again := open(t, dir); !again.Root().Equal(root) {
		t.Error("the second Open made another root")
	}
	block, rest := pem.Decode(first.RootPEM())
	if block == nil || len(rest) > 0 || !bytes.Equal(block.Bytes, root.Raw) {
		t.Error("RootPEM is not Root")
	}
	entries, err := os.ReadDir(dir)
	ok(t, err)
	if len(entries) != 1 {
		t.Errorf("the folder has %v", entries)
	}
	info, err := entries[0].Info()
	ok(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %#o", info.Mode().Perm())
	}
	if s := fmt.Sprintf("%v %+v %#v %s", first, first, first, first); strings.Count(s, "tpmca.CA{...}") != 4 {
		t.Errorf("an authority prints as %s", s)
	}
}

// Whoever makes the folder's authority first, everybody has the same one.
func TestOpenTogether(t *testing.T) {
	dir := t.TempDir()
	roots := make([]*x509.Certificate, 16)
	var all sync.WaitGroup
	for i := range roots {
		all.Go(func() {
			ca, err := tpmca.Open(dir)
			if err != nil {
				t.Error(err)
				return
			}
			roots[i] = ca.Root()
		})
	}
	all.Wait()
	for _, r := range roots {
		if r == nil || !r.Equal(roots[0]) {
			t.Fatal("two roots from one folder")
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left in the folder: %v, %v", entries, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	open(t, dir)
	path := filepath.Join(dir, "emulated-tpm-ca.pem")
	good, err := os.ReadFile(path)
	ok(t, err)
	other := t.TempDir()
	open(t, other)
	foreign, err := os.ReadFile(filepath.Join(other, "emulated-tpm-ca.pem"))
	ok(t, err)
	cut := bytes.Index(good, []byte("-----BEGIN CERT"))
	foreignCut := bytes.Index(foreign, []byte("-----BEGIN CERT"))
	damaged := bytes.Clone(good)
	damaged[cut+100] ^= 1
	for name, content := range map[string][]byte{
		"empty":                     {},
		"key alone":                 good[:cut],
		"certificate alone":         good[cut:],
		"a key of another":          append(bytes.Clone(foreign[:foreignCut]), good[cut:]...),
		"something behind":          append(bytes.Clone(good), "more"...),
		"damaged":                   damaged,
		"the other way round":       append(bytes.Clone(good[cut:]), good[:cut]...),
		"larger than any such file": make([]byte, 2<<20),
	} {
		ok(t, os.WriteFile(path, content, 0o600))
		_, err := tpmca.Open(dir)
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		if !strings.Contains(err.Error(), path) {
			t.Errorf("%s: the error does not name the file: %v", name, err)
		}
		if now, rerr := os.ReadFile(path); rerr != nil || !bytes.Equal(now, content) {
			t.Errorf("%s: the file was touched", name)
		}
	}
	ok(t, os.WriteFile(path, good, 0o600))
	ok(t, os.Chmod(path, 0o640))
	if _, err := tpmca.Open(dir); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a key that others read: %v", err)
	}
	ok(t, os.Chmod(path, 0o600))
	open(t, dir)
}
