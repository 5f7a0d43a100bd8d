package front

import (
	"net"
	"strings"
)

// place is what a host name stands for. The names are built into clients; any
// other name, such as localhost, stands for all of them together.
type place uint8

const (
	atLogin place = 1 << iota
	atRegistration
	atGraph
	atAutologon
	atOffice
	// atCertAuth is where a client certificate is asked for. It is another name,
	// because a browser would otherwise ask everybody for one.
	atCertAuth

	anywhere = atLogin | atRegistration | atGraph | atAutologon | atOffice
)

// The names that clients have built in.
const (
	loginHost        = "login.microsoftonline.com"
	registrationHost = "enterpriseregistration.windows.net"
	graphHost        = "graph.microsoft.com"
	certAuthHost     = "certauth.login.microsoftonline.com"
)

// certAuthLabel stands before the name of a login host.
const certAuthLabel = "certauth"

// loginAliases are the names of the sign-in host in the worldwide cloud.
func loginAliases() []string {
	return []string{loginHost, "login.windows.net", "login.microsoft.com", "sts.windows.net"}
}

// placeOf finds what a host name stands for.
func placeOf(name string) place {
	first, _, _ := strings.Cut(name, ".")
	switch {
	case first == "enterpriseregistration":
		return atRegistration
	case first == "graph":
		return atGraph
	case first == "autologon":
		return atAutologon
	case first == "odc":
		return atOffice
	case first == certAuthLabel:
		return atCertAuth
	case first == "login", strings.HasPrefix(name, "device.login."), name == "sts.windows.net":
		return atLogin
	default:
		return anywhere
	}
}

// bareHost is the name in a Host header: lower case, without port.
func bareHost(authority string) string {
	name := authority
	if host, _, err := net.SplitHostPort(authority); err == nil {
		name = host
	}
	return strings.ToLower(strings.TrimSuffix(name, "."))
}

// isAuthority reports whether a Host header has only what a name, an address and
// a port are made of: it is repeated in addresses.
func isAuthority(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._:[]", c) >= 0) {
			return false
		}
	}
	return s != "" && len(s) <= 260
}

// inCloud reports whether a name belongs to the worldwide cloud.
func inCloud(name string) bool {
	for _, domain := range []string{"microsoftonline.com", "windows.net", "microsoft.com", "microsoftazuread-sso.com", "officeapps.live.com"} {
		if name == domain || strings.HasSuffix(name, "."+domain) {
			return true
		}
	}
	return false
}

// sibling is the base address of a service, seen from the host that was asked:
// under a name of the cloud its name there, under a private one a private one.
func (x *exchange) sibling(p place) string {
	host := strings.ToLower(x.r.Host)
	if placeOf(bareHost(host))&p != 0 {
		return "https://" + host
	}
	if !inCloud(bareHost(host)) {
		_, rest, _ := strings.Cut(host, ".")
		if p == atRegistration {
			return "https://enterpriseregistration." + rest
		}
		return "https://" + rest
	}
	switch p {
	case atRegistration:
		return "https://" + registrationHost
	case atGraph:
		return "https://" + graphHost
	default:
		return "https://" + loginHost
	}
}
