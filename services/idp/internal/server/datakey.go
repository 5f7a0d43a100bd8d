package server

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/secret"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/datakey"
)

// DataKey serves DataKeyService.
type DataKey struct {
	idpv1.UnimplementedDataKeyServiceServer
	Keys *datakey.Service
}

// RequestDataKey delivers the key of a user on a device.
func (s *DataKey) RequestDataKey(ctx context.Context, req *idpv1.RequestDataKeyRequest) (*idpv1.RequestDataKeyResponse, error) {
	a, err := s.Keys.Deliver(ctx, datakey.Request{Signed: secret.NewText(req.GetRequest()), Correlation: correlationOf(ctx, req.GetCaller())})
	if err != nil {
		return nil, err
	}
	return &idpv1.RequestDataKeyResponse{Answer: a}, nil
}
