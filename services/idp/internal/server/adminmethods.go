package server

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/directory"
	"github.com/lockstep-sso/lockstep/services/idp/internal/outbox"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// audit writes the row of a change that an operator made to what somebody signs in
// with, also of one that was refused.
func (s *Admin) audit(ctx context.Context, flow signinlog.Flow, upn ids.UPN, what string, err error) {
	e := signinlog.Event{Flow: flow, User: upn, Hidden: "by an operator: " + what}
	if u, lookup := s.Directory.UserByName(ctx, upn); lookup == nil {
		e.Tenant = u.Tenant
	}
	s.Log.Record(ctx, s.Clock.Now(), e, err)
}

// SetUserMethods sets the second factors of a user.
func (s *Admin) SetUserMethods(ctx context.Context, req *directoryv1.SetUserMethodsRequest) (*directoryv1.SetUserMethodsResponse, error) {
	upn, err := userName(req.GetUserPrincipalName())
	if err != nil {
		return nil, err
	}
	err = s.Directory.SetUserMethods(ctx, upn, directory.Factors{
		TOTP: secret.NewText(req.GetTotpSecret()), Push: req.GetPush(), PhoneSignIn: req.GetPhoneSignIn(), Phone: req.GetPhoneNumber(),
		Default: req.GetDefaultMethod(),
	}, s.Clock.Now())
	s.audit(ctx, signinlog.SetMethods, upn, "second factors were set", err)
	if err != nil {
		return nil, err
	}
	return &directoryv1.SetUserMethodsResponse{}, nil
}

// IssueAccessPass makes a Temporary Access Pass for a user.
func (s *Admin) IssueAccessPass(ctx context.Context, req *directoryv1.IssueAccessPassRequest) (*directoryv1.IssueAccessPassResponse, error) {
	upn, err := userName(req.GetUserPrincipalName())
	if err != nil {
		return nil, err
	}
	// Bounded before it is multiplied: a lifetime may be any number of the contract.
	const tooLong = 1 << 31
	life := time.Duration(max(min(req.GetLifetimeSeconds(), tooLong), -1)) * time.Second
	pass, ends, err := s.Directory.IssuePass(ctx, upn, life, req.GetOneTime(), s.Clock.Now())
	s.audit(ctx, signinlog.IssuePass, upn, fmt.Sprintf("a Temporary Access Pass, for one time: %t", req.GetOneTime()), err)
	if err != nil {
		return nil, err
	}
	return &directoryv1.IssueAccessPassResponse{AccessPass: pass.Reveal(), ExpiresAt: timestamppb.New(ends)}, nil
}

// RemoveUserMethod removes a method of a user.
func (s *Admin) RemoveUserMethod(ctx context.Context, req *directoryv1.RemoveUserMethodRequest) (*directoryv1.RemoveUserMethodResponse, error) {
	upn, err := userName(req.GetUserPrincipalName())
	if err != nil {
		return nil, err
	}
	if id := req.GetMethodId(); id == "" || len(id) > maxMethodID {
		return nil, prterr.New(prterr.Invalid, "method_id is not 1 to %d characters", maxMethodID)
	}
	err = s.Directory.RemoveMethod(ctx, upn, req.GetMethodId())
	s.audit(ctx, signinlog.RemoveMethod, upn, fmt.Sprintf("method %q", req.GetMethodId()), err)
	if err != nil {
		return nil, err
	}
	return &directoryv1.RemoveUserMethodResponse{}, nil
}

// maxMethodID bounds the id of a method, in bytes.
const maxMethodID = 256

// PutHelloKey writes a Windows Hello key into the directory, as an administrator can
// who writes the attribute itself. Its provenance says so.
func (s *Admin) PutHelloKey(ctx context.Context, req *directoryv1.PutHelloKeyRequest) (*directoryv1.PutHelloKeyResponse, error) {
	upn, err := userName(req.GetUserPrincipalName())
	if err != nil {
		return nil, err
	}
	key, err := s.helloKey(ctx, upn, req)
	if err == nil {
		err = s.Directory.WriteHelloKey(ctx, upn, key)
	}
	s.audit(ctx, signinlog.WriteHelloKey, upn, "Windows Hello key "+key.KeyID+" was written", err)
	if err != nil {
		return nil, err
	}
	s.Outbox.Send(outbox.KeyNotice(upn, string(key.Device)))
	return &directoryv1.PutHelloKeyResponse{MethodId: key.KID}, nil
}

func (s *Admin) helloKey(ctx context.Context, upn ids.UPN, req *directoryv1.PutHelloKeyRequest) (store.HelloKey, error) {
	key := store.HelloKey{KID: uuid.NewString(), Key: req.GetKey(), Created: s.Clock.Now(), Provenance: store.Written}
	pub, err := entrawire.ParseRSA1(req.GetKey())
	if err == nil {
		key.KeyID, err = entrawire.HelloKeyID(pub)
	}
	if err != nil {
		return key, prterr.New(prterr.Invalid, "key: %v", err)
	}
	if req.GetDeviceId() == "" {
		return key, nil
	}
	if key.Device, err = ids.ParseDevice(req.GetDeviceId()); err != nil {
		return key, prterr.New(prterr.Invalid, "device_id is not right: %v", err)
	}
	u, err := s.Directory.UserByName(ctx, upn)
	if err == nil {
		_, err = s.Directory.Device(ctx, u.Tenant, key.Device)
	}
	return key, err
}

// SetUserRisk sets what a risk engine would say.
func (s *Admin) SetUserRisk(ctx context.Context, req *directoryv1.SetUserRiskRequest) (*directoryv1.SetUserRiskResponse, error) {
	upn, err := userName(req.GetUserPrincipalName())
	if err != nil {
		return nil, err
	}
	err = s.Directory.SetUserRisk(ctx, upn, req.GetRisk())
	s.audit(ctx, signinlog.SetRisk, upn, fmt.Sprintf("risk %q", req.GetRisk()), err)
	if err != nil {
		return nil, err
	}
	return &directoryv1.SetUserRiskResponse{}, nil
}

// ListUserMethods lists how a user can prove who they are.
func (s *Read) ListUserMethods(ctx context.Context, req *directoryv1.ListUserMethodsRequest) (*directoryv1.ListUserMethodsResponse, error) {
	upn, err := userName(req.GetUserPrincipalName())
	if err != nil {
		return nil, err
	}
	u, err := s.Directory.UserByName(ctx, upn)
	if err != nil {
		return nil, err
	}
	out := &directoryv1.ListUserMethodsResponse{}
	for _, m := range directory.MethodsOf(u) {
		out.Methods = append(out.Methods, &directoryv1.UserMethod{
			MethodId: m.ID, Kind: string(m.Kind), Display: m.Display, AddedAt: moment(m.Added), IsDefault: m.Default,
			DeviceId: string(m.Device), Provenance: string(m.Provenance),
		})
	}
	return out, nil
}

// ListMessages lists what was sent to telephones.
func (s *Read) ListMessages(_ context.Context, req *directoryv1.ListMessagesRequest) (*directoryv1.ListMessagesResponse, error) {
	var only ids.UPN
	if req.GetUserPrincipalName() != "" {
		var err error
		if only, err = userName(req.GetUserPrincipalName()); err != nil {
			return nil, err
		}
	}
	out := &directoryv1.ListMessagesResponse{}
	for _, m := range s.Outbox.Messages(only) {
		out.Messages = append(out.Messages, &directoryv1.Message{
			SentAt: timestamppb.New(m.Sent), UserPrincipalName: string(m.User), Channel: string(m.Channel), PhoneNumber: m.Phone, Text: m.Text.Reveal(),
		})
	}
	return out, nil
}
