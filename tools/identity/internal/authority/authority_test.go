package authority_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/tools/identity/internal/authority"
)

func key(t *testing.T, c elliptic.Curve) *ecdsa.PublicKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &k.PublicKey
}

func open(t *testing.T, dir string, now time.Time, namespaces ...string) *authority.Set {
	t.Helper()
	s, err := authority.Open(dir, namespaces, now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestACertificate is looked at by the standard library and, where there is one, by
// OpenSSL, which judges the constraints of the authority on its own.
func TestACertificate(t *testing.T) {
	now := time.Now()
	s := open(t, t.TempDir(), now, "one", "two")
	got, err := s.Of("one").Issue("tpm-agent", key(t, elliptic.P256()), now, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	leaf := got.Leaf
	if len(leaf.URIs) != 1 || leaf.URIs[0].String() != "spiffe://lockstep/tpm-agent" || leaf.NotAfter.Sub(leaf.NotBefore) != time.Hour || leaf.IsCA {
		t.Errorf("%v, %v to %v", leaf.URIs, leaf.NotBefore, leaf.NotAfter)
	}
	for namespace, ok := range map[string]bool{"one": true, "two": false} {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(s.Of(namespace).PEM()) {
			t.Fatal("the authority is no certificate")
		}
		for _, use := range []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth} {
			_, err := leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: "tpm-agent", KeyUsages: []x509.ExtKeyUsage{use}})
			if (err == nil) != ok {
				t.Errorf("under %s: %v", namespace, err)
			}
		}
		if s.Of(namespace).Made(leaf) != ok {
			t.Errorf("made by %s: %v", namespace, !ok)
		}
	}
	openssl(t, s.Of("one").PEM(), got.PEM, true)
	openssl(t, s.Of("two").PEM(), got.PEM, false)
}

func openssl(t *testing.T, ca, leaf []byte, ok bool) {
	t.Helper()
	dir := t.TempDir()
	for name, data := range map[string][]byte{"ca": ca, "leaf": leaf} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", "tpm-agent", "-CAfile", "ca", "leaf")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		t.Log("not judged by openssl, which is not installed")
		return
	}
	if (err == nil) != ok {
		t.Errorf("openssl: %v\n%s", err, out)
	}
}

func TestWhatIsNotIssued(t *testing.T) {
	now := time.Now()
	a := open(t, t.TempDir(), now, "one").Of("one")
	if _, err := a.Issue("x", key(t, elliptic.P384()), now, time.Hour); err == nil {
		t.Error("a key on another curve")
	}
	if _, err := a.Issue("x", nil, now, time.Hour); err == nil {
		t.Error("no key")
	}
	if _, err := a.Issue("x", key(t, elliptic.P256()), now, 20*365*24*time.Hour); err == nil {
		t.Error("a certificate outlives its authority")
	}
}

// TestKeysStayInTheirFolder opens a folder again and again: the authorities are the
// same, nobody else can read them, and what is damaged is not replaced in silence.
func TestKeysStayInTheirFolder(t *testing.T) {
	now, dir := time.Now(), filepath.Join(t.TempDir(), "ca")
	first := open(t, dir, now, "one")
	path := filepath.Join(dir, "one.pem")
	if err := os.Chmod(path, 0o660); err != nil { // as a mount with an fsGroup leaves it
		t.Fatal(err)
	}
	second := open(t, dir, now, "one", "two")
	if string(first.Of("one").PEM()) != string(second.Of("one").PEM()) || second.Of("two") == nil || second.Of("three") != nil {
		t.Error("the authorities are others")
	}
	if got := string(second.Bundle([]string{"two", "one"})); got != string(second.Of("two").PEM())+string(second.Of("one").PEM()) {
		t.Errorf("bundle %s", got)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("%v, %v", entries, err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", e.Name(), info.Mode(), err)
		}
	}
	if _, err := authority.Open(dir, []string{"one"}, now.Add(11*365*24*time.Hour)); err == nil || !strings.Contains(err.Error(), "ended") {
		t.Errorf("after ten years: %v", err)
	}
	if err := os.WriteFile(path, []byte("damage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := authority.Open(dir, []string{"one"}, now); err == nil {
		t.Error("damage is replaced in silence")
	}
}
