package entracarrier

import (
	"context"
	"net/http"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// describePINReset asks for the key of the PIN reset service, at a place of ours. A
// server that has no such place is the error NotFound without a code: keys made with
// it can be reset destructively alone.
func (c *Carrier) describePINReset(ctx context.Context, _ *idpv1.DescribePINResetRequest) (*idpv1.DescribePINResetResponse, error) {
	body, err := c.extension(ctx, http.MethodGet, entrawire.PINResetPath, nil, nil)
	if err != nil {
		return nil, err
	}
	var doc entrawire.PINResetKey
	if err := jose.DecodeObject(body, &doc); err != nil {
		return nil, badAnswer("%v", err)
	}
	return &idpv1.DescribePINResetResponse{Key: doc.Key}, nil
}

// openResetSecret has a secret opened. The token goes in the header, as every bearer's.
func (c *Carrier) openResetSecret(ctx context.Context, req *idpv1.OpenResetSecretRequest) (*idpv1.OpenResetSecretResponse, error) {
	body, err := c.extension(ctx, http.MethodPost, entrawire.PINResetPath, entrawire.PINResetRequest{
		KeyID: req.GetKeyId(), WrappedSecret: req.GetWrappedResetSecret(),
	}, http.Header{"Authorization": {"Bearer " + req.GetAccessToken()}})
	if err != nil {
		return nil, err
	}
	defer clear(body)
	var doc entrawire.PINResetAnswer
	if err := jose.DecodeObject(body, &doc); err != nil {
		return nil, badAnswer("%v", err)
	}
	return &idpv1.OpenResetSecretResponse{ResetSecret: doc.Secret}, nil
}
