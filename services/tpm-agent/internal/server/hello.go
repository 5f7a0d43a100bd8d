package server

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/keystore"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/prtkey"
)

// HelloKeys serves HelloKeyService.
type HelloKeys struct {
	tpmv1.UnimplementedHelloKeyServiceServer
	Store *keystore.Store
	Keys  *prtkey.Keys
}

func helloUser(u *tpmv1.HelloUser) (keystore.HelloUser, error) {
	tenant, err := ids.ParseTenant(u.GetTenantId())
	if err != nil {
		return keystore.HelloUser{}, prterr.New(prterr.Invalid, "user.tenant_id: %v", err)
	}
	user, err := ids.ParseUser(u.GetUserId())
	if err != nil {
		return keystore.HelloUser{}, prterr.New(prterr.Invalid, "user.user_id: %v", err)
	}
	return keystore.HelloUser{Tenant: tenant, User: user}, nil
}

// CreateHelloKey makes a key for a user.
func (s *HelloKeys) CreateHelloKey(ctx context.Context, r *tpmv1.CreateHelloKeyRequest) (*tpmv1.CreateHelloKeyResponse, error) {
	u, err := helloUser(r.GetUser())
	if err != nil {
		return nil, err
	}
	made, err := s.Keys.CreateHelloKey(ctx, u, secret.NewText(r.GetPin()), r.GetPinResetKey())
	if err != nil {
		return nil, err
	}
	return &tpmv1.CreateHelloKeyResponse{PublicKey: made.Public, KeyId: made.KeyID, WrappedResetSecret: made.WrappedReset}, nil
}

// SignHelloPRTRequest signs a request for a PRT by Hello.
func (s *HelloKeys) SignHelloPRTRequest(ctx context.Context, r *tpmv1.SignHelloPRTRequestRequest) (*tpmv1.SignHelloPRTRequestResponse, error) {
	u, err := helloUser(r.GetUser())
	if err != nil {
		return nil, err
	}
	token, err := s.Keys.SignHelloPRTRequest(ctx, prtkey.HelloRequest{
		Caller: rpc.Caller(ctx), User: u, UPN: r.GetUserPrincipalName(), PIN: secret.NewText(r.GetPin()), Nonce: r.GetRequestNonce(),
	})
	if err != nil {
		return nil, err
	}
	return &tpmv1.SignHelloPRTRequestResponse{Request: token}, nil
}

// VerifyHelloPIN checks a PIN.
func (s *HelloKeys) VerifyHelloPIN(ctx context.Context, r *tpmv1.VerifyHelloPINRequest) (*tpmv1.VerifyHelloPINResponse, error) {
	u, err := helloUser(r.GetUser())
	if err != nil {
		return nil, err
	}
	if err := s.Keys.VerifyPIN(ctx, u, secret.NewText(r.GetPin())); err != nil {
		return nil, err
	}
	return &tpmv1.VerifyHelloPINResponse{}, nil
}

// ChangeHelloPIN changes a PIN that is known.
func (s *HelloKeys) ChangeHelloPIN(ctx context.Context, r *tpmv1.ChangeHelloPINRequest) (*tpmv1.ChangeHelloPINResponse, error) {
	u, err := helloUser(r.GetUser())
	if err != nil {
		return nil, err
	}
	if err := s.Keys.ChangePIN(ctx, u, secret.NewText(r.GetPin()), secret.NewText(r.GetNewPin())); err != nil {
		return nil, err
	}
	return &tpmv1.ChangeHelloPINResponse{}, nil
}

// ResetHelloPIN sets a new PIN in place of a forgotten one.
func (s *HelloKeys) ResetHelloPIN(ctx context.Context, r *tpmv1.ResetHelloPINRequest) (*tpmv1.ResetHelloPINResponse, error) {
	u, err := helloUser(r.GetUser())
	if err != nil {
		return nil, err
	}
	if err := s.Keys.ResetPIN(ctx, u, secret.NewBytes(r.GetResetSecret()), secret.NewText(r.GetNewPin())); err != nil {
		return nil, err
	}
	return &tpmv1.ResetHelloPINResponse{}, nil
}

// DeleteHelloKey destroys the key of a user.
func (s *HelloKeys) DeleteHelloKey(ctx context.Context, r *tpmv1.DeleteHelloKeyRequest) (*tpmv1.DeleteHelloKeyResponse, error) {
	u, err := helloUser(r.GetUser())
	if err != nil {
		return nil, err
	}
	if err := s.Store.DeleteHello(ctx, u); err != nil {
		return nil, err
	}
	return &tpmv1.DeleteHelloKeyResponse{}, nil
}

// DescribeHelloKey tells what there is for a user.
func (s *HelloKeys) DescribeHelloKey(_ context.Context, r *tpmv1.DescribeHelloKeyRequest) (*tpmv1.DescribeHelloKeyResponse, error) {
	u, err := helloUser(r.GetUser())
	if err != nil {
		return nil, err
	}
	d, err := s.Store.DescribeHello(u)
	if err != nil {
		return nil, err
	}
	resp := &tpmv1.DescribeHelloKeyResponse{CanReset: tpmv1.CanReset_CAN_RESET_NONE, WrongPinLimit: uint32(d.Limit)}
	if d.Public == nil {
		return resp, nil
	}
	if resp.KeyId, err = entrawire.HelloKeyID(d.Public); err != nil {
		return nil, prterr.Wrap(prterr.Internal, err, "hello key")
	}
	resp.CanReset = tpmv1.CanReset_CAN_RESET_DESTRUCTIVE_ONLY
	if d.Resettable {
		resp.CanReset = tpmv1.CanReset_CAN_RESET_DESTRUCTIVE_AND_NON_DESTRUCTIVE
	}
	resp.WrongPins, resp.FixedTpm, resp.SensitiveDataOrigin = uint32(d.Wrong), d.FixedTPM, d.SensitiveDataOrigin
	resp.DictionaryAttackProtected = d.Protected
	return resp, nil
}
