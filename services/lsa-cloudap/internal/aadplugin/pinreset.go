package aadplugin

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/authority"
	"github.com/lockstep-sso/lockstep/pkg/authority/artefact"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// registerHello registers the public half of a Hello key.
func (c cloud) registerHello(ctx context.Context, access secret.Text, public []byte) error {
	_, err := call(ctx, c.timeout, c.devices.RegisterHelloKey, &idpv1.RegisterHelloKeyRequest{AccessToken: access.Reveal(), Key: public})
	return authority.Stranger(idpName, err)
}

// pinResetKey is the key of the PIN reset service, nil when there is none.
func (c cloud) pinResetKey(ctx context.Context) ([]byte, error) {
	a, err := call(ctx, c.timeout, c.pinReset.DescribePINReset, &idpv1.DescribePINResetRequest{})
	if prterr.KindOf(err) == prterr.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, authority.Stranger(idpName, err)
	}
	if len(a.GetKey()) > artefact.MaxCert {
		return nil, authority.BadAnswer(idpName, "the key of the PIN reset service is too long")
	}
	return a.GetKey(), nil
}

// openReset has the PIN reset service open the secret of a Hello key.
func (c cloud) openReset(ctx context.Context, access secret.Text, wrapped []byte, keyID string) (secret.Bytes, error) {
	a, err := call(ctx, c.timeout, c.pinReset.OpenResetSecret, &idpv1.OpenResetSecretRequest{
		AccessToken: access.Reveal(), WrappedResetSecret: wrapped, KeyId: keyID,
	})
	if err != nil {
		return secret.Bytes{}, authority.Stranger(idpName, err)
	}
	if n := len(a.GetResetSecret()); n == 0 || n > artefact.MaxName {
		return secret.Bytes{}, authority.BadAnswer(idpName, "reset_secret is empty or too long")
	}
	return secret.NewBytes(a.GetResetSecret()), nil
}
