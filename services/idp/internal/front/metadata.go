package front

import (
	"crypto/rsa"
	"crypto/sha1" // x5t is a SHA-1 by definition, RFC 7517 section 4.8
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"net/http"

	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

func (f *Front) metadataRoutes() []route {
	const v1, v2 = idpv1.Protocol_PROTOCOL_V1, idpv1.Protocol_PROTOCOL_V2
	get := func(template string, s func(*exchange) error, p idpv1.Protocol) route {
		return route{at: atLogin, methods: "GET", template: template, serve: s, fail: failOAuth, open: everybody, protocol: p}
	}
	return []route{
		get("/{t}/.well-known/openid-configuration", (*exchange).openIDConfiguration, v1),
		get("/{t}/v2.0/.well-known/openid-configuration", (*exchange).openIDConfiguration, v2),
		get("/{t}/discovery/instance", (*exchange).discoverInstance, v1),
		get("/{t}/discovery/keys", (*exchange).keys, v1),
		get("/{t}/discovery/v2.0/keys", (*exchange).keys, v2),
	}
}

// issuers of tokens. They are names and do not follow the host that was asked.
func issuer(tenant string, v1 bool) string {
	if v1 {
		return "https://sts.windows.net/" + tenant + "/"
	}
	return "https://" + loginHost + "/" + tenant + "/v2.0"
}

// openIDMetadata is the OpenID provider's own description. Members of version 2
// only are left out in version 1, and the other way round.
type openIDMetadata struct {
	TokenEndpoint         string   `json:"token_endpoint"`
	TokenAuthMethods      []string `json:"token_endpoint_auth_methods_supported"`
	JWKSURI               string   `json:"jwks_uri"`
	ResponseModes         []string `json:"response_modes_supported"`
	SubjectTypes          []string `json:"subject_types_supported"`
	SigningAlgs           []string `json:"id_token_signing_alg_values_supported"`
	ResponseTypes         []string `json:"response_types_supported"`
	Scopes                []string `json:"scopes_supported"`
	Issuer                string   `json:"issuer"`
	MRRT                  bool     `json:"microsoft_multi_refresh_token,omitempty"`
	RequestURIs           bool     `json:"request_uri_parameter_supported"`
	AuthorizationEndpoint string   `json:"authorization_endpoint"`
	DeviceEndpoint        string   `json:"device_authorization_endpoint"`
	HTTPLogout            bool     `json:"http_logout_supported"`
	FrontChannelLogout    bool     `json:"frontchannel_logout_supported"`
	EndSessionEndpoint    string   `json:"end_session_endpoint"`
	Claims                []string `json:"claims_supported"`
	ChallengeMethods      []string `json:"code_challenge_methods_supported"`
	UserInfoEndpoint      string   `json:"userinfo_endpoint"`
	RegionScope           *string  `json:"tenant_region_scope"`
	CloudInstanceName     string   `json:"cloud_instance_name"`
	CloudGraphHost        string   `json:"cloud_graph_host_name"`
	GraphHost             string   `json:"msgraph_host"`
	RBACURL               string   `json:"rbac_url"`
	Capabilities          []string `json:"capabilities"`
}

func (x *exchange) openIDConfiguration() error {
	a, err := x.metadata.DescribeTenant(x.ctx, &idpv1.DescribeTenantRequest{Tenant: x.tenant()})
	if err != nil {
		return err
	}
	tenant, named := a.GetTenantId(), "{tenantid}"
	if tenant == "" {
		tenant = x.tenant() // common and its like: the issuer names a place to fill in
	} else {
		named = tenant
	}
	base, graph := x.sibling(atLogin)+"/"+escape(tenant), x.sibling(atGraph)
	version, keys, userInfo := "/oauth2/v2.0", base+"/discovery/v2.0/keys", graph+"/oidc/userinfo"
	if x.v1() {
		version, keys, userInfo = "/oauth2", x.sibling(atLogin)+"/common/discovery/keys", base+"/openid/userinfo"
	}
	m := openIDMetadata{
		TokenEndpoint: base + version + "/token", TokenAuthMethods: []string{"client_secret_post", "private_key_jwt", "client_secret_basic"},
		JWKSURI: keys, ResponseModes: []string{"query", "fragment", "form_post"}, SubjectTypes: []string{"pairwise"}, SigningAlgs: []string{"RS256"},
		ResponseTypes: []string{"code", "id_token", "code id_token"}, Scopes: []string{"openid", "profile", "email", "offline_access"},
		Issuer: issuer(named, x.v1()), MRRT: x.v1(), AuthorizationEndpoint: base + version + "/authorize", DeviceEndpoint: base + version + "/devicecode",
		HTTPLogout: true, FrontChannelLogout: true, EndSessionEndpoint: base + version + "/logout",
		Claims: []string{
			"sub", "iss", "cloud_instance_name", "cloud_instance_host_name", "cloud_graph_host_name", "msgraph_host", "aud", "exp", "iat",
			"auth_time", "acr", "nonce", "preferred_username", "name", "tid", "ver", "at_hash", "c_hash", "email",
		},
		ChallengeMethods: []string{"plain", "S256"}, UserInfoEndpoint: userInfo, CloudInstanceName: "microsoftonline.com",
		CloudGraphHost: "graph.windows.net", GraphHost: hostOf(graph), RBACURL: "https://pas.windows.net", Capabilities: []string{"kdf_ver2"},
	}
	if region := a.GetRegion(); region != "" {
		m.RegionScope = &region
	}
	x.json(http.StatusOK, m)
	return nil
}

// jwk is a token-signing key, RFC 7517.
type jwk struct {
	Kty    string   `json:"kty"`
	Use    string   `json:"use"`
	Kid    string   `json:"kid"`
	X5T    string   `json:"x5t,omitempty"`
	N      string   `json:"n"`
	E      string   `json:"e"`
	X5C    []string `json:"x5c,omitempty"`
	Alg    string   `json:"alg,omitempty"`
	Issuer string   `json:"issuer,omitempty"`
}

func (x *exchange) keys() error {
	t, err := x.metadata.DescribeTenant(x.ctx, &idpv1.DescribeTenantRequest{Tenant: x.tenant()})
	if err != nil {
		return err
	}
	a, err := x.metadata.ListSigningKeys(x.ctx, &idpv1.ListSigningKeysRequest{})
	if err != nil {
		return err
	}
	named := t.GetTenantId()
	if named == "" {
		named = "{tenantid}"
	}
	set := struct {
		Keys []jwk `json:"keys"`
	}{Keys: []jwk{}}
	for _, k := range a.GetKeys() {
		key, err := signingJWK(k)
		if err != nil {
			return err
		}
		if !x.v1() {
			key.Issuer = issuer(named, false)
		}
		set.Keys = append(set.Keys, key)
	}
	x.json(http.StatusOK, set)
	return nil
}

func signingJWK(k *idpv1.SigningKey) (jwk, error) {
	pub, err := x509.ParsePKIXPublicKey(k.GetPublicKey())
	if err != nil {
		return jwk{}, prterr.Wrap(prterr.Internal, err, "a signing key could not be read")
	}
	key, ok := pub.(*rsa.PublicKey)
	if !ok {
		return jwk{}, prterr.New(prterr.Internal, "a signing key is not RSA")
	}
	out := jwk{
		Kty: "RSA", Use: "sig", Kid: k.GetKid(), Alg: jose.RS256,
		N: jose.EncodeSegment(key.N.Bytes()), E: jose.EncodeSegment(big.NewInt(int64(key.E)).Bytes()),
	}
	if der := k.GetCertificate(); len(der) > 0 {
		sum := sha1.Sum(der)
		out.X5T, out.X5C = jose.EncodeSegment(sum[:]), []string{base64.StdEncoding.EncodeToString(der)}
	}
	return out, nil
}
