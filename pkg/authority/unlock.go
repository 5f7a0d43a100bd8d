package authority

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/authority/datakey"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
)

// DataKey is whose data key the apps' tokens of a PRT need, and how the identity
// provider's half of it is had with that PRT.
func (a *Authority) DataKey(c Cached) datakey.Account {
	return datakey.Account{
		Partition: c.partition(), SessionKey: c.sessionKey(),
		Fetch: func(ctx context.Context) (string, error) {
			return a.dataKeys.Fetch(ctx, &tpmv1.SignDataKeyRequestRequest{
				Partition: c.partition(), SessionKey: c.sessionKey(), Prt: c.PRT.Reveal(), SealedPrt: c.sealedPRT(),
			})
		},
	}
}
