// Package server is the edge of the token broker: generated messages in, one
// call of the framework, messages or an error out.
//
// What never may live here: a decision, a check of a field, a token that stays.
package server

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/step"
	stepv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/step/v1"
	wamv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/wam/v1"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/apptoken"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/broker"
)

// CallerKey is the attribute of step A's span that says who asked, as the
// caller's certificate names it.
const CallerKey = attribute.Key("prt.caller")

// Broker serves prt.wam.v1.BrokerService.
type Broker struct {
	wamv1.UnimplementedBrokerServiceServer
	Framework *broker.Broker
}

// RequestToken begins the app-token flow (step A).
func (s *Broker) RequestToken(ctx context.Context, req *wamv1.RequestTokenRequest) (*wamv1.RequestTokenResponse, error) {
	ctx = step.Begin(ctx, stepv1.Step_STEP_APP_TOKEN_A)
	trace.SpanFromContext(ctx).SetAttributes(CallerKey.String(rpc.Caller(ctx)))
	t, err := s.Framework.RequestToken(ctx, apptoken.Fields{
		Session: req.GetLogonSession(), ClientID: req.GetClientId(), Resource: req.GetResource(),
		RedirectURI: req.GetRedirectUri(), Force: req.GetForceRefresh(), Interactive: req.GetInteractive(), Claims: req.GetClaims(),
		Account: req.GetAccount(),
	})
	if err != nil {
		return nil, err
	}
	return &wamv1.RequestTokenResponse{
		AccessToken: t.Grant.Token.Reveal(), ExpiresAt: timestamppb.New(t.Grant.ExpiresAt), Scope: t.Grant.Scope,
		UserPrincipalName: string(t.UPN), UserId: string(t.User), TenantId: string(t.Tenant),
	}, nil
}

// AddWorkAccount takes what the user typed and ticked at an app's prompt.
func (s *Broker) AddWorkAccount(ctx context.Context, req *wamv1.AddWorkAccountRequest) (*wamv1.AddWorkAccountResponse, error) {
	d, registered, err := s.Framework.AddAccount(ctx, req.GetLogonSession(), req.GetUserPrincipalName(), req.GetPassword(), req.GetAllowManagement())
	if err != nil {
		return nil, err
	}
	return &wamv1.AddWorkAccountResponse{Registered: registered, DeviceId: string(d.ID), TenantId: string(d.Tenant), PrtObtained: d.PRT}, nil
}
