package host

import (
	"fmt"
	"maps"
	"net"
	"regexp"
	"slices"
	"strings"
)

// Known are the names that clients have built in, and names of this machine.
func Known() []string {
	return []string{
		"login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net",
		"device.login.microsoftonline.com", "enterpriseregistration.windows.net", "certauth.login.microsoftonline.com",
		"graph.microsoft.com", "graph.windows.net",
		"autologon.microsoftazuread-sso.com", "odc.officeapps.live.com",
		"lockstep.test", "*.lockstep.test", "enterpriseregistration.lockstep.test", "certauth.lockstep.test", "certauth.login.lockstep.test",
		"localhost", "certauth.localhost", "127.0.0.1", "::1",
	}
}

// asksForCertificate says whether clients of a name are asked for a TLS client
// certificate: a device proves itself so, and a person who signs in with a
// certificate. Elsewhere a browser that has any
// certificate would ask its user which one to show.
func asksForCertificate(name string) bool {
	return strings.HasPrefix(name, "enterpriseregistration.") || strings.HasPrefix(name, "device.login.") || strings.HasPrefix(name, "certauth.")
}

// signsPeopleIn reports whether the certificate that a host name asks for signs a person
// in. Those of other names belong to devices.
func signsPeopleIn(name string) bool { return strings.HasPrefix(name, "certauth.") }

// allNames are the names to serve, in order, each once.
func allNames(cfg Config) ([]string, error) {
	names := slices.Concat(Known(), slices.Collect(maps.Keys(cfg.Hosts)), cfg.Names)
	if own := net.ParseIP(bare(cfg.Listen)); own != nil && !own.IsUnspecified() {
		names = append(names, own.String())
	}
	ok := regexp.MustCompile(`^(\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)
	for _, n := range names {
		if net.ParseIP(n) == nil && (!ok.MatchString(n) || len(n) > 253) {
			return nil, fmt.Errorf("%.80q is not a host name: use lower-case letters, digits, dashes and dots, without a port", n)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// bare is the name in a Host header or an authority: lower case, without port,
// brackets and the dot of the root.
func bare(authority string) string {
	name := authority
	if host, _, err := net.SplitHostPort(authority); err == nil {
		name = host
	}
	name = strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	return strings.TrimSuffix(strings.ToLower(name), ".")
}

// wildcard is the name with its first label replaced, or "".
func wildcard(name string) string {
	_, rest, ok := strings.Cut(name, ".")
	if !ok || net.ParseIP(name) != nil {
		return ""
	}
	return "*." + rest
}

func serves(names []string, name string) bool {
	name = bare(name)
	return name != "" && !strings.HasPrefix(name, "*") && (slices.Contains(names, name) || slices.Contains(names, wildcard(name)))
}
