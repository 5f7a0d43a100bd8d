package tpmagent_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	tpmagent "github.com/lockstep-sso/lockstep/services/tpm-agent"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/tpmagenttest"
)

const appOfTokens = "d3590ed6-52b3-4102-aeff-aad2292ab01c"

// sealedToken has the agent open an answer with a refresh token in it.
func sealedToken(t *testing.T, a *tpmagenttest.Agent, session secret.Bytes, sealed *tpmv1.SealedSessionKey) (*tpmv1.SealedToken, error) {
	t.Helper()
	plain := []byte(`{"token_type":"Bearer","expires_in":"3600","ext_expires_in":"3600","expires_on":"1700000000","resource":"https://graph.microsoft.com",` +
		`"access_token":"a.b.c","refresh_token":"1.app.cold-start-canary"}`)
	r, err := a.PRT().OpenTokenAnswer(t.Context(), &tpmv1.OpenTokenAnswerRequest{
		Partition: tpmagenttest.Partition(tpmagenttest.UserA), SessionKey: sealed, ClientId: appOfTokens,
		Answer: must[string](t)(entrawire.SealAnswer(session, plain)),
	})
	return r.GetRefreshToken(), err
}

func redeemSealed(t *testing.T, a *tpmagenttest.Agent, sealed *tpmv1.SealedSessionKey, token *tpmv1.SealedToken) error {
	t.Helper()
	_, err := a.PRT().SignTokenRequest(t.Context(), &tpmv1.SignTokenRequestRequest{
		Partition: tpmagenttest.Partition(tpmagenttest.UserA), SessionKey: sealed, ClientId: appOfTokens, Resource: "https://graph.microsoft.com", RequestNonce: nonce,
		Grant: &tpmv1.SignTokenRequestRequest_RefreshToken{RefreshToken: token},
	})
	return err
}

func unlock(t *testing.T, a *tpmagenttest.Agent, p tpmagenttest.Provider, session secret.Bytes, sealed *tpmv1.SealedSessionKey, key *tpmv1.ProtectedDataKey) error {
	t.Helper()
	_, err := a.DataKeys().UnlockDataKey(t.Context(), &tpmv1.UnlockDataKeyRequest{
		Partition: tpmagenttest.Partition(tpmagenttest.UserA), SessionKey: sealed, Answer: a.Deliver(p, session), DataKey: key,
	})
	return err
}

// TestPRO10_AColdStartLocksUntilTheProviderAnswers: after a restart nothing opens
// without the provider's key, and with it everything does; with another TPM nothing
// ever does.
func TestPRO10_AColdStartLocksUntilTheProviderAnswers(t *testing.T) {
	dir := t.TempDir()
	var log bytes.Buffer
	start := func(dir string) *tpmagenttest.Agent {
		return tpmagenttest.Start(t, tpmagent.Config{StateDir: dir, TPM: "soft:", Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	}
	a := start(dir)
	session, sealed := a.Import(a.Register(), tpmagenttest.UserA)
	p := tpmagenttest.NewProvider()
	key := a.CreateDataKey(p, tpmagenttest.UserA, session, sealed)
	token := must[*tpmv1.SealedToken](t)(sealedToken(t, a, session, sealed))
	if err := redeemSealed(t, a, sealed, token); err != nil {
		t.Fatal(err)
	}
	if err := a.Service.Close(); err != nil {
		t.Fatal(err)
	}

	again := start(dir)
	if err := redeemSealed(t, again, sealed, token); !tpmagenttest.Locked(err) {
		t.Errorf("after a cold start: %v", err)
	}
	if err := unlock(t, again, tpmagenttest.NewProvider(), session, sealed, key); prterr.KindOf(err) != prterr.Denied {
		t.Errorf("with another key of a provider: %v", err)
	}
	if err := unlock(t, again, p, session, sealed, key); err != nil {
		t.Fatal(err)
	}
	if err := redeemSealed(t, again, sealed, token); err != nil {
		t.Errorf("unlocked: %v", err)
	}
	if err := again.Service.Close(); err != nil {
		t.Fatal(err)
	}

	stolen := t.TempDir()
	if err := os.CopyFS(stolen, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{"tpm.state", "tpm.state.lock"} {
		if err := os.Remove(filepath.Join(stolen, f)); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	elsewhere := start(stolen)
	if err := unlock(t, elsewhere, p, session, sealed, key); prterr.KindOf(err) != prterr.KeysLost {
		t.Errorf("all files and another TPM: %v", err)
	}
	searchKey(t, dir, p.Key, key.GetWrapped(), token.GetSealed(), log.Bytes())
	searchKey(t, dir, []byte("cold-start-canary"), token.GetSealed(), log.Bytes())
}

// TestPRO09_AnotherMachineOpensNothing: its agent has a registration, session keys and
// the provider's key, and no wrapped key or token of this one opens there; nor for
// another user here.
func TestPRO09_AnotherMachineOpensNothing(t *testing.T) {
	p := tpmagenttest.NewProvider()
	a, other := tpmagenttest.Start(t, tpmagent.Config{}), tpmagenttest.Start(t, tpmagent.Config{})
	session, sealed := a.Import(a.Register(), tpmagenttest.UserA)
	key := a.CreateDataKey(p, tpmagenttest.UserA, session, sealed)
	token := must[*tpmv1.SealedToken](t)(sealedToken(t, a, session, sealed))

	theirs, theirSealed := other.Import(other.Register(), tpmagenttest.UserA)
	if err := unlock(t, other, p, theirs, theirSealed, key); prterr.KindOf(err) != prterr.Denied {
		t.Errorf("the wrapped key on another machine: %v", err)
	}
	other.CreateDataKey(p, tpmagenttest.UserA, theirs, theirSealed)
	if err := redeemSealed(t, other, theirSealed, token); prterr.KindOf(err) != prterr.Denied {
		t.Errorf("the token on another machine: %v", err)
	}
	if err := redeemSealed(t, a, sealed, token); err != nil {
		t.Errorf("at home: %v", err)
	}
}

// TestREG20_PRO10_DataKeysEndWithTheRegistration: the unlocked key is gone with the
// keys of the device, and the wrapped one opens under no other.
func TestREG20_PRO10_DataKeysEndWithTheRegistration(t *testing.T) {
	p := tpmagenttest.NewProvider()
	a := tpmagenttest.Start(t, tpmagent.Config{})
	session, sealed := a.Import(a.Register(), tpmagenttest.UserA)
	key := a.CreateDataKey(p, tpmagenttest.UserA, session, sealed)
	token := must[*tpmv1.SealedToken](t)(sealedToken(t, a, session, sealed))
	session, sealed = a.Import(a.Register(), tpmagenttest.UserA)
	if err := redeemSealed(t, a, sealed, token); !tpmagenttest.Locked(err) {
		t.Errorf("a token of the registration before: %v", err)
	}
	if err := unlock(t, a, p, session, sealed, key); prterr.KindOf(err) != prterr.Denied {
		t.Errorf("a data key of the registration before: %v", err)
	}
}
