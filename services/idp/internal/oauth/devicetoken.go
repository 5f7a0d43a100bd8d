package oauth

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/grants"
	"github.com/lockstep-sso/lockstep/services/idp/internal/issuance"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
)

// deviceTokenGrant is the grant type inside the signed request.
const deviceTokenGrant = "device_token"

// deviceTokenRequest is the claim set of a device's request for a token of its own.
type deviceTokenRequest struct {
	Resource     string `json:"resource"`
	ClientID     string `json:"client_id"`
	RequestNonce string `json:"request_nonce"`
	GrantType    string `json:"grant_type"`
	RedirectURI  string `json:"redirect_uri"`
	Iss          string `json:"iss"`
}

// DeviceToken gives a device a token of its own for a request that it signed with
// its key. Everything that counts is inside the signed request; of what stands
// around it only the path's tenant is looked at. The phases of device-signed
// requests write the line of the sign-in log.
func (s *Service) DeviceToken(ctx context.Context, caller Caller, tenant string, request secret.Text) (Answer, error) {
	return grants.ByDevice(ctx, s.gate, grants.DeviceKind[deviceTokenRequest, Answer]{
		Flow:   signinlog.DeviceToken,
		Nonce:  func(c *deviceTokenRequest) string { return c.RequestNonce },
		User:   func(*deviceTokenRequest) string { return "" },
		Client: func(c *deviceTokenRequest) string { return c.ClientID },
		Check:  checkDeviceToken,
		Answer: func(_ context.Context, d grants.Device, c *deviceTokenRequest) (Answer, error) {
			x := &exchange{Service: s, Request: Request{Caller: caller, Tenant: tenant, Version: 1, ClientID: c.ClientID, Resource: c.Resource}, event: &signinlog.Event{}}
			return x.deviceToken(d, c)
		},
	}, request)
}

func checkDeviceToken(c *deviceTokenRequest) error {
	field := func(name, problem string) error {
		return &entrawire.FieldError{Shape: "device token request", Field: name, Problem: problem}
	}
	switch {
	case c.GrantType != deviceTokenGrant:
		return field("grant_type", "is not "+deviceTokenGrant)
	case c.Iss != entrawire.BrokerIssuer:
		return field("iss", "is not "+entrawire.BrokerIssuer)
	case c.Resource == "":
		return field("resource", "is missing")
	}
	return nil
}

func (x *exchange) deviceToken(d grants.Device, c *deviceTokenRequest) (Answer, error) {
	if err := x.read(); err != nil {
		return Answer{}, err
	}
	if err := x.enter(d.Tenant.ID); err != nil {
		return Answer{}, err
	}
	if err := x.find(); err != nil {
		return Answer{}, err
	}
	if x.app.Confidential() || !x.app.Redirects(c.RedirectURI) {
		return Answer{}, prterr.AADSTS(aadsts.InvalidReplyTo, "")
	}
	a, err := x.audience("", "")
	if err != nil {
		return Answer{}, err
	}
	t, err := x.gate.Authority.DeviceToken(issuance.DeviceGrant{Tenant: x.tenant, Device: d.Device, Client: x.app, Resource: *a.resource})
	return Answer{Tokens: t, TokenType: entrawire.TokenType, Resource: a.prefix}, err
}
