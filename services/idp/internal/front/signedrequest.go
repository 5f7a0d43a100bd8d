package front

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
)

// glance is what a signed request says it is. Nothing of it is checked here and
// nothing is decided by it but whom to ask: whoever is asked checks all of it,
// and refuses what is not meant for them.
type glance struct {
	alg, grantType, clientID, resource, purpose, refreshToken, boundToken string
}

func glanceAt(compact string) (g glance) {
	parts, err := jose.Split(compact, 3)
	if err != nil {
		return g
	}
	member := func(segment int) func(string) string {
		var m map[string]json.RawMessage
		if b, err := jose.DecodeSegment(parts[segment]); err == nil {
			_ = jose.DecodeObject(b, &m) // a request that is none is refused where it is checked
		}
		return func(name string) string {
			s, _ := jose.Text(m[name])
			return s
		}
	}
	header, claim := member(0), member(1)
	return glance{
		alg: header("alg"), grantType: claim("grant_type"), clientID: claim("client_id"), resource: claim("resource"),
		purpose: claim("purpose"), refreshToken: claim("refresh_token"), boundToken: claim("at"),
	}
}

// uses reports whether the request uses a PRT: it is signed with a session key,
// or with the device key and says so.
func (g glance) uses() bool { return g.alg == jose.HS256 || g.purpose == "prt_usage" }

// renews reports whether the client of Windows sign-in asks for itself: that
// renews the PRT.
func (g glance) renews() bool { return g.clientID == entrawire.SignInClientID && g.resource == "" }

// signedRequest hands a signed request to whom it is for.
func (x *exchange) signedRequest(p params) error {
	protocol, err := prtProtocol(p)
	if err != nil {
		return err
	}
	g := glanceAt(p["request"])
	switch {
	case g.alg == jose.HS256 && g.grantType == entrawire.GrantDataKey:
		a, err := x.dataKeys.RequestDataKey(x.ctx, &idpv1.RequestDataKeyRequest{Request: p["request"], Caller: x.caller()})
		return x.sealedAnswer(a.GetAnswer(), err)
	case g.uses() && g.renews():
		a, err := x.issuance.RenewPRT(x.ctx, &idpv1.RenewPRTRequest{
			Request: p["request"], Caller: x.caller(), Protocol: protocol, Claims: p["claims"], Endpoint: x.route.protocol,
		})
		return x.sealedAnswer(a.GetAnswer(), err)
	case g.uses() && sealed.Looks(g.refreshToken) == sealed.RefreshToken:
		a, err := x.tokens.RedeemRefreshToken(x.ctx, &idpv1.RedeemRefreshTokenRequest{
			Request: p["request"], Caller: x.caller(), Protocol: protocol, Claims: p["claims"], Endpoint: x.route.protocol,
		})
		return x.sealedAnswer(a.GetAnswer(), err)
	case g.uses():
		a, err := x.tokens.RedeemPRT(x.ctx, &idpv1.RedeemPRTRequest{
			Request: p["request"], Caller: x.caller(), Protocol: protocol, Claims: p["claims"], Endpoint: x.route.protocol,
		})
		return x.sealedAnswer(a.GetAnswer(), err)
	case g.grantType == grantDevice:
		return x.deviceToken(p, g)
	default:
		a, err := x.issuance.RequestPRT(x.ctx, &idpv1.RequestPRTRequest{Request: p["request"], Caller: x.caller(), Protocol: protocol})
		if err != nil {
			return err
		}
		return x.prt200(a)
	}
}

// prtProtocol reads prt_protocol_version.
func prtProtocol(p params) (idpv1.PRTProtocol, error) {
	switch v := p["prt_protocol_version"]; v {
	case "":
		return idpv1.PRTProtocol_PRT_PROTOCOL_UNSPECIFIED, nil
	case "2.0":
		return idpv1.PRTProtocol_PRT_PROTOCOL_V2, nil
	case "3.0":
		return idpv1.PRTProtocol_PRT_PROTOCOL_V3, nil
	case "4.0":
		return idpv1.PRTProtocol_PRT_PROTOCOL_V4, nil
	default:
		return 0, prterr.AADSTS(aadsts.InvalidRequest, "The parameter prt_protocol_version is not 2.0, 3.0 or 4.0.")
	}
}

// deviceToken is a device that asks for itself.
func (x *exchange) deviceToken(p params, g glance) error {
	a, err := x.grants.RequestTokens(x.ctx, &idpv1.RequestTokensRequest{
		Caller: x.caller(), Tenant: x.tenant(), Protocol: x.route.protocol, ClientId: g.clientID, Resource: g.resource,
		Scope: p["scope"], Claims: p["claims"], ClientInfo: isSet(p["client_info"]),
		Grant: &idpv1.RequestTokensRequest_DeviceToken{DeviceToken: &idpv1.DeviceTokenGrant{Request: p["request"]}},
	})
	if err != nil {
		return err
	}
	x.tokens200(a)
	return nil
}

// sealedAnswer writes an answer under a session key: the bare JWE. It takes the
// outcome of the call that made it.
func (x *exchange) sealedAnswer(jwe string, err error) error {
	if err == nil {
		x.send(http.StatusOK, "application/jose; charset=utf-8", []byte(jwe))
	}
	return err
}

// prt200 writes the answer to a first request: its members have types of their
// own, the durations are strings and refresh_token_expires_in is a number.
func (x *exchange) prt200(a *idpv1.RequestPRTResponse) error {
	if a.GetEncrypted() != "" {
		return x.sealedAnswer(a.GetEncrypted(), nil)
	}
	body, err := entrawire.PRTAnswer{
		TokenType: a.GetTokenType(), ExpiresIn: a.GetExpiresIn(), ExpiresOn: x.now().Unix() + a.GetExpiresIn(),
		RefreshToken: secret.NewText(a.GetRefreshToken()), RefreshTokenExpiresIn: a.GetRefreshTokenExpiresIn(),
		SessionKeyJWE: a.GetSessionKeyJwe(), IDToken: secret.NewText(a.GetIdToken()), ClientInfo: a.GetClientInfo(),
	}.Encode()
	if err != nil {
		return prterr.Wrap(prterr.Internal, err, "the PRT answer could not be written")
	}
	x.send(http.StatusOK, "application/json; charset=utf-8", body)
	return nil
}

// tokensV1 is the answer of the endpoint without a version: numbers are strings.
type tokensV1 struct {
	TokenType             string `json:"token_type"`
	Scope                 string `json:"scope,omitempty"`
	ExpiresIn             int64  `json:"expires_in,string"`
	ExtExpiresIn          int64  `json:"ext_expires_in,string"`
	ExpiresOn             int64  `json:"expires_on,string"`
	NotBefore             int64  `json:"not_before,string"`
	Resource              string `json:"resource,omitempty"`
	AccessToken           string `json:"access_token,omitempty"`
	RefreshToken          string `json:"refresh_token,omitempty"`
	RefreshTokenExpiresIn int64  `json:"refresh_token_expires_in,omitempty"`
	RefreshIn             int64  `json:"refresh_in,string,omitempty"`
	Foci                  string `json:"foci,omitempty"`
	SessionKeyJWE         string `json:"session_key_jwe,omitempty"`
	IDToken               string `json:"id_token,omitempty"`
	ClientInfo            string `json:"client_info,omitempty"`
}

// tokensV2 is the answer of the endpoint v2.0.
type tokensV2 struct {
	TokenType             string `json:"token_type"`
	Scope                 string `json:"scope,omitempty"`
	ExpiresIn             int64  `json:"expires_in"`
	ExtExpiresIn          int64  `json:"ext_expires_in"`
	AccessToken           string `json:"access_token,omitempty"`
	RefreshToken          string `json:"refresh_token,omitempty"`
	RefreshTokenExpiresIn int64  `json:"refresh_token_expires_in,omitempty"`
	RefreshIn             int64  `json:"refresh_in,omitempty"`
	Foci                  string `json:"foci,omitempty"`
	SessionKeyJWE         string `json:"session_key_jwe,omitempty"`
	IDToken               string `json:"id_token,omitempty"`
	ClientInfo            string `json:"client_info,omitempty"`
}

// tokens200 writes tokens, in the clear or as they come under a session key.
func (x *exchange) tokens200(a *idpv1.RequestTokensResponse) {
	if a.GetEncrypted() != "" {
		x.send(http.StatusOK, "application/jose; charset=utf-8", []byte(a.GetEncrypted()))
		return
	}
	x.json(http.StatusOK, tokenShape(a.GetTokens(), x.v1()))
}

func tokenShape(t *idpv1.TokenSet, v1 bool) any {
	kind := t.GetTokenType()
	if kind == "" || strings.EqualFold(kind, entrawire.TokenType) {
		kind = entrawire.TokenType
	}
	if v1 {
		return tokensV1{
			TokenType: kind, Scope: t.GetScope(), ExpiresIn: t.GetExpiresIn(), ExtExpiresIn: t.GetExtExpiresIn(), ExpiresOn: t.GetExpiresOn(),
			NotBefore: t.GetNotBefore(), Resource: t.GetResource(), AccessToken: t.GetAccessToken(), RefreshToken: t.GetRefreshToken(),
			RefreshTokenExpiresIn: t.GetRefreshTokenExpiresIn(), RefreshIn: t.GetRefreshIn(), Foci: t.GetFoci(),
			SessionKeyJWE: t.GetSessionKeyJwe(), IDToken: t.GetIdToken(), ClientInfo: t.GetClientInfo(),
		}
	}
	return tokensV2{
		TokenType: kind, Scope: t.GetScope(), ExpiresIn: t.GetExpiresIn(), ExtExpiresIn: t.GetExtExpiresIn(), AccessToken: t.GetAccessToken(),
		RefreshToken: t.GetRefreshToken(), RefreshTokenExpiresIn: t.GetRefreshTokenExpiresIn(), RefreshIn: t.GetRefreshIn(), Foci: t.GetFoci(),
		SessionKeyJWE: t.GetSessionKeyJwe(), IDToken: t.GetIdToken(), ClientInfo: t.GetClientInfo(),
	}
}
