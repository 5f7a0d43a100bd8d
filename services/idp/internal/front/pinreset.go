package front

import (
	"net/http"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// pinResetKey gives the key that devices wrap the secret of a Hello key for.
func (x *exchange) pinResetKey() error {
	a, err := x.pinReset.DescribePINReset(x.ctx, &idpv1.DescribePINResetRequest{})
	if err != nil {
		return err
	}
	x.json(http.StatusOK, entrawire.PINResetKey{Key: a.GetKey()})
	return nil
}

// openResetSecret opens a secret for the user and device of the token.
func (x *exchange) openResetSecret() error {
	token, err := x.bearer()
	if err != nil {
		return err
	}
	var q entrawire.PINResetRequest
	if err := x.object(&q); err != nil {
		return err
	}
	a, err := x.pinReset.OpenResetSecret(x.ctx, &idpv1.OpenResetSecretRequest{
		Caller: x.caller(), AccessToken: token, WrappedResetSecret: q.WrappedSecret, KeyId: q.KeyID,
	})
	if err != nil {
		return err
	}
	defer clear(a.GetResetSecret())
	x.json(http.StatusOK, entrawire.PINResetAnswer{Secret: a.GetResetSecret()})
	return nil
}
