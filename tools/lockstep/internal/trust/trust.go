// Package trust says what a client needs to take the laboratory for the cloud:
// the certificate to trust and the way to the host names.
//
// What lives here: that knowledge, client by client, as text. What never may: a
// change of the machine; whoever reads the text decides. The commands trust and
// serve print it.
package trust

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/serve"
)

// Variable is an environment variable.
type Variable struct{ Name, Value string }

// Variables are what clients read: the certificate by the names that each kind
// of client knows, and the proxy when there is one.
func Variables(i serve.Info) []Variable {
	var all []Variable
	for _, name := range []string{"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"} {
		all = append(all, Variable{name, i.CA})
	}
	if i.Proxy != "" {
		const direct = "localhost,127.0.0.1,::1"
		proxy := "http://" + i.Proxy
		all = append(all,
			Variable{"HTTPS_PROXY", proxy}, Variable{"https_proxy", proxy},
			Variable{"NO_PROXY", direct}, Variable{"no_proxy", direct},
			Variable{"NODE_USE_ENV_PROXY", "1"}) // Node 24 and later read the others then
	}
	return all
}

// Shell are the variables in a form that the eval of a POSIX shell takes.
func Shell(i serve.Info) string {
	var b strings.Builder
	for _, v := range Variables(i) {
		fmt.Fprintf(&b, "export %s=%s\n", v.Name, Quote(v.Value))
	}
	return b.String()
}

// Quote makes a text one word of a POSIX shell.
func Quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// isLocal says whether a name means this machine to everybody (RFC 6761 section 6.3).
func isLocal(name string) bool { return name == "localhost" || strings.HasSuffix(name, ".localhost") }

// Hosts are lines for /etc/hosts, for clients that know no proxy. The names of this
// machine are not among them: no hosts file need say where they lead.
func Hosts(i serve.Info) string {
	ip, port, err := net.SplitHostPort(i.HTTPS)
	if err != nil {
		return ""
	}
	var b strings.Builder
	if port != "443" {
		fmt.Fprintf(&b, "# These names mean port 443, and the server is on %s: start it with --listen %s:443.\n", port, ip)
	}
	for _, n := range i.Names {
		if net.ParseIP(n) == nil && !isLocal(n) && !strings.HasPrefix(n, "*") {
			fmt.Fprintf(&b, "%s %s\n", ip, n)
		}
	}
	return b.String()
}

// Note says how one kind of client is pointed at the laboratory.
type Note struct{ Client, Trust, Way string }

// Notes are the clients that are known to work, each with what it reads.
func Notes(i serve.Info) []Note {
	ip, port, err := net.SplitHostPort(i.HTTPS)
	if err != nil {
		ip, port = "127.0.0.1", "443"
	}
	return []Note{
		{"roadtx, MSAL Python, requests", "REQUESTS_CA_BUNDLE", "HTTPS_PROXY"},
		{"MSAL Go, azidentity, go-oidc", "SSL_CERT_FILE", "HTTPS_PROXY"},
		{"curl", "CURL_CA_BUNDLE", "HTTPS_PROXY"},
		{"MSAL Node, Node 24 and later", "NODE_EXTRA_CA_CERTS", "HTTPS_PROXY with NODE_USE_ENV_PROXY"},
		{"MSAL Node, Node before 24", "NODE_EXTRA_CA_CERTS", "hosts lines: its fetch knows no proxy"},
		{"libhimmelblau, reqwest", "SSL_CERT_FILE", "HTTPS_PROXY"},
		{"openssl, sssd", "SSL_CERT_FILE", "hosts lines"},
		{"Chromium", "certutil -A -d sql:$HOME/.pki/nssdb -t C,, -n lockstep -i " + i.CA,
			fmt.Sprintf(`--host-resolver-rules="MAP login.microsoftonline.com:443 %s, MAP * ~NOTFOUND"`, net.JoinHostPort(ip, port))},
		{"any, without a change of the machine", "a bind-mounted CA file", "unshare --mount and a bind-mounted /etc/hosts"},
	}
}

// Comment is the text as comments of a shell, so that eval may have all of it.
func Comment(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.TrimRight("# "+strings.TrimRight(line, "\n"), " ") + "\n")
	}
	return b.String()
}

// Write puts ca.pem, env and hosts into a folder, which it makes.
func Write(i serve.Info, dir string) ([]string, error) {
	ca, err := durable.ReadFile(i.CA)
	if err != nil {
		return nil, fmt.Errorf("certificate to trust: %w", err)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, fmt.Errorf("folder to write to: %w", err)
	}
	here := i
	here.CA = filepath.Join(dir, "ca.pem")
	var paths []string
	for _, f := range []struct {
		name string
		text []byte
	}{{"ca.pem", ca}, {"env", []byte(Shell(here))}, {"hosts", []byte(Hosts(here))}} {
		path := filepath.Join(dir, f.name)
		if err := durable.WriteFile(path, f.text, nil); err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}
