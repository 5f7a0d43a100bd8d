package server

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	cloudapv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/cloudap/v1"
	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/cloudap"
)

// webSignIn makes pages for LogonUI.
type webSignIn struct {
	lsav1.UnimplementedWebSignInServiceServer
	cloudAP *cloudap.CloudAP
}

func (w webSignIn) BeginWebSignIn(ctx context.Context, req *lsav1.BeginWebSignInRequest) (*lsav1.BeginWebSignInResponse, error) {
	purpose, known := map[lsav1.WebSignInPurpose]cloudapv1.PagePurpose{
		lsav1.WebSignInPurpose_WEB_SIGN_IN_PURPOSE_SIGN_IN:         cloudapv1.PagePurpose_PAGE_PURPOSE_SIGN_IN,
		lsav1.WebSignInPurpose_WEB_SIGN_IN_PURPOSE_PROVISION_HELLO: cloudapv1.PagePurpose_PAGE_PURPOSE_PROVISION_HELLO,
		lsav1.WebSignInPurpose_WEB_SIGN_IN_PURPOSE_RESET_PIN:       cloudapv1.PagePurpose_PAGE_PURPOSE_RESET_PIN,
	}[req.GetPurpose()]
	if !known {
		return nil, prterr.New(prterr.Invalid, "purpose is not set")
	}
	var hint ids.UPN
	var session secret.Text
	var err error
	if req.GetLoginHint() != "" {
		if hint, err = ids.ParseUPN(req.GetLoginHint()); err != nil {
			return nil, prterr.New(prterr.Invalid, "login_hint: %v", err)
		}
	}
	if req.GetLogonSession() != "" {
		if session, err = cloudap.Session(req.GetLogonSession()); err != nil {
			return nil, err
		}
	}
	i, err := w.cloudAP.BeginWebSignIn(ctx, purpose, session, hint)
	if err != nil {
		return nil, err
	}
	return &lsav1.BeginWebSignInResponse{Interaction: interaction(i)}, nil
}

// helloKeys is Windows Hello for Business.
type helloKeys struct {
	lsav1.UnimplementedHelloServiceServer
	cloudAP *cloudap.CloudAP
}

func (h helloKeys) DescribeHello(ctx context.Context, req *lsav1.DescribeHelloRequest) (*lsav1.DescribeHelloResponse, error) {
	session, err := cloudap.Session(req.GetLogonSession())
	if err != nil {
		return nil, err
	}
	s, err := h.cloudAP.DescribeHello(ctx, session)
	if err != nil {
		return nil, err
	}
	return &lsav1.DescribeHelloResponse{
		NgcSet: s.Set, KeyId: s.KeyID, CanReset: s.CanReset, WillProvision: s.WillProvision(), Prerequisites: prerequisites(s),
	}, nil
}

func (h helloKeys) ProvisionHello(ctx context.Context, req *lsav1.ProvisionHelloRequest) (*lsav1.ProvisionHelloResponse, error) {
	session, err := cloudap.Session(req.GetLogonSession())
	if err != nil {
		return nil, err
	}
	end, err := readEnd(req.GetInteractionId(), req.GetFinalUri())
	if err != nil {
		return nil, err
	}
	pin, err := readPIN("pin", req.GetPin())
	if err != nil {
		return nil, err
	}
	id, err := h.cloudAP.ProvisionHello(ctx, session, end.ID, end.Final, pin)
	if err != nil {
		return nil, err
	}
	return &lsav1.ProvisionHelloResponse{KeyId: id}, nil
}

func (h helloKeys) ChangeHelloPIN(ctx context.Context, req *lsav1.ChangeHelloPINRequest) (*lsav1.ChangeHelloPINResponse, error) {
	upn, err := ids.ParseUPN(req.GetUserPrincipalName())
	if err != nil {
		return nil, prterr.New(prterr.Invalid, "user_principal_name: %v", err)
	}
	pin, err := readPIN("pin", req.GetPin())
	if err != nil {
		return nil, err
	}
	next, err := readPIN("new_pin", req.GetNewPin())
	if err != nil {
		return nil, err
	}
	if err := h.cloudAP.ChangePIN(ctx, upn, pin, next); err != nil {
		return nil, err
	}
	return &lsav1.ChangeHelloPINResponse{}, nil
}

func (h helloKeys) ResetHelloPIN(ctx context.Context, req *lsav1.ResetHelloPINRequest) (*lsav1.ResetHelloPINResponse, error) {
	upn, err := ids.ParseUPN(req.GetUserPrincipalName())
	if err != nil {
		return nil, prterr.New(prterr.Invalid, "user_principal_name: %v", err)
	}
	end, err := readEnd(req.GetInteractionId(), req.GetFinalUri())
	if err != nil {
		return nil, err
	}
	next, err := readPIN("new_pin", req.GetNewPin())
	if err != nil {
		return nil, err
	}
	id, err := h.cloudAP.ResetPIN(ctx, upn, *end, next, req.GetDestructive())
	if err != nil {
		return nil, err
	}
	return &lsav1.ResetHelloPINResponse{KeyId: id}, nil
}

func (h helloKeys) RemoveHello(ctx context.Context, req *lsav1.RemoveHelloRequest) (*lsav1.RemoveHelloResponse, error) {
	session, err := cloudap.Session(req.GetLogonSession())
	if err != nil {
		return nil, err
	}
	if err := h.cloudAP.RemoveHello(ctx, session); err != nil {
		return nil, err
	}
	return &lsav1.RemoveHelloResponse{}, nil
}
