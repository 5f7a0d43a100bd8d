package server

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lockstep-sso/lockstep/pkg/secret"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/methods"
	"github.com/lockstep-sso/lockstep/services/idp/internal/securityinfo"
)

// SecurityInfo serves SecurityInfoService.
type SecurityInfo struct {
	idpv1.UnimplementedSecurityInfoServiceServer
	Security *securityinfo.Service
}

func holder(ctx context.Context, r interface {
	GetCaller() *idpv1.Caller
	GetAccessToken() string
}) securityinfo.Call {
	return securityinfo.Call{
		Token: secret.NewText(r.GetAccessToken()), Host: r.GetCaller().GetHost(), Correlation: visitor(ctx, r.GetCaller()).Correlation,
	}
}

// ListSecurityInfo lists the person's methods.
func (s *SecurityInfo) ListSecurityInfo(ctx context.Context, req *idpv1.ListSecurityInfoRequest) (*idpv1.ListSecurityInfoResponse, error) {
	l, err := s.Security.List(ctx, holder(ctx, req))
	if err != nil {
		return nil, err
	}
	out := &idpv1.ListSecurityInfoResponse{UserPrincipalName: string(l.User.UPN), DisplayName: l.User.DisplayName}
	for _, m := range l.Methods {
		shown := &idpv1.SecurityInfo{MethodId: m.ID, Kind: string(m.Kind), Display: m.Display, IsDefault: m.Default, Removable: m.Removable}
		if !m.Added.IsZero() {
			shown.AddedAt = timestamppb.New(m.Added)
		}
		out.Methods = append(out.Methods, shown)
	}
	for _, k := range l.Addable {
		out.Addable = append(out.Addable, string(k))
	}
	return out, nil
}

// BeginSecurityInfo begins to register one.
func (s *SecurityInfo) BeginSecurityInfo(ctx context.Context, req *idpv1.BeginSecurityInfoRequest) (*idpv1.BeginSecurityInfoResponse, error) {
	b, err := s.Security.Begin(ctx, holder(ctx, req), securityinfo.Begin{
		Kind: methods.Method(req.GetKind()), Phone: req.GetPhoneNumber(), Name: req.GetDisplayName(),
	})
	if err != nil {
		return nil, err
	}
	return &idpv1.BeginSecurityInfoResponse{
		Registration: b.Registration.Reveal(), OtpauthUri: b.URI.Reveal(), Options: b.Options, ActivationCode: b.ActivationCode.Reveal(),
	}, nil
}

// CompleteSecurityInfo proves that the person has it, and registers it.
func (s *SecurityInfo) CompleteSecurityInfo(ctx context.Context, req *idpv1.CompleteSecurityInfoRequest) (*idpv1.CompleteSecurityInfoResponse, error) {
	id, err := s.Security.Complete(ctx, holder(ctx, req), securityinfo.Proof{
		Registration: secret.NewText(req.GetRegistration()), Code: secret.NewText(req.GetCode()), Credential: secret.NewText(req.GetCredential()),
	})
	if err != nil {
		return nil, err
	}
	return &idpv1.CompleteSecurityInfoResponse{MethodId: id}, nil
}

// RemoveSecurityInfo removes one.
func (s *SecurityInfo) RemoveSecurityInfo(ctx context.Context, req *idpv1.RemoveSecurityInfoRequest) (*idpv1.RemoveSecurityInfoResponse, error) {
	if err := s.Security.Remove(ctx, holder(ctx, req), req.GetMethodId()); err != nil {
		return nil, err
	}
	return &idpv1.RemoveSecurityInfoResponse{}, nil
}

// SetDefaultSecurityInfo chooses the one that is asked first.
func (s *SecurityInfo) SetDefaultSecurityInfo(ctx context.Context, req *idpv1.SetDefaultSecurityInfoRequest) (*idpv1.SetDefaultSecurityInfoResponse, error) {
	if err := s.Security.SetDefault(ctx, holder(ctx, req), req.GetMethodId()); err != nil {
		return nil, err
	}
	return &idpv1.SetDefaultSecurityInfoResponse{}, nil
}
