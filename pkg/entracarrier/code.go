package entracarrier

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"

	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// helloPath is where Windows Hello keys are registered.
const helloPath = "/EnrollmentServer/key/"

// requestTokens redeems the code of a sign-in page (RFC 6749 section 4.1.3): the one
// grant of the token endpoint that a device uses beside its signed requests.
func (c *Carrier) requestTokens(ctx context.Context, req *idpv1.RequestTokensRequest) (*idpv1.RequestTokensResponse, error) {
	code := req.GetAuthorizationCode()
	if code == nil || req.GetProof() != nil {
		return nil, prterr.New(prterr.NotFound, "this connection redeems codes of sign-in pages and no other grant")
	}
	path := "/oauth2/token"
	if req.GetProtocol() == idpv1.Protocol_PROTOCOL_V2 {
		path = "/oauth2/v2.0/token"
	}
	form := url.Values{
		"grant_type": {"authorization_code"}, "code": {code.GetCode()}, "redirect_uri": {code.GetRedirectUri()}, "client_id": {req.GetClientId()},
		"code_verifier": {code.GetCodeVerifier()}, "client_info": {"1"},
	}
	for name, value := range map[string]string{"resource": req.GetResource(), "scope": req.GetScope(), "claims": req.GetClaims()} {
		if value != "" {
			form.Set(name, value)
		}
	}
	tenant := req.GetTenant()
	if tenant == "" {
		tenant = "common"
	}
	body, err := ok(c.form(ctx, at(c.login, "/"+url.PathEscape(tenant)+path, nil), form))
	if err != nil {
		return nil, err
	}
	defer clear(body)
	return readTokens(body)
}

func readTokens(body []byte) (*idpv1.RequestTokensResponse, error) {
	var doc struct {
		TokenType    string      `json:"token_type"`
		Scope        string      `json:"scope"`
		Resource     string      `json:"resource"`
		ExpiresIn    json.Number `json:"expires_in"` // text at one endpoint, a number at the other
		AccessToken  string      `json:"access_token"`
		RefreshToken string      `json:"refresh_token"`
		IDToken      string      `json:"id_token"`
		ClientInfo   string      `json:"client_info"`
	}
	if err := jose.DecodeObject(body, &doc); err != nil {
		return nil, badAnswer("%v", err)
	}
	seconds, err := strconv.ParseInt(doc.ExpiresIn.String(), 10, 64)
	if err != nil {
		return nil, badAnswer("expires_in is not a number")
	}
	return &idpv1.RequestTokensResponse{Outcome: &idpv1.RequestTokensResponse_Tokens{Tokens: &idpv1.TokenSet{
		TokenType: doc.TokenType, Scope: doc.Scope, Resource: doc.Resource, ExpiresIn: seconds, AccessToken: doc.AccessToken,
		RefreshToken: doc.RefreshToken, IdToken: doc.IDToken, ClientInfo: doc.ClientInfo,
	}}}, nil
}

// registerHelloKey adds a Windows Hello key to the user of the token (protocol of
// device registration, key provisioning, version 1.0).
func (c *Carrier) registerHelloKey(ctx context.Context, req *idpv1.RegisterHelloKeyRequest) (*idpv1.RegisterHelloKeyResponse, error) {
	raw, err := json.Marshal(map[string]string{"kngc": base64.StdEncoding.EncodeToString(req.GetKey())})
	if err != nil {
		return nil, prterr.Wrap(prterr.Internal, err, "the key does not encode")
	}
	body, err := ok(c.json(ctx, http.MethodPost, at(c.registration, helloPath, url.Values{"api-version": {"1.0"}}), raw, http.Header{
		"Authorization": {"Bearer " + req.GetAccessToken()},
	}))
	if err != nil {
		return nil, err
	}
	m, err := object(body)
	if err != nil {
		return nil, err
	}
	return &idpv1.RegisterHelloKeyResponse{Kid: m["kid"], UserPrincipalName: m["upn"]}, nil
}
