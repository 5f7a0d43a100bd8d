package aadplugin

import (
	"context"

	cloudapv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/cloudap/v1"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
)

// FetchDataKey asks the identity provider for its half of what the user's data key
// rests under.
func (e *edge) FetchDataKey(ctx context.Context, req *cloudapv1.FetchDataKeyRequest) (*cloudapv1.FetchDataKeyResponse, error) {
	c, err := readCached("cached", req.GetCached())
	if err != nil {
		return nil, err
	}
	answer, err := e.plugin.dataKeys.Fetch(ctx, &tpmv1.SignDataKeyRequestRequest{
		Partition: c.partition(), SessionKey: c.sessionKey(), Prt: c.prt.Reveal(), SealedPrt: c.sealedPRT,
	})
	if err != nil {
		return nil, spent(err)
	}
	return &cloudapv1.FetchDataKeyResponse{Answer: answer}, nil
}
