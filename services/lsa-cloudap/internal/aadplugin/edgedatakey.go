package aadplugin

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/authority"
	cloudapv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/cloudap/v1"
)

// FetchDataKey asks the identity provider for its half of what the user's data key
// rests under.
func (e *edge) FetchDataKey(ctx context.Context, req *cloudapv1.FetchDataKeyRequest) (*cloudapv1.FetchDataKeyResponse, error) {
	c, err := readCached("cached", req.GetCached())
	if err != nil {
		return nil, err
	}
	answer, err := e.plugin.prt.DataKey(c).Fetch(ctx)
	if err != nil {
		return nil, authority.Spent(err)
	}
	return &cloudapv1.FetchDataKeyResponse{Answer: answer}, nil
}
