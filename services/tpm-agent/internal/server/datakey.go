package server

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/prtkey"
)

// DataKeys serves DataKeyService.
type DataKeys struct {
	tpmv1.UnimplementedDataKeyServiceServer
	Keys *prtkey.Keys
}

// SignDataKeyRequest signs a request for the identity provider's key.
func (s *DataKeys) SignDataKeyRequest(ctx context.Context, r *tpmv1.SignDataKeyRequestRequest) (*tpmv1.SignDataKeyRequestResponse, error) {
	key, err := sessionKey(ctx, r.GetPartition(), r.GetSessionKey())
	if err != nil {
		return nil, err
	}
	token, err := s.Keys.SignDataKeyRequest(ctx, key, prtkey.PRT{Clear: r.GetPrt(), Sealed: r.GetSealedPrt().GetSealed()}, r.GetRequestNonce())
	if err != nil {
		return nil, err
	}
	return &tpmv1.SignDataKeyRequestResponse{Request: token}, nil
}

// CreateDataKey makes the data key of a user.
func (s *DataKeys) CreateDataKey(ctx context.Context, r *tpmv1.CreateDataKeyRequest) (*tpmv1.CreateDataKeyResponse, error) {
	key, err := sessionKey(ctx, r.GetPartition(), r.GetSessionKey())
	if err != nil {
		return nil, err
	}
	wrapped, err := s.Keys.CreateDataKey(ctx, key, r.GetAnswer())
	if err != nil {
		return nil, err
	}
	return &tpmv1.CreateDataKeyResponse{DataKey: &tpmv1.ProtectedDataKey{Wrapped: wrapped}}, nil
}

// UnlockDataKey unlocks the data key of a user.
func (s *DataKeys) UnlockDataKey(ctx context.Context, r *tpmv1.UnlockDataKeyRequest) (*tpmv1.UnlockDataKeyResponse, error) {
	key, err := sessionKey(ctx, r.GetPartition(), r.GetSessionKey())
	if err != nil {
		return nil, err
	}
	if err := s.Keys.UnlockDataKey(ctx, key, r.GetAnswer(), r.GetDataKey().GetWrapped()); err != nil {
		return nil, err
	}
	return &tpmv1.UnlockDataKeyResponse{}, nil
}

// LockDataKey forgets the data key of a user.
func (s *DataKeys) LockDataKey(ctx context.Context, r *tpmv1.LockDataKeyRequest) (*tpmv1.LockDataKeyResponse, error) {
	tenant, err := ids.ParseTenant(r.GetTenantId())
	if err != nil {
		return nil, prterr.New(prterr.Invalid, "tenant_id: %v", err)
	}
	user, err := ids.ParseUser(r.GetUserId())
	if err != nil {
		return nil, prterr.New(prterr.Invalid, "user_id: %v", err)
	}
	s.Keys.LockDataKey(rpc.Caller(ctx), tenant, user)
	return &tpmv1.LockDataKeyResponse{}, nil
}
