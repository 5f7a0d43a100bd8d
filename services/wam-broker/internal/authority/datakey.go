package authority

import (
	"context"

	prt "github.com/lockstep-sso/lockstep/pkg/authority"
	"github.com/lockstep-sso/lockstep/pkg/authority/datakey"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
)

// signUnlocked signs a token request, with the data key of the user unlocked when there is
// a refresh token to open.
func (a *Authority) signUnlocked(ctx context.Context, c prt.Cached, r prt.TokenRequest) (signed string, err error) {
	sign := func(ctx context.Context) (err error) {
		signed, err = a.cfg.Protocol.SignToken(ctx, c, r)
		return err
	}
	if r.RefreshToken == nil {
		err = sign(ctx)
	} else {
		err = a.cfg.DataKeys.Do(ctx, a.cfg.Protocol.DataKey(c), sign)
	}
	return signed, err
}

// openUnlocked opens an answer, with the data key unlocked when there is a refresh token
// to seal; now is the PRT that can ask for the identity provider's half of it. When it
// cannot be unlocked the app gets its access token all the same, and the next one comes
// by the PRT.
func (a *Authority) openUnlocked(ctx context.Context, c, now prt.Cached, client ids.ClientID, answer string) (opened *tpmv1.OpenTokenAnswerResponse, err error) {
	called := false
	err = a.cfg.DataKeys.Do(ctx, a.cfg.Protocol.DataKey(now), func(ctx context.Context) (err error) {
		opened, err = a.cfg.Protocol.OpenToken(ctx, c, client, answer)
		called = !datakey.Locked(err)
		return err
	})
	if err == nil || called {
		return opened, err
	}
	a.cfg.Log.InfoContext(ctx, "the data key is locked, a refresh token was not kept", "user", c.User, "kind", prterr.KindOf(err))
	return a.cfg.Protocol.OpenAccess(ctx, c, client, answer)
}
