package entracarrier

import (
	"context"
	"net/url"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

const (
	tokenPath = "/common/oauth2/token"
	grantJWT  = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	// windowsAPI is the version of the request form.
	windowsAPI = "2.2"
)

// signed posts a signed request (MS-OAPXBC 3.1.5.1.2 and 3.1.5.1.3).
func (c *Carrier) signed(ctx context.Context, request, claims string) ([]byte, error) {
	form := url.Values{
		"grant_type": {grantJWT}, "request": {request}, "windows_api_version": {windowsAPI}, "client_info": {"1"},
	}
	if claims != "" {
		form.Set("claims", claims)
	}
	return ok(c.form(ctx, at(c.login, tokenPath, nil), form))
}

// requestPRT is a request with the device key; its answer is plain.
func (c *Carrier) requestPRT(ctx context.Context, req *idpv1.RequestPRTRequest) (*idpv1.RequestPRTResponse, error) {
	body, err := c.signed(ctx, req.GetRequest(), "")
	if err != nil {
		return nil, err
	}
	defer clear(body)
	var a entrawire.PRTAnswer
	if err := a.UnmarshalJSON(body); err != nil {
		return nil, badAnswer("%v", err)
	}
	return &idpv1.RequestPRTResponse{
		TokenType: a.TokenType, ExpiresIn: a.ExpiresIn, RefreshToken: a.RefreshToken.Reveal(), RefreshTokenExpiresIn: a.RefreshTokenExpiresIn,
		SessionKeyJwe: a.SessionKeyJWE, IdToken: a.IDToken.Reveal(), ClientInfo: a.ClientInfo,
	}, nil
}

func (c *Carrier) renewPRT(ctx context.Context, req *idpv1.RenewPRTRequest) (*idpv1.RenewPRTResponse, error) {
	answer, err := c.encrypted(ctx, req.GetRequest(), req.GetClaims())
	return &idpv1.RenewPRTResponse{Answer: answer}, err
}

func (c *Carrier) redeemPRT(ctx context.Context, req *idpv1.RedeemPRTRequest) (*idpv1.RedeemPRTResponse, error) {
	answer, err := c.encrypted(ctx, req.GetRequest(), req.GetClaims())
	return &idpv1.RedeemPRTResponse{Answer: answer}, err
}

func (c *Carrier) redeemRefreshToken(ctx context.Context, req *idpv1.RedeemRefreshTokenRequest) (*idpv1.RedeemRefreshTokenResponse, error) {
	answer, err := c.encrypted(ctx, req.GetRequest(), req.GetClaims())
	return &idpv1.RedeemRefreshTokenResponse{Answer: answer}, err
}

// requestDataKey is for the key that our identity provider keeps for a user on a
// device; the grant type is inside the signed request.
func (c *Carrier) requestDataKey(ctx context.Context, req *idpv1.RequestDataKeyRequest) (*idpv1.RequestDataKeyResponse, error) {
	answer, err := c.encrypted(ctx, req.GetRequest(), "")
	return &idpv1.RequestDataKeyResponse{Answer: answer}, err
}

// encrypted posts a request with the session key. Its answer must be encrypted:
// plain JSON with status 200 is what an attacker on the way would answer, who has
// no session key. What is inside is checked where it is opened.
func (c *Carrier) encrypted(ctx context.Context, request, claims string) (string, error) {
	body, err := c.signed(ctx, request, claims)
	if err != nil {
		return "", err
	}
	if !entrawire.IsAnswer(string(body)) {
		return "", badAnswer("it is not encrypted under the session key")
	}
	return string(body), nil
}

// requestRegistrationToken is the password grant of the broker for device
// registration.
func (c *Carrier) requestRegistrationToken(ctx context.Context, req *idpv1.RequestRegistrationTokenRequest) (*idpv1.RequestRegistrationTokenResponse, error) {
	body, err := ok(c.form(ctx, at(c.login, "/organizations/oauth2/token", nil), url.Values{
		"grant_type": {"password"}, "client_id": {entrawire.BrokerClientID}, "resource": {entrawire.RegistrationResource},
		"username": {req.GetUserPrincipalName()}, "password": {req.GetPassword()}, "scope": {"openid"},
	}))
	if err != nil {
		return nil, err
	}
	defer clear(body)
	m, err := object(body)
	if err != nil {
		return nil, err
	}
	return &idpv1.RequestRegistrationTokenResponse{AccessToken: m["access_token"]}, nil
}
