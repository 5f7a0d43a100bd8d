package prtkey

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/keystore"
)

// SignDataKeyRequest builds the request for the identity provider's key and signs it
// with the session key. It says nothing but for whom, by the PRT.
func (k *Keys) SignDataKeyRequest(ctx context.Context, key SessionKey, p PRT, nonce string) (string, error) {
	if err := opaque("request_nonce", nonce, maxNonce); err != nil {
		return "", err
	}
	prt, err := k.prt(ctx, key, p)
	if err != nil {
		return "", err
	}
	return k.signSession(ctx, key, entrawire.DataKeyRequest{
		ClientID: entrawire.BrokerClientID, GrantType: entrawire.GrantDataKey, RefreshToken: prt,
		Iss: entrawire.BrokerIssuer, Aud: entrawire.SessionAudience, RequestNonce: nonce, WinVer: entrawire.WinVer,
	})
}

// CreateDataKey makes the data key of the session key's user and gives it back wrapped
// under what the answer holds.
func (k *Keys) CreateDataKey(ctx context.Context, key SessionKey, answer string) (wrapped []byte, err error) {
	err = k.withProviderKey(ctx, key, answer, func(p keystore.ProviderKey) error {
		wrapped, err = k.store.CreateUserKey(ctx, key.Owner, p)
		return err
	})
	return wrapped, err
}

// UnlockDataKey opens a wrapped data key with what the answer holds.
func (k *Keys) UnlockDataKey(ctx context.Context, key SessionKey, answer string, wrapped []byte) error {
	return k.withProviderKey(ctx, key, answer, func(p keystore.ProviderKey) error {
		return k.store.UnlockUserKey(ctx, key.Owner, p, wrapped)
	})
}

// LockDataKey forgets the data key of a user of a caller.
func (k *Keys) LockDataKey(caller string, tenant ids.TenantID, user ids.UserID) {
	k.store.LockUserKey(caller, tenant, user)
}

// withProviderKey opens the answer and lends out the key in it.
func (k *Keys) withProviderKey(ctx context.Context, key SessionKey, answer string, use func(keystore.ProviderKey) error) (err error) {
	secret.Do(func() {
		var a entrawire.DataKeyAnswer
		if err = k.open(ctx, key, answer, &a); err != nil {
			return
		}
		var p secret.Bytes
		if p, err = a.Key(); err != nil {
			err = errAnswer()
			return
		}
		defer p.Wipe()
		err = use(keystore.ProviderKey{ID: a.KeyID, Key: p})
	})
	return err
}
