package chrome

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// policies is where Chromium of Debian reads what its administrator wants.
const policies = "/etc/chromium"

// CardReader says what is missing for a browser with a client certificate; nil when
// nothing is. The certificate has to lie in NSS's database, and a policy has to choose
// it, because nobody sits at the window that asks which. The policy is put in place for
// the one process alone, in a mount namespace of its own.
func CardReader(ctx context.Context) error {
	var missing []string
	for _, program := range []string{"certutil", "pk12util", "openssl", "unshare"} {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, program)
		}
	}
	if len(missing) > 0 {
		return errors.New("not on the PATH: " + strings.Join(missing, ", ") + " (Debian: apt-get install libnss3-tools openssl util-linux)")
	}
	if _, err := os.Stat(policies); err != nil {
		return fmt.Errorf("the browser is not Debian's: %w", err)
	}
	if out, err := exec.CommandContext(ctx, "unshare", "--mount", "true").CombinedOutput(); err != nil {
		return fmt.Errorf("no mount namespace, which needs root: %w: %s", err, out)
	}
	return nil
}

// Card is a certificate with its key, as PEM.
type Card struct{ Certificate, Key []byte }

// Insert makes a folder ready in which Start will run a browser that has the card and
// shows it to these addresses, such as https://certauth.login.microsoftonline.com.
// It answers the program to start.
func Insert(ctx context.Context, dir, program string, card Card, addresses ...string) (string, error) {
	database := filepath.Join(dir, ".pki", "nssdb")
	etc := filepath.Join(dir, "etc")
	managed := filepath.Join(etc, "policies", "managed")
	for _, d := range []string{database, managed} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return "", err
		}
	}
	var choose []string
	for _, a := range addresses {
		choose = append(choose, `{"pattern":"`+a+`","filter":{}}`)
	}
	policy, err := json.Marshal(map[string]any{"AutoSelectCertificateForUrls": choose})
	if err != nil {
		return "", err
	}
	pem, p12, start := filepath.Join(dir, "card.pem"), filepath.Join(dir, "card.p12"), filepath.Join(dir, "chromium")
	script := "#!/bin/sh\nexec unshare --mount sh -c 'mount --bind \"$0\" " + policies + " && exec \"$@\"' " + quote(etc) + " " + quote(program) + " \"$@\"\n"
	for name, text := range map[string][]byte{
		filepath.Join(managed, "card.json"): policy, pem: append(append([]byte(nil), card.Certificate...), card.Key...), start: []byte(script),
	} {
		if err := os.WriteFile(name, text, 0o700); err != nil {
			return "", err
		}
	}
	for _, command := range [][]string{
		{"certutil", "-N", "-d", "sql:" + database, "--empty-password"},
		{"openssl", "pkcs12", "-export", "-in", pem, "-out", p12, "-passout", "pass:", "-name", "card"},
		{"pk12util", "-i", p12, "-d", "sql:" + database, "-W", ""},
	} {
		if out, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("%s: %w: %s", strings.Join(command, " "), err, out)
		}
	}
	return start, nil
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
