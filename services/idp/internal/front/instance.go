package front

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

// network is a set of host names that are one service.
type network struct {
	PreferredNetwork string   `json:"preferred_network"`
	PreferredCache   string   `json:"preferred_cache"`
	Aliases          []string `json:"aliases"`
}

// discoverInstance says whether a host belongs to the service. Clients ask it at
// a host they know about one they do not.
func (x *exchange) discoverInstance() error {
	q, err := x.query()
	if err != nil {
		return err
	}
	asked := q["authorization_endpoint"]
	if asked == "" {
		return prterr.AADSTS(aadsts.MissingParameter, "The request must contain the parameter authorization_endpoint.")
	}
	u, err := url.Parse(asked)
	if err != nil || !isAuthority(u.Host) || u.Scheme != "https" {
		return prterr.AADSTS(aadsts.InvalidRequest, "The parameter authorization_endpoint is not an https address.")
	}
	own, name := strings.ToLower(x.r.Host), bareHost(u.Host)
	known := slices.Contains(loginAliases(), name)
	if !known && !strings.EqualFold(u.Host, own) {
		return prterr.AADSTS(aadsts.InstanceNotFound, "")
	}
	segments, ok := split(u)
	if !ok || len(segments) == 0 {
		return prterr.AADSTS(aadsts.InvalidRequest, "The parameter authorization_endpoint names no tenant.")
	}
	version := q["api-version"]
	if version == "" {
		version = "1.0"
	}
	tenant := "https://" + strings.ToLower(u.Host) + "/" + url.PathEscape(segments[0])
	if slices.ContainsFunc(segments, func(s string) bool { return strings.EqualFold(s, "v2.0") }) {
		tenant += "/v2.0"
	}
	aliases := loginAliases()
	all := []network{{PreferredNetwork: loginHost, PreferredCache: aliases[1], Aliases: aliases}}
	if !known {
		all = append(all, network{PreferredNetwork: own, PreferredCache: own, Aliases: []string{own}})
	}
	x.json(http.StatusOK, struct {
		Endpoint string    `json:"tenant_discovery_endpoint"`
		Version  string    `json:"api-version"`
		Metadata []network `json:"metadata"`
	}{tenant + "/.well-known/openid-configuration", version, all})
	return nil
}
