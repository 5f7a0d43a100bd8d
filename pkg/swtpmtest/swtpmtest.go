// Package swtpmtest makes TPMs that nobody here wrote, for tests: swtpm's own maker
// manufactures them, with certificates of an authority of the test's own.
//
// What lives here: the one recipe for swtpm_setup. What never may: the program that
// runs such a TPM, which each test starts in the way that it is about. Tests only.
package swtpmtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Manufacture makes a TPM in a folder: an RSA and a P-384 endorsement key, kept in it
// and certified. It returns the folder, for swtpm's --tpmstate, and the certificates of
// the authority in PEM. Where swtpm is not installed the test is skipped.
func Manufacture(t testing.TB) (state string, authority []byte) {
	t.Helper()
	for _, program := range []string{"swtpm", "swtpm_setup", "swtpm_localca"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed: install swtpm and swtpm-tools", program)
		}
	}
	// t.TempDir has the test's name in it: swtpm reads a comma as the end of an option,
	// and swtpm_setup makes a socket, whose path must be short.
	dir, err := os.MkdirTemp("", "swtpm") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	state, ca := filepath.Join(dir, "state"), filepath.Join(dir, "ca")
	for _, d := range []string{state, ca} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"--tpm2", "--tpmstate", state, "--createek", "--create-ek-cert", "--config", configure(t, dir, ca)}
	if os.Getuid() == 0 {
		args = append(args, "--runas", "root")
	}
	if out, err := exec.CommandContext(t.Context(), "swtpm_setup", args...).CombinedOutput(); err != nil { //nolint:gosec // G204: the program is swtpm_setup from the PATH
		t.Fatalf("swtpm_setup: %v\n%s", err, out)
	}
	for _, name := range []string{"swtpm-localca-rootca-cert.pem", "issuercert.pem"} {
		b, err := os.ReadFile(filepath.Join(ca, name))
		if err != nil {
			t.Fatal(err)
		}
		authority = append(authority, b...)
	}
	return state, authority
}

// configure writes what swtpm_setup and swtpm_localca are told, and returns the path
// of the former.
func configure(t testing.TB, dir, ca string) string {
	t.Helper()
	tool, err := exec.LookPath("swtpm_localca")
	if err != nil {
		t.Fatal(err)
	}
	setup, issuer, options := filepath.Join(dir, "setup.conf"), filepath.Join(dir, "ca.conf"), filepath.Join(dir, "ca.options")
	for path, text := range map[string]string{
		setup: fmt.Sprintf("create_certs_tool=%s\ncreate_certs_tool_config=%s\ncreate_certs_tool_options=%s\n", tool, issuer, options),
		issuer: fmt.Sprintf("statedir=%s\nsigningkey=%s\nissuercert=%s\ncertserial=%s\n",
			ca, filepath.Join(ca, "signkey.pem"), filepath.Join(ca, "issuercert.pem"), filepath.Join(ca, "certserial")),
		options: "--platform-manufacturer Lockstep\n--platform-version 1\n--platform-model Test\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return setup
}
