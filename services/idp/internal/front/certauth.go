package front

import (
	"net"
	"net/http"
	"net/url"
	"strings"

	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// maxChain bounds the certificates of a client that are handed on.
const maxChain = 8

// certAuthRoutes are at the name whose TLS asks for a client certificate.
func (f *Front) certAuthRoutes() []route {
	var all []route
	for _, prefix := range []string{"", "/{t}"} {
		all = append(all, route{
			at: atCertAuth, methods: http.MethodPost, template: prefix + "/certauth", serve: (*exchange).certificate, fail: failPage, own: true,
			protocol: idpv1.Protocol_PROTOCOL_V1,
		})
	}
	return all
}

// at is what the name that was asked stands for.
func (x *exchange) at() place { return placeOf(bareHost(x.r.Host)) }

// certAuth is the address that asks for a client certificate, "" when the login
// host has no name that another could stand before.
func (x *exchange) certAuth() string {
	login := hostOf(x.sibling(atLogin))
	if inCloud(bareHost(login)) {
		return "https://" + certAuthHost + certAuthPath
	}
	if net.ParseIP(strings.Trim(bareHost(login), "[]")) != nil {
		return ""
	}
	return "https://" + certAuthLabel + "." + login + certAuthPath
}

// certificate takes the client certificate of the connection. Its key was proven in
// the TLS handshake with this machine: package host believes no proxy here; everything else about it is judged by whoever knows the authorities. The
// form comes from a page of the login host, which the Origin says.
func (x *exchange) certificate() error {
	p, err := x.flowForm()
	if err != nil {
		return err
	}
	x.tried = byCertificate
	if x.r.TLS == nil || len(x.r.TLS.PeerCertificates) == 0 {
		return x.noCertificate(p)
	}
	var chain [][]byte
	for _, c := range x.r.TLS.PeerCertificates[:min(maxChain, len(x.r.TLS.PeerCertificates))] {
		chain = append(chain, c.Raw)
	}
	c := x.credentials()
	a, err := x.signIn.SubmitCertificate(x.ctx, &idpv1.SubmitCertificateRequest{
		Caller: x.caller(), FlowToken: x.flow, Chain: chain, RefreshTokenCredential: c.refreshToken, DeviceCredential: c.device,
	})
	if err != nil {
		return err
	}
	return x.next(a.GetNext())
}

// noCertificate says why there is none, and offers to try again. A connection that a
// proxy made has no version of TLS.
func (x *exchange) noCertificate(p params) error {
	page := &idpv1.SignInPage{Kind: idpv1.PageKind_PAGE_KIND_SIGN_IN, FlowToken: x.flow, Canary: p["canary"], SessionId: sessionOf(p), UserPrincipalName: p["login"]}
	if p["AuthMethodId"] == methodCertificate {
		page.Kind = idpv1.PageKind_PAGE_KIND_SECOND_FACTOR
	}
	c := x.config(page)
	v := x.view(page, c)
	v.Stage, v.Notice = byCertificate, "certificate.none"
	if x.r.TLS == nil || x.r.TLS.Version == 0 {
		v.Notice = "certificate.proxy"
	}
	return x.render(http.StatusOK, v, c)
}

// isSibling reports whether a page of an origin is ours: of the login host that the
// name for certificates belongs to, or the other way round.
func (x *exchange) isSibling(origin *url.URL) bool {
	if origin.Scheme != "https" {
		return false
	}
	own, other := strings.ToLower(x.r.Host), strings.ToLower(origin.Host)
	if x.at() != atCertAuth {
		own, other = other, own
	}
	// own is the name for certificates now, other the login host.
	if placeOf(bareHost(own)) != atCertAuth || placeOf(bareHost(other))&atLogin == 0 {
		return false
	}
	return own == certAuthLabel+"."+other || own == certAuthHost && inCloud(bareHost(other)) && !strings.Contains(other, ":")
}
