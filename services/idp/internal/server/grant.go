package server

import (
	"context"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/secret"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/oauth"
)

// Grant serves GrantService.
type Grant struct {
	idpv1.UnimplementedGrantServiceServer
	OAuth *oauth.Service
}

// RequestTokens redeems one grant.
func (s *Grant) RequestTokens(ctx context.Context, req *idpv1.RequestTokensRequest) (*idpv1.RequestTokensResponse, error) {
	var a oauth.Answer
	var err error
	if d := req.GetDeviceToken(); d != nil {
		a, err = s.OAuth.DeviceToken(ctx, caller(ctx, req.GetCaller()), req.GetTenant(), secret.NewText(d.GetRequest()))
	} else {
		a, err = s.OAuth.Redeem(ctx, oauth.Request{
			Caller: caller(ctx, req.GetCaller()), Tenant: req.GetTenant(), Version: version(req.GetProtocol()), ClientID: req.GetClientId(),
			Secret: secret.NewText(req.GetProof().GetClientSecret()), Assertion: secret.NewText(req.GetProof().GetClientAssertion()),
			Resource: req.GetResource(), Scope: req.GetScope(), Claims: req.GetClaims(), ClientInfo: req.GetClientInfo(),
			TokenType: req.GetTokenType(), ReqCnf: req.GetReqCnf(), Grant: grant(req),
		})
	}
	switch {
	case err != nil:
		return nil, err
	case a.Encrypted != "":
		return &idpv1.RequestTokensResponse{Outcome: &idpv1.RequestTokensResponse_Encrypted{Encrypted: a.Encrypted}}, nil
	default:
		return &idpv1.RequestTokensResponse{Outcome: &idpv1.RequestTokensResponse_Tokens{Tokens: tokenSet(a)}}, nil
	}
}

// grant is what the request redeems, nil for nothing.
func grant(req *idpv1.RequestTokensRequest) oauth.Grant {
	switch g := req.GetGrant().(type) {
	case *idpv1.RequestTokensRequest_AuthorizationCode:
		c := g.AuthorizationCode
		return oauth.Code{
			Code: secret.NewText(c.GetCode()), RedirectURI: c.GetRedirectUri(), CodeVerifier: secret.NewText(c.GetCodeVerifier()),
			WindowsAPIVersion: c.GetWindowsApiVersion(), PRTProtocol: prtVersion(c.GetPrtProtocol()), TransportKey: c.GetStkJwk(),
		}
	case *idpv1.RequestTokensRequest_RefreshToken:
		r := g.RefreshToken
		return oauth.RefreshToken{Token: secret.NewText(r.GetRefreshToken()), Broker: r.GetBrkClientId(), RedirectURI: r.GetRedirectUri()}
	case *idpv1.RequestTokensRequest_Password:
		return oauth.Password{Username: g.Password.GetUsername(), Password: secret.NewText(g.Password.GetPassword())}
	case *idpv1.RequestTokensRequest_ClientCredentials:
		return oauth.ClientCredentials{}
	case *idpv1.RequestTokensRequest_DeviceCode:
		return oauth.DeviceCode{Code: secret.NewText(g.DeviceCode.GetDeviceCode())}
	case *idpv1.RequestTokensRequest_OnBehalfOf:
		return oauth.OnBehalfOf{Assertion: secret.NewText(g.OnBehalfOf.GetAssertion())}
	case *idpv1.RequestTokensRequest_Assertion:
		return oauth.Assertion{XML: secret.NewText(g.Assertion.GetSamlAssertion()), Version: g.Assertion.GetVersion()}
	default:
		return nil
	}
}

// StartDeviceFlow begins a sign-in by device code.
func (s *Grant) StartDeviceFlow(ctx context.Context, req *idpv1.StartDeviceFlowRequest) (*idpv1.StartDeviceFlowResponse, error) {
	f, err := s.OAuth.StartDeviceFlow(ctx, oauth.DeviceFlow{
		Caller: caller(ctx, req.GetCaller()), Tenant: req.GetTenant(), Version: version(req.GetProtocol()), ClientID: req.GetClientId(),
		Resource: req.GetResource(), Scope: req.GetScope(), Claims: req.GetClaims(), AMRValues: req.GetAmrValues(),
	})
	if err != nil {
		return nil, err
	}
	return &idpv1.StartDeviceFlowResponse{
		DeviceCode: f.DeviceCode.Reveal(), UserCode: f.UserCode, ExpiresIn: seconds(f.Lifetime), Interval: seconds(f.Interval),
	}, nil
}

// StartBulkEnrolment begins the making of a bulk enrolment token.
func (s *Grant) StartBulkEnrolment(ctx context.Context, req *idpv1.StartBulkEnrolmentRequest) (*idpv1.StartBulkEnrolmentResponse, error) {
	flow, err := s.OAuth.StartBulkEnrolment(ctx, oauth.Package{
		Caller: caller(ctx, req.GetCaller()), AccessToken: secret.NewText(req.GetAccessToken()), Name: req.GetName(), ID: req.GetPackageId(),
		Expires: time.Unix(req.GetExpires(), 0),
	})
	if err != nil {
		return nil, err
	}
	return &idpv1.StartBulkEnrolmentResponse{FlowToken: flow.Reveal()}, nil
}

// PollBulkEnrolment asks for the bulk enrolment token.
func (s *Grant) PollBulkEnrolment(ctx context.Context, req *idpv1.PollBulkEnrolmentRequest) (*idpv1.PollBulkEnrolmentResponse, error) {
	a, err := s.OAuth.PollBulkEnrolment(ctx, caller(ctx, req.GetCaller()), secret.NewText(req.GetAccessToken()), secret.NewText(req.GetFlowToken()))
	if err != nil {
		return nil, err
	}
	return &idpv1.PollBulkEnrolmentResponse{Tokens: tokenSet(a)}, nil
}

func tokenSet(a oauth.Answer) *idpv1.TokenSet {
	t := a.Tokens
	set := &idpv1.TokenSet{
		TokenType: a.TokenType, Scope: a.Scope, ExpiresIn: seconds(t.Lifetime), ExtExpiresIn: seconds(t.Lifetime), ExpiresOn: t.Issued.Add(t.Lifetime).Unix(),
		NotBefore: t.Issued.Unix(), Resource: a.Resource, AccessToken: t.Access.Reveal(), RefreshToken: t.Refresh.Reveal(), IdToken: t.ID.Reveal(),
		ClientInfo: a.ClientInfo, RefreshIn: seconds(t.RefreshIn), RefreshTokenExpiresIn: seconds(t.RefreshLifetime), SessionKeyJwe: t.SessionKeyJWE,
	}
	if t.Family {
		set.Foci = "1"
	}
	return set
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

func caller(ctx context.Context, c *idpv1.Caller) oauth.Caller {
	return oauth.Caller{IPAddress: c.GetIpAddress(), Correlation: correlationOf(ctx, c), Origin: c.GetOrigin(), Host: c.GetHost()}
}

// version is the endpoint's, 1 or 2.
func version(p idpv1.Protocol) int {
	if p == idpv1.Protocol_PROTOCOL_V2 {
		return 2
	}
	return 1
}

// prtVersion is that of the PRT protocol as clients write it, 0 when none is asked
// for.
func prtVersion(p idpv1.PRTProtocol) int {
	switch p {
	case idpv1.PRTProtocol_PRT_PROTOCOL_V2:
		return 2
	case idpv1.PRTProtocol_PRT_PROTOCOL_V3:
		return 3
	case idpv1.PRTProtocol_PRT_PROTOCOL_V4:
		return 4
	default:
		return 0
	}
}
