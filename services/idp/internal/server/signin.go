package server

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/secret"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/authorize"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signin"
)

// SignIn serves SignInService.
type SignIn struct {
	idpv1.UnimplementedSignInServiceServer
	SignIns *signin.Service
	Visits  *authorize.Service
}

// form is what every form brings back.
func form(f interface {
	GetFlowToken() string
	GetCanary() string
}) signin.Form {
	return signin.Form{FlowToken: secret.NewText(f.GetFlowToken()), Canary: f.GetCanary()}
}

// DiscoverCredentials says how a user may sign in.
func (s *SignIn) DiscoverCredentials(ctx context.Context, req *idpv1.DiscoverCredentialsRequest) (*idpv1.DiscoverCredentialsResponse, error) {
	d, err := s.SignIns.Discover(ctx, req.GetUserPrincipalName(), secret.NewText(req.GetFlowToken()))
	if err != nil {
		return nil, err
	}
	return &idpv1.DiscoverCredentialsResponse{
		UserPrincipalName: d.Name, Exists: d.Exists, HasPassword: d.HasPassword, FederationUrl: d.FederationURL, DomainKnown: d.DomainKnown,
		FlowToken: d.FlowToken.Reveal(), Credentials: beginnings(d.Credentials),
	}, nil
}

// SubmitPassword is the form of the sign-in page.
func (s *SignIn) SubmitPassword(ctx context.Context, req *idpv1.SubmitPasswordRequest) (*idpv1.SubmitPasswordResponse, error) {
	o, err := s.SignIns.SubmitPassword(ctx, signin.Password{
		Form: form(req), Name: req.GetUserPrincipalName(), Password: secret.NewText(req.GetPassword()), Stay: req.GetStay(),
		Beside: credentials(req.GetRefreshTokenCredential(), nil, req.GetDeviceCredential(), ""),
	})
	if err != nil {
		return nil, err
	}
	return &idpv1.SubmitPasswordResponse{Next: next(o)}, nil
}

// BeginMethod starts a second factor.
func (s *SignIn) BeginMethod(ctx context.Context, req *idpv1.BeginMethodRequest) (*idpv1.BeginMethodResponse, error) {
	b, err := s.SignIns.BeginMethod(ctx, secret.NewText(req.GetFlowToken()), req.GetMethodId(), where(req.GetCaller()))
	if err != nil {
		return nil, err
	}
	return &idpv1.BeginMethodResponse{
		Success: b.Success, FlowToken: b.FlowToken.Reveal(), SessionId: b.SessionID, Entropy: int32(b.Entropy), ErrorCode: int32(b.Code), Message: b.Text,
	}, nil
}

// CheckMethod gives the code, or asks whether it was approved.
func (s *SignIn) CheckMethod(ctx context.Context, req *idpv1.CheckMethodRequest) (*idpv1.CheckMethodResponse, error) {
	c, err := s.SignIns.CheckMethod(ctx, signin.Check{
		FlowToken: secret.NewText(req.GetFlowToken()), Method: req.GetMethodId(), SessionID: req.GetSessionId(),
		OneTimeCode: secret.NewText(req.GetOneTimeCode()),
	})
	if err != nil {
		return nil, err
	}
	return &idpv1.CheckMethodResponse{
		Success: c.Success, Retry: c.Retry, FlowToken: c.FlowToken.Reveal(), SessionId: c.SessionID, ErrorCode: int32(c.Code), Message: c.Text,
		ResultValue: c.Result,
	}, nil
}

// CompleteMethod goes on after the second factor.
func (s *SignIn) CompleteMethod(ctx context.Context, req *idpv1.CompleteMethodRequest) (*idpv1.CompleteMethodResponse, error) {
	o, err := s.SignIns.CompleteMethod(ctx, form(req))
	if err != nil {
		return nil, err
	}
	return &idpv1.CompleteMethodResponse{Next: next(o)}, nil
}

// ChooseStay is the form that asks whether to stay signed in.
func (s *SignIn) ChooseStay(ctx context.Context, req *idpv1.ChooseStayRequest) (*idpv1.ChooseStayResponse, error) {
	o, err := s.SignIns.ChooseStay(ctx, form(req), req.GetStay())
	if err != nil {
		return nil, err
	}
	return &idpv1.ChooseStayResponse{Next: next(o)}, nil
}

// ResumeSignIn goes on with a credential that arrived meanwhile.
func (s *SignIn) ResumeSignIn(ctx context.Context, req *idpv1.ResumeSignInRequest) (*idpv1.ResumeSignInResponse, error) {
	c := credentials(req.GetRefreshTokenCredential(), nil, req.GetDeviceCredential(), "")
	o, err := s.SignIns.Resume(ctx, signin.Form{FlowToken: secret.NewText(req.GetFlowToken()), Canary: req.GetCanary()}, c, req.GetSsoNonce())
	if err != nil {
		return nil, err
	}
	return &idpv1.ResumeSignInResponse{Next: next(o)}, nil
}

// SubmitUserCode is the form of the device code page.
func (s *SignIn) SubmitUserCode(ctx context.Context, req *idpv1.SubmitUserCodeRequest) (*idpv1.SubmitUserCodeResponse, error) {
	c := credentials(req.GetRefreshTokenCredential(), nil, req.GetDeviceCredential(), req.GetSessionCookie())
	o, err := s.Visits.VisitDevice(ctx, visitor(ctx, req.GetCaller()), req.GetUserCode(), c)
	if err != nil {
		return nil, err
	}
	return &idpv1.SubmitUserCodeResponse{Next: next(o)}, nil
}

// ConfirmDevice is the form that asks whether it is you who signs a device in.
func (s *SignIn) ConfirmDevice(ctx context.Context, req *idpv1.ConfirmDeviceRequest) (*idpv1.ConfirmDeviceResponse, error) {
	o, err := s.SignIns.Confirm(ctx, form(req), req.GetConfirm())
	if err != nil {
		return nil, err
	}
	return &idpv1.ConfirmDeviceResponse{Next: next(o)}, nil
}

// ChangePassword sets a new password during the sign-in.
func (s *SignIn) ChangePassword(ctx context.Context, req *idpv1.ChangePasswordRequest) (*idpv1.ChangePasswordResponse, error) {
	o, err := s.SignIns.ChangePassword(ctx, signin.Change{
		FlowToken: secret.NewText(req.GetFlowToken()), Old: secret.NewText(req.GetPassword()), New: secret.NewText(req.GetNewPassword()),
	})
	if err != nil {
		return nil, err
	}
	return &idpv1.ChangePasswordResponse{Next: next(o)}, nil
}

// SubmitAssertion takes what a federation provider has the browser post.
func (s *SignIn) SubmitAssertion(ctx context.Context, req *idpv1.SubmitAssertionRequest) (*idpv1.SubmitAssertionResponse, error) {
	o, err := s.SignIns.SubmitAssertion(ctx, []byte(req.GetSamlAssertion()), secret.NewText(req.GetContext()))
	if err != nil {
		return nil, err
	}
	return &idpv1.SubmitAssertionResponse{Next: next(o)}, nil
}

// SignOut ends the browser's session.
func (s *SignIn) SignOut(ctx context.Context, req *idpv1.SignOutRequest) (*idpv1.SignOutResponse, error) {
	to, err := s.Visits.SignOut(ctx, authorize.SignOut{
		Caller: visitor(ctx, req.GetCaller()), Cookie: secret.NewText(req.GetSessionCookie()), IDTokenHint: secret.NewText(req.GetIdTokenHint()),
		ClientID: req.GetClientId(), PostLogoutURI: req.GetPostLogoutRedirectUri(),
	})
	if err != nil {
		return nil, err
	}
	return &idpv1.SignOutResponse{RedirectUri: to}, nil
}
