package idp_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2/transport"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/entrawire/nativetest"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
)

// keyClaims are the claims of an honest request for the key of user and device.
func (s *signIn) keyClaims(t testing.TB) entrawire.DataKeyRequest {
	t.Helper()
	return entrawire.DataKeyRequest{
		ClientID: entrawire.BrokerClientID, GrantType: entrawire.GrantDataKey, RefreshToken: secret.NewText(s.prt), Iss: entrawire.BrokerIssuer,
		Aud: entrawire.SessionAudience, RequestNonce: s.d.w.nonce(t), WinVer: entrawire.WinVer,
	}
}

func (w *world) requestDataKey(t testing.TB, request string) (string, error) {
	t.Helper()
	a, err := idpv1.NewDataKeyServiceClient(connect(t, w.svc, "lsa-cloudap")).RequestDataKey(context.Background(), &idpv1.RequestDataKeyRequest{Request: request})
	return a.GetAnswer(), err
}

// dataKey asks for the key and opens the answer: the key's id and the key.
func (s *signIn) dataKey(t testing.TB) (id, key string) {
	t.Helper()
	text, err := s.d.w.requestDataKey(t, s.sign(t, s.keyClaims(t)))
	if err != nil {
		t.Fatal(err)
	}
	var a entrawire.DataKeyAnswer
	s.decrypt(t, text, &a)
	if err := a.Validate(); err != nil {
		t.Fatal(err)
	}
	k, _ := a.Key()
	return a.KeyID, string(k.Reveal())
}

// TestPRO10_OneKeyForAUserOnADevice: the same one at every request and after a
// renewal, another one for another user and on another device, and never in the log.
func TestPRO10_OneKeyForAUserOnADevice(t *testing.T) {
	w := newWorld(t, idp.Config{})
	d := w.join(t, alice, alicePassword, 1, 2)
	s := d.first(t, alice, alicePassword)
	id, key := s.dataKey(t)
	e := lastEvent(w)
	if e.Flow != signinlog.DataKey || e.Outcome != signinlog.Success || e.User != alice || string(e.Device) != d.id || e.Client != entrawire.BrokerClientID || e.Session == "" {
		t.Errorf("the log has %+v", e)
	}
	next, _ := s.renew(t, s.renewal(t))
	for name, other := range map[string]*signIn{"again": s, "renewed": next, "signed in again": d.first(t, alice, alicePassword)} {
		if i, k := other.dataKey(t); i != id || k != key {
			t.Errorf("%s: another key", name)
		}
	}
	elsewhere := w.join(t, alice, alicePassword, 3, 4).first(t, alice, alicePassword)
	for name, other := range map[string]*signIn{"another user": d.first(t, bob, bobPassword), "another device": elsewhere} {
		if i, k := other.dataKey(t); i == id || k == key {
			t.Errorf("%s has the same key", name)
		}
	}
	rests := w.svc.DataKeyOf(t, contoso, w.userOf(t, alice).ID, ids.DeviceID(d.id))
	if len(rests) == 0 || bytes.Contains(rests, []byte(key)) || strings.Contains(string(rests), base64.RawURLEncoding.EncodeToString([]byte(key))) {
		t.Error("the key is not in the store, or there in the clear")
	}
}

// TestPRO10_TheKeyComesOverEveryFormOfSession: also where the session key never
// leaves a TPM, in every profile.
func TestPRO10_TheKeyComesOverEveryFormOfSession(t *testing.T) {
	nativetest.OnEvery(t, func(t *testing.T, tpm transport.TPM) {
		for _, profile := range []string{"2020", "today", "strict"} {
			t.Run(profile, func(t *testing.T) {
				w := newWorld(t, idp.Config{Tenants: withProfile(profile)})
				s := w.joinNative(t, alice, alicePassword, 1, 2, nativetest.NewHolder(t, tpm)).firstNative(t, alice, alicePassword)
				id, key := s.dataKey(t)
				if again, same := s.dataKey(t); again != id || same != key {
					t.Error("another key at the second request")
				}
				if e := lastEvent(w); e.KDF != entrawire.KDF3 {
					t.Errorf("version %d of the derivation", e.KDF)
				}
			})
		}
	})
}

// TestPRO10_Attack19_Attack39_WhoMayNotUseThePRTGetsNoKey: a request is judged like one for a
// token, and a refused one makes no key.
func TestPRO10_Attack19_Attack39_WhoMayNotUseThePRTGetsNoKey(t *testing.T) {
	ctx := context.Background()
	for name, c := range map[string]struct {
		spoil func(*testing.T, *world, *device)
		code  aadsts.Code
	}{
		"user disabled":    {func(t *testing.T, w *world, _ *device) { setUser(t, w, alice, false) }, aadsts.UserDisabled},
		"password changed": {func(t *testing.T, w *world, _ *device) { setPassword(t, w, alice, "a new and better one") }, aadsts.FreshTokenNeeded},
		"sessions revoked": {func(t *testing.T, w *world, _ *device) {
			done[*directoryv1.RevokeSessionsResponse](t)(w.admin.RevokeSessions(ctx, &directoryv1.RevokeSessionsRequest{UserPrincipalName: alice}))
		}, aadsts.FreshTokenNeeded},
		"user deleted": {func(t *testing.T, w *world, _ *device) {
			done[*directoryv1.DeleteUserResponse](t)(w.admin.DeleteUser(ctx, &directoryv1.DeleteUserRequest{UserPrincipalName: alice}))
		}, aadsts.UserAccountNotFound},
		"device disabled": {func(t *testing.T, w *world, d *device) { setDevice(t, w, d.id, false) }, aadsts.DeviceDisabled},
		"device removed":  {func(t *testing.T, w *world, d *device) { removeDevice(t, w, d.id) }, aadsts.DeviceAuthenticationFailed},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, idp.Config{})
			d := w.join(t, alice, alicePassword, 1, 2)
			s := d.first(t, alice, alicePassword)
			u := w.userOf(t, alice)
			c.spoil(t, w, d)
			_, err := w.requestDataKey(t, s.sign(t, s.keyClaims(t)))
			wantCode(t, err, c.code)
			if w.svc.DataKeyOf(t, contoso, u.ID, ids.DeviceID(d.id)) != nil {
				t.Error("a refused request made a key")
			}
			if e := lastEvent(w); e.Flow != signinlog.DataKey || e.Outcome != signinlog.Refused || e.Code != c.code {
				t.Errorf("the log has %+v", e)
			}
		})
	}
}

// TestPRO10_MalformedRequestsForAKey: one fault each.
func TestPRO10_MalformedRequestsForAKey(t *testing.T) {
	lab := clock.NewLab()
	w := newWorld(t, idp.Config{Clock: lab})
	d := w.join(t, alice, alicePassword, 1, 2)
	s, other := d.first(t, alice, alicePassword), d.first(t, alice, alicePassword)
	tokens := s.tokens(t, s.redemption(t, office, graph))
	type claims = entrawire.DataKeyRequest
	for name, c := range map[string]struct {
		change func(*claims)
		code   aadsts.Code
	}{
		"no nonce":              {func(c *claims) { c.RequestNonce = "" }, aadsts.InvalidNonce},
		"another session's PRT": {func(c *claims) { c.RefreshToken = secret.NewText(other.prt) }, aadsts.InvalidSessionKey},
		"an app's token":        {func(c *claims) { c.RefreshToken = tokens.RefreshToken }, aadsts.InvalidGrant},
		"no PRT":                {func(c *claims) { c.RefreshToken = secret.Text{} }, aadsts.MissingParameter},
		"an app's client":       {func(c *claims) { c.ClientID = office }, aadsts.InvalidRequest},
		"another grant":         {func(c *claims) { c.GrantType = entrawire.GrantRefreshToken }, aadsts.InvalidRequest},
		"another issuer":        {func(c *claims) { c.Iss = "me" }, aadsts.InvalidRequest},
		"another audience":      {func(c *claims) { c.Aud = "you" }, aadsts.InvalidRequest},
	} {
		t.Run(name, func(t *testing.T) {
			w.unchanged(t, func() {
				req := s.keyClaims(t)
				c.change(&req)
				_, err := w.requestDataKey(t, s.sign(t, req))
				wantCode(t, err, c.code)
			})
		})
	}
	late := s.sign(t, s.keyClaims(t))
	lab.Advance(301 * time.Second)
	_, err := w.requestDataKey(t, late)
	wantCode(t, err, aadsts.InvalidNonce)
	lab.Advance(15 * 24 * time.Hour)
	_, err = w.requestDataKey(t, s.sign(t, s.keyClaims(t)))
	wantCode(t, err, aadsts.ExpiredToken)
}

// TestAttack38_RequestsUnderASessionKeyStayWhatTheyAre: what was signed to fetch a key
// is no renewal, no redemption and no cookie, and the other way round.
func TestAttack38_RequestsUnderASessionKeyStayWhatTheyAre(t *testing.T) {
	w := newWorld(t, idp.Config{})
	s := w.join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword)
	forKey := func() string { return s.sign(t, s.keyClaims(t)) }
	for name, use := range map[string]func() error{
		"as a renewal":    func() error { _, err := w.renewPRT(forKey()); return err },
		"as a redemption": func() error { _, err := w.redeemPRT(forKey()); return err },
		"as a cookie": func() error {
			a, err := w.sessions.Authorize(context.Background(), &idpv1.AuthorizeRequest{
				ClientId: portal, RedirectUri: portalURI, Nonce: "n", RefreshTokenCredential: forKey(),
			})
			if err == nil && a.GetSignedIn() == nil {
				return prterr.AADSTS(aadsts.InvalidRequest, "")
			}
			return err
		},
		"a renewal":    func() error { _, err := w.requestDataKey(t, s.sign(t, s.renewal(t))); return err },
		"a redemption": func() error { _, err := w.requestDataKey(t, s.sign(t, s.redemption(t, office, graph))); return err },
		"a cookie":     func() error { _, err := w.requestDataKey(t, s.sign(t, s.cookie(w.nonce(t)))); return err },
	} {
		t.Run(name, func(t *testing.T) { w.unchanged(t, func() { wantNamed(t, use()) }) })
	}
}

// TestPRO10_AKeyOutlivesRestartAndRotation: it is the same over a restart and over
// every change of the sealing keys that it was asked for between, and gone with the
// device.
func TestPRO10_AKeyOutlivesRestartAndRotation(t *testing.T) {
	cfg := idp.Config{StateDir: filepath.Join(t.TempDir(), "state")}
	w := worldWithItsKeys(t, cfg)
	s := w.join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword)
	id, key := s.dataKey(t)
	for range 4 { // one more than a sealing key lives
		done[*directoryv1.RotateKeysResponse](t)(w.admin.RotateKeys(context.Background(), &directoryv1.RotateKeysRequest{}))
		s, _ = s.renew(t, s.renewal(t))
		if i, k := s.dataKey(t); i != id || k != key {
			t.Fatal("another key after a rotation")
		}
	}
	if err := w.svc.Close(); err != nil {
		t.Fatal(err)
	}
	w = worldWithItsKeys(t, cfg)
	s = s.in(w)
	if i, k := s.dataKey(t); i != id || k != key {
		t.Error("another key after the restart")
	}
	user, device := w.userOf(t, alice).ID, ids.DeviceID(s.d.id)
	if w.svc.DataKeyOf(t, contoso, user, device) == nil {
		t.Fatal("there is no record")
	}
	removeDevice(t, w, s.d.id)
	if w.svc.DataKeyOf(t, contoso, user, device) != nil {
		t.Error("the key outlived its device")
	}
}

// TestPRO10_AKeyThatDoesNotOpenIsReplaced: after so many changes of the sealing keys
// that none of them opens it, there is a new key and no error.
func TestPRO10_AKeyThatDoesNotOpenIsReplaced(t *testing.T) {
	w := newWorld(t, idp.Config{})
	s := w.join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword)
	id, _ := s.dataKey(t)
	for range 4 {
		done[*directoryv1.RotateKeysResponse](t)(w.admin.RotateKeys(context.Background(), &directoryv1.RotateKeysRequest{}))
		s, _ = s.renew(t, s.renewal(t))
	}
	next, _ := s.dataKey(t)
	if next == id {
		t.Error("the key is the old one, although nothing could have opened it")
	}
	if again, _ := s.dataKey(t); again != next {
		t.Error("the new key does not stay")
	}
}
