package idp_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
)

// takesChallenges is the claims request of a client that continuous access evaluation
// may send back for another token.
const takesChallenges = `{"access_token":{"xms_cc":{"values":["cp1"]}}}`

// caeClient is an app on a device with a session open at Graph.
type caeClient struct {
	w *world
	s *signIn
}

// token asks for an access token with the PRT, and adds a claims request to what the
// client says of itself.
func (c *caeClient) token(t testing.TB, claims string) (string, error) {
	t.Helper()
	a, err := c.w.tokens.RedeemPRT(context.Background(), &idpv1.RedeemPRTRequest{Request: c.s.sign(t, c.s.redemption(t, office, graph)), Claims: claims})
	if err != nil {
		return "", err
	}
	var answer entrawire.TokenAnswer
	c.s.decrypt(t, a.GetAnswer(), &answer)
	return answer.AccessToken.Reveal(), nil
}

var challengeClaims = regexp.MustCompile(`error="insufficient_claims", claims="([^"]+)"`)

// read is a call of Graph over HTTPS: its status, and the claims that are demanded.
func (c *caeClient) read(t testing.TB, token string) (int, string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "https://graph.microsoft.com/v1.0/me", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	status, header, _ := c.w.overHTTPS(r)
	found := challengeClaims.FindStringSubmatch(header.Get("WWW-Authenticate"))
	if found == nil {
		return status, ""
	}
	raw, err := base64.StdEncoding.DecodeString(found[1])
	if err != nil {
		t.Fatal(err)
	}
	return status, string(raw)
}

// demanded is the time that a challenge wants tokens to be younger than.
func demanded(t testing.TB, claims string) int64 {
	t.Helper()
	var c struct {
		Token struct {
			Nbf struct {
				Essential bool
				Value     string
			}
		} `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(claims), &c); err != nil || !c.Token.Nbf.Essential {
		t.Fatalf("challenge %s", claims)
	}
	at, err := strconv.ParseInt(c.Token.Nbf.Value, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// TestINV18_CriticalEventsReachAnOpenSessionWithTheNextCall: the bound is one call. A token that is good for a day is
// refused by the next one, the client is told which token would do, the identity provider
// says why it gets none, and after a new sign-in the session goes on.
func TestINV18_CriticalEventsReachAnOpenSessionWithTheNextCall(t *testing.T) {
	ctx := context.Background()
	for name, f := range map[string]struct {
		happens func(t testing.TB, w *world, d *device)
		code    aadsts.Code
		// again is the password of a sign-in that brings the session back, after mend.
		mend  func(t testing.TB, w *world, d *device)
		again string
	}{
		"password changed": {func(t testing.TB, w *world, _ *device) { setPassword(t, w, alice, "a new and better one") }, aadsts.FreshTokenNeeded, nil, "a new and better one"},
		"sessions revoked": {func(t testing.TB, w *world, _ *device) {
			done[*directoryv1.RevokeSessionsResponse](t)(w.admin.RevokeSessions(ctx, &directoryv1.RevokeSessionsRequest{UserPrincipalName: alice}))
		}, aadsts.FreshTokenNeeded, nil, alicePassword},
		"user disabled": {
			func(t testing.TB, w *world, _ *device) { setUser(t, w, alice, false) }, aadsts.UserDisabled,
			func(t testing.TB, w *world, _ *device) { setUser(t, w, alice, true) }, alicePassword,
		},
		"user deleted": {func(t testing.TB, w *world, _ *device) {
			done[*directoryv1.DeleteUserResponse](t)(w.admin.DeleteUser(ctx, &directoryv1.DeleteUserRequest{UserPrincipalName: alice}))
		}, aadsts.UserAccountNotFound, nil, ""},
		"device disabled": {
			func(t testing.TB, w *world, d *device) { setDevice(t, w, d.id, false) }, aadsts.DeviceDisabled,
			func(t testing.TB, w *world, d *device) { setDevice(t, w, d.id, true) }, alicePassword,
		},
		"device removed": {func(t testing.TB, w *world, d *device) { removeDevice(t, w, d.id) }, aadsts.DeviceAuthenticationFailed, nil, ""},
	} {
		for _, profile := range []string{"2020", "today", "strict"} {
			t.Run(name+" "+profile, func(t *testing.T) {
				lab := clock.NewLab()
				w := newWorld(t, idp.Config{Clock: lab, Tenants: withProfile(profile)})
				overWire(t, w)
				d := w.join(t, alice, alicePassword, 1, 2)
				c := &caeClient{w, d.first(t, alice, alicePassword)}
				token, err := c.token(t, takesChallenges)
				if err != nil {
					t.Fatal(err)
				}
				lab.Advance(12 * time.Hour) // a plain token would be over
				if status, _ := c.read(t, token); status != http.StatusOK {
					t.Fatalf("the session is not open: %d", status)
				}
				before := lab.Now().Unix()
				f.happens(t, w, d)
				status, claims := c.read(t, token)
				if status != http.StatusUnauthorized || claims == "" {
					t.Fatalf("the next call: %d, %q", status, claims)
				}
				if at := demanded(t, claims); at < before || at > lab.Now().Unix() {
					t.Errorf("a token of %d is demanded; it happened between %d and %d", at, before, lab.Now().Unix())
				}
				_, err = c.token(t, claims)
				wantCode(t, err, f.code)
				if kind := prterr.KindOf(err); kind == prterr.Unavailable || kind == prterr.Internal {
					t.Errorf("the client is told to try again: %v", err)
				}
				if f.again == "" {
					return
				}
				if f.mend != nil {
					f.mend(t, w, d)
				}
				lab.Advance(time.Second)
				c.s = d.first(t, alice, f.again)
				if token, err = c.token(t, claims); err != nil {
					t.Fatal(err)
				}
				if status, _ := c.read(t, token); status != http.StatusOK {
					t.Errorf("after a new sign-in: %d", status)
				}
			})
		}
	}
}
