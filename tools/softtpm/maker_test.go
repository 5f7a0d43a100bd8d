package main

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport/linuxudstpm"
	"github.com/lockstep-sso/lockstep/pkg/tpmca"
)

func certificate(t *testing.T, text string) (cert *x509.Certificate, rest string) {
	t.Helper()
	block, after := pem.Decode([]byte(text))
	if block == nil {
		t.Fatalf("no certificate in %q", text)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	ok(t, err)
	return cert, string(after)
}

func TestCA(t *testing.T) {
	dir := t.TempDir()
	first, err := run(t, "ca", "--ca", dir)
	ok(t, err)
	root, _ := certificate(t, first)
	if root.Subject.CommonName != tpmca.Name {
		t.Errorf("root %v", root.Subject)
	}
	if again, err := run(t, "ca", "--ca", dir); err != nil || again != first {
		t.Errorf("the second time: %v, %q", err, again)
	}
	if strings.Contains(first, "PRIVATE") {
		t.Error("the key was printed")
	}
	if _, err := run(t, "ca"); err == nil || !strings.Contains(err.Error(), `"ca" not set`) {
		t.Errorf("without a folder: %v", err)
	}
}

func TestManufactureAndInfo(t *testing.T) {
	dir := t.TempDir()
	state, ca := filepath.Join(dir, "none yet", "state"), filepath.Join(dir, "ca")
	out, err := run(t, "manufacture", "--state", state, "--ca", ca, "--rsa")
	ok(t, err)
	ecc, rest := certificate(t, out)
	rsa, _ := certificate(t, rest)
	if ecc.PublicKeyAlgorithm != x509.ECDSA || rsa.PublicKeyAlgorithm != x509.RSA || ecc.Issuer.CommonName != tpmca.Name {
		t.Errorf("certificates of %v and %v by %v", ecc.PublicKeyAlgorithm, rsa.PublicKeyAlgorithm, ecc.Issuer)
	}
	if again, err := run(t, "manufacture", "--state", state, "--ca", ca, "--rsa"); err != nil || again != out {
		t.Errorf("the second time: %v, other certificates", err)
	}

	before, err := os.ReadFile(state)
	ok(t, err)
	served := serving(t, "--state", state, "--listen", "unix:"+filepath.Join(dir, "s"))
	text, err := run(t, "info", "--state", state) // while it is in use
	ok(t, err)
	for _, want := range []string{"an emulated TPM, no hardware", "SOFT", "0x01c0000a ECDSA, issued by " + tpmca.Name + ", for " + tpmca.Manufacturer + ", " + tpmca.Model, "0x01c00002 RSA"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	ok(t, served.end(t))
	var i info
	text, err = run(t, "info", "--json", "--state", state)
	ok(t, err)
	ok(t, json.Unmarshal([]byte(text), &i))
	if i.Manufacturer != "SOFT" || len(i.Certificates) != 2 || len(i.NV) != 2 || i.Commands < 50 || i.Lockout.Limit == 0 || i.Revision != "1.38" {
		t.Errorf("%+v", i)
	}
	after, err := os.ReadFile(state)
	ok(t, err)
	if string(before) != string(after) {
		t.Error("looking at a TPM that nobody started changed it")
	}
	if _, err := run(t, "info", "--state", filepath.Join(dir, "none")); err == nil {
		t.Error("info on a file that is not there")
	}
}

// With an authority the TPM is ready for a device: started, certified, closed.
func TestServeManufactured(t *testing.T) {
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca")
	s := serving(t, "--ca", ca, "--listen", "unix:"+filepath.Join(dir, "s"))
	if !s.Started {
		t.Error("it does not say that the TPM was started")
	}
	tpm, err := linuxudstpm.Open(filepath.Join(dir, "s"))
	ok(t, err)
	defer func() { _ = tpm.Close() }()
	der, err := tpmca.EKCertificate(tpm)
	ok(t, err)
	cert, err := x509.ParseCertificate(der)
	ok(t, err)
	authority, err := tpmca.Open(ca)
	ok(t, err)
	ok(t, cert.CheckSignatureFrom(authority.Root()))
	platform := tpm2.AuthHandle{Handle: tpm2.TPMRHPlatform, Auth: tpm2.PasswordAuth(nil)}
	if _, err := (tpm2.Clear{AuthHandle: platform}).Execute(tpm); err == nil {
		t.Error("the platform clears the TPM")
	}
}
