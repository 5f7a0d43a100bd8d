package prtkey

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/keystore"
)

// errAnswer is the one answer to everything that does not open as it should.
func errAnswer() error {
	return prterr.New(prterr.Denied, "answer: it is not an answer for this session")
}

// OpenPRTAnswer opens the answer to a renewal.
func (k *Keys) OpenPRTAnswer(ctx context.Context, key SessionKey, answer string) (*entrawire.PRTAnswer, error) {
	var a entrawire.PRTAnswer
	return &a, k.open(ctx, key, answer, &a)
}

// TokenAnswer is an opened answer with its refresh token sealed again.
type TokenAnswer struct {
	entrawire.TokenAnswer
	SealedRefreshToken []byte
}

// OpenTokenAnswer opens the answer to an app-token request. The refresh token does
// not leave in clear: it is sealed for this owner and client at once, or, when it is
// not wanted, forgotten.
func (k *Keys) OpenTokenAnswer(ctx context.Context, key SessionKey, client ids.ClientID, answer string, discard bool) (*TokenAnswer, error) {
	if _, err := ids.ParseClient(string(client)); err != nil {
		return nil, invalid("client_id", err.Error())
	}
	var a TokenAnswer
	if err := k.open(ctx, key, answer, &a.TokenAnswer); err != nil {
		return nil, err
	}
	if a.RefreshToken.Empty() || discard {
		return &a, nil
	}
	var err error
	a.SealedRefreshToken, err = k.store.SealToken(ctx, key.Owner, client, a.RefreshToken)
	return &a, err
}

func (k *Keys) open(ctx context.Context, key SessionKey, answer string, into entrawire.Shape) error {
	session, err := k.store.Session(key.Owner, key.Sealed)
	if err != nil {
		return err
	}
	if session.Native() {
		return openNative(ctx, session, answer, into)
	}
	parsed, err := entrawire.ParseAnswer(answer)
	if err != nil {
		return errAnswer()
	}
	derived, err := session.Derive(ctx, parsed.KDFInput())
	if err != nil {
		return err
	}
	defer derived.Wipe()
	if err := parsed.OpenInto(derived, into); err != nil {
		return errAnswer()
	}
	return nil
}

// openNative opens an answer with blocks that the TPM has encrypted: the key itself
// stays there.
func openNative(ctx context.Context, session *keystore.Session, answer string, into entrawire.Shape) error {
	parsed, err := entrawire.ParseNativeAnswer(answer)
	if err != nil {
		return errAnswer()
	}
	blocks, err := session.Blocks(ctx, parsed)
	if err != nil {
		return err
	}
	defer blocks.Wipe()
	if err := parsed.OpenInto(blocks, into); err != nil {
		return errAnswer()
	}
	return nil
}
