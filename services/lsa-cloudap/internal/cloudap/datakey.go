package cloudap

import (
	"context"
	"path/filepath"

	"github.com/lockstep-sso/lockstep/pkg/authority/datakey"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/statefiles"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/partition"
)

// dataKeyFolder is where the wrapped data keys of the users are, in the state folder.
const dataKeyFolder = "datakeys"

// newDataKeys makes the keys that refresh tokens of apps rest under.
func newDataKeys(cfg Config, files *statefiles.Files) (*datakey.Keys, error) {
	return datakey.New(datakey.Config{
		TPM: cfg.TPM, Dir: filepath.Join(cfg.StateDir, dataKeyFolder), CallTimeout: cfg.CallTimeout, Clock: cfg.Clock, Events: cfg.Events, Log: cfg.Log,
		Points: cfg.Points, Meter: cfg.Meter, Reject: func(name, reason string) error { return files.Reject(dataKeyFolder+"/"+name, reason) },
	})
}

// account is whose data key a partition's app tokens need; the user's partitions share
// it.
func (c *CloudAP) account(p partition.Partition) datakey.Account {
	return datakey.Account{
		Partition: keyMessage(p.Key), SessionKey: &tpmv1.SealedSessionKey{Sealed: p.SealedKey},
		Fetch: func(ctx context.Context) (string, error) { return c.plugin.fetchDataKey(ctx, p) },
	}
}

// signUnlocked signs an app-token request, with the data key unlocked when it has a
// refresh token to open.
func (c *CloudAP) signUnlocked(ctx context.Context, p partition.Partition, r TokenRequest, newPRT bool) (signed string, err error) {
	sign := func(ctx context.Context) (err error) {
		signed, err = c.plugin.signTokenRequest(ctx, p, r, newPRT)
		return err
	}
	if r.RefreshToken == nil {
		err = sign(ctx)
	} else {
		err = c.dataKeys.Do(ctx, c.account(p), sign)
	}
	return signed, err
}

// openUnlocked opens an answer, with the data key unlocked when there is a refresh
// token to seal. When it cannot be, the app gets its access token all the same, and the
// next one comes by the PRT.
func (c *CloudAP) openUnlocked(ctx context.Context, p, now partition.Partition, client ids.ClientID, answer string) (opened *tpmv1.OpenTokenAnswerResponse, err error) {
	called := false
	err = c.dataKeys.Do(ctx, c.account(now), func(ctx context.Context) (err error) {
		opened, err = c.plugin.openTokenAnswer(ctx, p, client, answer, false)
		called = !datakey.Locked(err)
		return err
	})
	if err == nil || called {
		return opened, err
	}
	c.cfg.Log.InfoContext(ctx, "the data key is locked, a refresh token was not kept", "user", p.User, "kind", prterr.KindOf(err))
	return c.plugin.openTokenAnswer(ctx, p, client, answer, true)
}

// lockDataKey has the tpm-agent forget a user's data key when no session of theirs is
// left. Whoever signs in meanwhile unlocks it again with the first token.
func (c *CloudAP) lockDataKey(k partition.Key) {
	c.mu.Lock()
	for _, s := range c.sessions {
		if s.entry != nil && sameUser(s.entry.key, k) {
			c.mu.Unlock()
			return
		}
	}
	c.mu.Unlock()
	if err := c.dataKeys.Lock(c.life, k.Tenant, k.User); err != nil {
		c.cfg.Log.Warn("the data key of a user was not locked", "user", k.User, "error", err)
	}
}
