package server

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/secret"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/pairing"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signin"
)

// Person serves PersonService.
type Person struct {
	directoryv1.UnimplementedPersonServiceServer
	SignIns *signin.Service
	Pairing *pairing.Service
}

// ApproveDeviceCode signs a device in as a user.
func (s *Person) ApproveDeviceCode(ctx context.Context, req *directoryv1.ApproveDeviceCodeRequest) (*directoryv1.ApproveDeviceCodeResponse, error) {
	upn, err := userName(req.GetUserPrincipalName())
	if err != nil {
		return nil, err
	}
	err = s.SignIns.ApproveDevice(ctx, signin.Approval{UserCode: req.GetUserCode(), User: upn, WithMFA: req.GetWithMfa(), Decline: req.GetDecline()})
	if err != nil {
		return nil, err
	}
	return &directoryv1.ApproveDeviceCodeResponse{}, nil
}

// AnswerChallenge approves or denies a second factor that waits.
func (s *Person) AnswerChallenge(ctx context.Context, req *directoryv1.AnswerChallengeRequest) (*directoryv1.AnswerChallengeResponse, error) {
	upn, err := userName(req.GetUserPrincipalName())
	if err != nil {
		return nil, err
	}
	err = s.SignIns.AnswerChallenge(ctx, signin.Answer{
		User: upn, ID: req.GetChallengeId(), Approve: req.GetApprove(), Number: int(req.GetNumber()),
	})
	if err != nil {
		return nil, err
	}
	return &directoryv1.AnswerChallengeResponse{}, nil
}

// ReadOneTimeCode reads the one-time code that the user's app shows now.
func (s *Person) ReadOneTimeCode(ctx context.Context, req *directoryv1.ReadOneTimeCodeRequest) (*directoryv1.ReadOneTimeCodeResponse, error) {
	upn, err := userName(req.GetUserPrincipalName())
	if err != nil {
		return nil, err
	}
	code, err := s.SignIns.ReadOneTimeCode(ctx, upn)
	if err != nil {
		return nil, err
	}
	return &directoryv1.ReadOneTimeCodeResponse{OneTimeCode: code.Reveal()}, nil
}

// PairAuthenticator is the app taking the code that a registration page shows.
func (s *Person) PairAuthenticator(ctx context.Context, req *directoryv1.PairAuthenticatorRequest) (*directoryv1.PairAuthenticatorResponse, error) {
	upn, err := userName(req.GetUserPrincipalName())
	if err != nil {
		return nil, err
	}
	if err := s.SignIns.Lab(); err != nil {
		return nil, err
	}
	err = s.Pairing.Pair(ctx, pairing.App{
		User: upn, Code: secret.NewText(req.GetActivationCode()), Name: req.GetDeviceName(), PhoneSignIn: req.GetPhoneSignIn(),
	})
	if err != nil {
		return nil, err
	}
	return &directoryv1.PairAuthenticatorResponse{}, nil
}
