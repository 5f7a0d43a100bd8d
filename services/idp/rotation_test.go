package idp_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
)

// TestINV19_RotationUnderLoad renews and takes tokens without a pause while the
// keys are rotated twice. A verifier that fetched the keys before a rotation must
// know the key after it, and what the first key sealed and signed must be good
// until the third rotation.
func TestINV19_RotationUnderLoad(t *testing.T) {
	overBoth(t, idp.Config{}, func(t *testing.T, w *world) {
		meta := idpv1.NewMetadataServiceClient(overFront(t, w))
		s := w.join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword)
		old := s.tokens(t, s.redemption(t, office, graph)).AccessToken.Reveal()
		verifies := func(token string) bool {
			keys, _ := signingKeys(t, meta)
			parsed, err := jose.Parse(token)
			return err == nil && keys[parsed.Header.Kid] != nil && parsed.VerifyRS256(keys[parsed.Header.Kid]) == nil
		}
		rotate := func() string {
			t.Helper()
			a, err := w.admin.RotateKeys(context.Background(), &directoryv1.RotateKeysRequest{})
			if err != nil {
				t.Fatal(err)
			}
			return a.GetKid()
		}

		var stop atomic.Bool
		var renewals atomic.Int64
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				own := s
				for !stop.Load() {
					if i%2 == 0 { // a session that renews, and one that never does
						own, _ = own.renew(t, own.renewal(t))
					}
					token := own.tokens(t, own.redemption(t, office, graph)).AccessToken.Reveal()
					if !verifies(token) {
						t.Error("a token does not verify")
						return
					}
					renewals.Add(1)
				}
			})
		}
		for range 2 {
			known, before := signingKeys(t, meta)
			if now := rotate(); now == before || known[now] == nil {
				t.Errorf("%s came into use unannounced", now)
			}
			for seen := renewals.Load(); renewals.Load() < seen+8 && !t.Failed(); {
				if err := s.use(t); err != nil {
					t.Errorf("a PRT of the first key: %v", err)
				}
			}
		}
		stop.Store(true)
		wg.Wait()
		if !verifies(old) {
			t.Error("after two rotations a token of the first key does not verify")
		}
		fresh, _ := s.renew(t, s.renewal(t))
		rotate()
		if verifies(old) {
			t.Error("after three rotations the first key still verifies")
		}
		wantCode(t, s.use(t), aadsts.InvalidGrant)
		if err := fresh.use(t); err != nil {
			t.Errorf("a PRT that was renewed in time: %v", err)
		}
		if keys, _ := signingKeys(t, meta); len(keys) != 4 {
			t.Errorf("%d keys: want the one in use, the next, and two before", len(keys))
		}
	})
}
