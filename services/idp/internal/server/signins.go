package server

import (
	"context"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
)

// SignInLog is where the sign-ins are read from, oldest first.
type SignInLog interface{ Events() []signinlog.Event }

// standardSignIns and maxSignIns are how many events one answer carries.
const standardSignIns, maxSignIns = 100, 1000

// maxLog bounds the events of one answer, in bytes: every event lists all policies,
// and a message has at most 256 KiB (package rpc).
const maxLog = 224 << 10

// ListSignIns lists the newest events of the sign-in log, oldest first: as many as were
// asked for, or as fit into one message.
func (s *Read) ListSignIns(_ context.Context, req *directoryv1.ListSignInsRequest) (*directoryv1.ListSignInsResponse, error) {
	limit := int(req.GetLimit())
	switch {
	case limit < 0 || limit > maxSignIns:
		return nil, prterr.New(prterr.Invalid, "limit is not 0 to %d", maxSignIns)
	case limit == 0:
		limit = standardSignIns
	}
	var only ids.TenantID
	if req.GetTenantId() != "" {
		var err error
		if only, err = tenantID(req.GetTenantId()); err != nil {
			return nil, err
		}
		if _, ok := s.Tenants.Tenant(only); !ok {
			return nil, prterr.New(prterr.NotFound, "tenant_id names no tenant here")
		}
	}
	var list []*directoryv1.SignIn
	size := 0
	for _, e := range slices.Backward(s.SignIns.Events()) {
		if len(list) == limit {
			break
		}
		if only != "" && e.Tenant != only {
			continue
		}
		next := signIn(e)
		if size += proto.Size(next); size > maxLog {
			break
		}
		list = append(list, next)
	}
	slices.Reverse(list)
	return &directoryv1.ListSignInsResponse{SignIns: list}, nil
}

func signIn(e signinlog.Event) *directoryv1.SignIn {
	entra := e.Entra()
	out := &directoryv1.SignIn{
		At: timestamppb.New(e.Time), Flow: string(e.Flow), TenantId: string(e.Tenant), UserPrincipalName: string(e.User), DeviceId: string(e.Device),
		ClientId: string(e.Client), Outcome: string(e.Outcome), ErrorCode: int32(e.Code), Reason: why(e), CorrelationId: e.Correlation, KeyProtection: e.Protection,
		SignInId: e.ID, Resource: e.Resource, ClientApp: e.ClientApp, IpAddress: e.IPAddress, UserAgent: e.UserAgent,
		IncomingTokenType: entra.IncomingTokenType, AuthenticationProtocol: entra.Protocol, Policies: applied(e.Policies),
		ConditionalAccessStatus: entra.AccessStatus, Interactive: e.Interactive, Risk: entra.Risk, SessionId: e.Session, Entra: e.EntraJSON(),
	}
	for _, m := range e.Methods {
		out.Methods = append(out.Methods, m.Name)
	}
	return out
}

// ListChallenges lists the second factors that wait for an answer.
func (s *Read) ListChallenges(ctx context.Context, req *directoryv1.ListChallengesRequest) (*directoryv1.ListChallengesResponse, error) {
	var only ids.UPN
	if req.GetUserPrincipalName() != "" {
		var err error
		if only, err = userName(req.GetUserPrincipalName()); err != nil {
			return nil, err
		}
	}
	waiting, err := s.Factors.Challenges(ctx, only)
	if err != nil {
		return nil, err
	}
	out := &directoryv1.ListChallengesResponse{}
	for _, c := range waiting {
		out.Challenges = append(out.Challenges, &directoryv1.Challenge{
			ChallengeId: c.ID, UserPrincipalName: string(c.User), MethodId: c.Method, ExpiresAt: timestamppb.New(c.Expires),
			Number: int32(c.Number), Application: c.Application, IpAddress: c.IP, UserAgent: c.Agent, PhoneSignIn: c.PhoneSignIn,
		})
	}
	return out, nil
}

// why is the reason of an event with what only an operator may learn.
func why(e signinlog.Event) string {
	if e.Hidden == "" {
		return e.Reason
	}
	return e.Reason + " (" + e.Hidden + ")"
}
