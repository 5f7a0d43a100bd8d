package server

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/secret"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signin"
)

// where is what a telephone shows of who asks.
func where(c *idpv1.Caller) signin.Where {
	return signin.Where{IP: c.GetIpAddress(), Agent: c.GetUserAgent()}
}

func beginnings(list []signin.Beginning) []idpv1.CredentialType {
	var out []idpv1.CredentialType
	for _, b := range list {
		out = append(out, beginning(b))
	}
	return out
}

func beginning(b signin.Beginning) idpv1.CredentialType {
	switch b {
	case signin.ByPassword:
		return idpv1.CredentialType_CREDENTIAL_TYPE_PASSWORD
	case signin.ByFederation:
		return idpv1.CredentialType_CREDENTIAL_TYPE_FEDERATION
	case signin.ByPasskey:
		return idpv1.CredentialType_CREDENTIAL_TYPE_PASSKEY
	case signin.ByPhone:
		return idpv1.CredentialType_CREDENTIAL_TYPE_PHONE_SIGN_IN
	case signin.ByAccessPass:
		return idpv1.CredentialType_CREDENTIAL_TYPE_ACCESS_PASS
	case signin.ByCertificate:
		return idpv1.CredentialType_CREDENTIAL_TYPE_CERTIFICATE
	default:
		return idpv1.CredentialType_CREDENTIAL_TYPE_UNSPECIFIED
	}
}

// SubmitAccessPass checks a Temporary Access Pass.
func (s *SignIn) SubmitAccessPass(ctx context.Context, req *idpv1.SubmitAccessPassRequest) (*idpv1.SubmitAccessPassResponse, error) {
	o, err := s.SignIns.SubmitAccessPass(ctx, signin.Pass{
		Form: form(req), Name: req.GetUserPrincipalName(), Pass: secret.NewText(req.GetAccessPass()),
		Beside: credentials(req.GetRefreshTokenCredential(), nil, req.GetDeviceCredential(), ""),
	})
	if err != nil {
		return nil, err
	}
	return &idpv1.SubmitAccessPassResponse{Next: next(o)}, nil
}

// BeginPhoneSignIn asks an authenticator to sign in.
func (s *SignIn) BeginPhoneSignIn(ctx context.Context, req *idpv1.BeginPhoneSignInRequest) (*idpv1.BeginPhoneSignInResponse, error) {
	b, err := s.SignIns.BeginPhoneSignIn(ctx, secret.NewText(req.GetFlowToken()), req.GetUserPrincipalName(), where(req.GetCaller()))
	if err != nil {
		return nil, err
	}
	return &idpv1.BeginPhoneSignInResponse{
		FlowToken: b.FlowToken.Reveal(), SessionId: b.SessionID, Entropy: int32(b.Entropy), ErrorCode: int32(b.Code), Message: b.Text,
	}, nil
}

// CheckPhoneSignIn asks whether the authenticator was answered.
func (s *SignIn) CheckPhoneSignIn(ctx context.Context, req *idpv1.CheckPhoneSignInRequest) (*idpv1.CheckPhoneSignInResponse, error) {
	state, err := s.SignIns.CheckPhoneSignIn(ctx, req.GetSessionId())
	if err != nil {
		return nil, err
	}
	out := idpv1.PhoneSignInState_PHONE_SIGN_IN_STATE_DENIED
	switch state {
	case signin.PhonePending:
		out = idpv1.PhoneSignInState_PHONE_SIGN_IN_STATE_PENDING
	case signin.PhoneApproved:
		out = idpv1.PhoneSignInState_PHONE_SIGN_IN_STATE_APPROVED
	case signin.PhoneDenied:
	}
	return &idpv1.CheckPhoneSignInResponse{State: out}, nil
}

// SubmitPhoneSignIn goes on with an approved one.
func (s *SignIn) SubmitPhoneSignIn(ctx context.Context, req *idpv1.SubmitPhoneSignInRequest) (*idpv1.SubmitPhoneSignInResponse, error) {
	o, err := s.SignIns.SubmitPhoneSignIn(ctx, signin.Phone{
		Form: form(req), SessionID: req.GetSessionId(),
		Beside: credentials(req.GetRefreshTokenCredential(), nil, req.GetDeviceCredential(), ""),
	})
	if err != nil {
		return nil, err
	}
	return &idpv1.SubmitPhoneSignInResponse{Next: next(o)}, nil
}
