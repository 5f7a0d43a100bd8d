package idp_test

import (
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"strconv"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
)

const graphID = "00000003-0000-0000-c000-000000000000"

// graphClient is a client with the resource behind the front.
type graphClient struct {
	w   *world
	api idpv1.ResourceServiceClient
}

func newGraph(t testing.TB, w *world) graphClient {
	return graphClient{w, idpv1.NewResourceServiceClient(overFront(t, w))}
}

// claims is a good access token of alice, for tests to change.
func (g graphClient) claims(now time.Time) map[string]any {
	return map[string]any{
		"aud": graph, "iss": "https://sts.windows.net/" + contoso + "/", "iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(), "tid": contoso,
		"oid": "1f6b0a5c-8f0d-4a53-9d3c-2f6f2c1d7a01", "appid": office, "scp": "openid profile User.Read", "ver": "1.0",
		"aio": g.memory("password", 0),
	}
}

// memory is the claim aio of a sign-in of alice, with her password of so many
// changes ago. A user who is gone has none.
func (g graphClient) memory(credential string, passwords uint64) string {
	u, _ := g.w.svc.Store().UserByUPN(context.Background(), alice)
	return jose.EncodeSegment(fmt.Appendf(nil, `{"r":%q,"p":%d,"e":%d}`, credential, u.PasswordEpoch-passwords, u.SessionEpoch))
}

// with is a copy of claims with others; nil removes one.
func with(claims map[string]any, change map[string]any) map[string]any {
	out := maps.Clone(claims)
	for k, v := range change {
		if out[k] = v; v == nil {
			delete(out, k)
		}
	}
	return out
}

// mint signs claims as the identity provider does: its key is one of the test's.
func (g graphClient) mint(t testing.TB, claims map[string]any) string {
	t.Helper()
	_, kid := g.w.svc.Authority().PublicKey()
	return signedBy(t, jose.Header{Typ: "JWT", Kid: kid}, claims, rsaKeys()[0])
}

func signedBy(t testing.TB, h jose.Header, claims map[string]any, key *rsa.PrivateKey) string {
	t.Helper()
	raw, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	s, err := jose.SignRS256(h, raw, key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (g graphClient) me(token string) (*idpv1.DirectoryUser, error) {
	return g.ask(&idpv1.Bearer{AccessToken: token})
}

func (g graphClient) ask(b *idpv1.Bearer) (*idpv1.DirectoryUser, error) {
	a, err := g.api.GetUser(context.Background(), &idpv1.GetUserRequest{Bearer: b})
	return a.GetUser(), err
}

func challenge(err error) string {
	var e *prterr.Error
	if !errors.As(err, &e) {
		return ""
	}
	return e.Claims
}

func TestGraphTakesOurTokensAndNoOthers(t *testing.T) {
	lab := clock.NewLab()
	w := newWorld(t, idp.Config{Clock: lab})
	g := newGraph(t, w)
	good := g.claims(lab.Now())
	for name, change := range map[string]map[string]any{
		"as it is": {}, "slash": {"aud": graph + "/"}, "application id": {"aud": graphID},
		"version 2.0":                      {"aud": graphID, "iss": "https://login.microsoftonline.com/" + contoso + "/v2.0", "ver": "2.0", "appid": nil, "azp": office},
		"of a device-less sign-in by SAML": {"aio": g.memory("saml", 9)},
	} {
		if u, err := g.me(g.mint(t, with(good, change))); err != nil || u.GetUserPrincipalName() != alice || u.GetGivenName() != "Alice" || !u.GetAccountEnabled() {
			t.Errorf("%s: %v, %v", name, u, err)
		}
	}
	for name, change := range map[string]map[string]any{
		"another audience": {"aud": "https://vault.azure.net"}, "an application's audience": {"aud": office}, "no audience": {"aud": nil},
		"expired": {"exp": lab.Now().Unix()}, "not yet": {"nbf": lab.Now().Add(time.Minute).Unix()}, "no end": {"exp": nil},
		"another issuer": {"iss": "https://sts.windows.net/" + fabrikam + "/"}, "a stranger's issuer": {"iss": "https://evil.test/"},
		"another tenant": {"tid": fabrikam}, "no tenant here": {"tid": office, "iss": "https://sts.windows.net/" + office + "/"},
		"no client": {"appid": nil}, "unknown client": {"appid": "11111111-2222-4333-8444-555555555555"}, "no user": {"oid": nil},
		"no memory of the user":  {"aio": nil},
		"user of another tenant": {"oid": "2d7c1b6e-90fe-4b64-8e4d-307f3d2e8b01"}, "no such device": {"deviceid": "11111111-2222-4333-8444-555555555555"},
	} {
		_, err := g.me(g.mint(t, with(good, change)))
		if prterr.KindOf(err) != prterr.Unauthenticated || challenge(err) != "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, kid := w.svc.Authority().PublicKey()
	for name, token := range map[string]string{
		"empty": "", "not a token": "x.y.z", "another key": signedBy(t, jose.Header{Kid: kid}, good, rsaKeys()[1]),
		"unknown kid": signedBy(t, jose.Header{Kid: "x"}, good, rsaKeys()[0]), "changed": withPayload(g.mint(t, good), []byte(`{"aud":"x"}`)),
	} {
		if _, err := g.me(token); prterr.KindOf(err) != prterr.Unauthenticated {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestGraphReads(t *testing.T) {
	w := newWorld(t, idp.Config{})
	g := newGraph(t, w)
	ctx := context.Background()
	d := w.join(t, alice, alicePassword, 1, 2)
	w.join(t, bob, bobPassword, 3, 4)
	w.join(t, frank, frankPassword, 1, 4)
	s := d.first(t, alice, alicePassword)
	b := &idpv1.Bearer{AccessToken: s.tokens(t, s.redemption(t, office, graph)).AccessToken.Reveal()}
	app := &idpv1.Bearer{AccessToken: g.mint(t, with(g.claims(time.Now()), map[string]any{"idtyp": "app", "scp": nil, "aio": nil}))}

	p, err := g.api.GetUserInfo(ctx, &idpv1.GetUserInfoRequest{Bearer: b})
	if err != nil || p.GetName() != "Alice Adams" || p.GetTenantId() != contoso || p.GetEmail() != alice || p.GetSub() == "" {
		t.Errorf("%v, %v", p, err)
	}
	signed := w.signedIn(t, s, "")
	idToken, err := jose.Parse(signed.GetIdToken())
	if err != nil {
		t.Fatal(err)
	}
	var sub struct{ Sub string }
	if err := idToken.Claims(&sub); err != nil || sub.Sub != p.GetSub() {
		t.Errorf("userinfo calls the user %s and the ID token %s: %v", p.GetSub(), sub.Sub, err)
	}
	for _, key := range []string{bob, "BOB@contoso.test", "1f6b0a5c-8f0d-4a53-9d3c-2f6f2c1d7a02"} {
		for _, who := range []*idpv1.Bearer{b, app} {
			if a, err := g.api.GetUser(ctx, &idpv1.GetUserRequest{Bearer: who, Key: key}); err != nil || a.GetUser().GetUserPrincipalName() != bob {
				t.Errorf("%s: %v, %v", key, a, err)
			}
		}
	}
	wantKind(t, second(g.api.GetUser(ctx, &idpv1.GetUserRequest{Bearer: b, Key: frank})), prterr.NotFound)
	wantKind(t, second(g.api.GetUser(ctx, &idpv1.GetUserRequest{Bearer: app})), prterr.Invalid)
	wantKind(t, second(g.api.GetUserInfo(ctx, &idpv1.GetUserInfoRequest{Bearer: app})), prterr.Denied)
	noOpenID := &idpv1.Bearer{AccessToken: g.mint(t, with(g.claims(time.Now()), map[string]any{"scp": "User.Read"}))}
	wantKind(t, second(g.api.GetUserInfo(ctx, &idpv1.GetUserInfoRequest{Bearer: noOpenID})), prterr.Denied)

	if a, err := g.api.ListUsers(ctx, &idpv1.ListUsersRequest{Bearer: app}); err != nil || len(a.GetUsers()) != 6 {
		t.Errorf("%v, %v", a, err)
	}
	if a, err := g.api.GetDevice(ctx, &idpv1.GetDeviceRequest{Bearer: b, Key: d.id}); err != nil || a.GetDevice().GetDisplayName() != "DESKTOP-1" || a.GetDevice().GetOperatingSystem() != "Linux" {
		t.Errorf("%v, %v", a, err)
	}
	wantKind(t, second(g.api.GetDevice(ctx, &idpv1.GetDeviceRequest{Bearer: b})), prterr.NotFound)
	for by, n := range map[string]int{"": 2, "me": 1, bob: 1, "mia@contoso.test": 0} {
		if a, err := g.api.ListDevices(ctx, &idpv1.ListDevicesRequest{Bearer: b, RegisteredBy: by}); err != nil || len(a.GetDevices()) != n {
			t.Errorf("devices of %q: %v, %v", by, a, err)
		}
	}
	for member, n := range map[string]int{"": 1, "me": 0, "mia@contoso.test": 1} {
		if a, err := g.api.ListGroups(ctx, &idpv1.ListGroupsRequest{Bearer: b, MemberKey: member}); err != nil || len(a.GetGroups()) != n {
			t.Errorf("groups of %q: %v, %v", member, a, err)
		}
	}
	if a, err := g.api.GetOrganization(ctx, &idpv1.GetOrganizationRequest{Bearer: b}); err != nil || a.GetTenantId() != contoso || len(a.GetDomains()) != 1 {
		t.Errorf("%v, %v", a, err)
	}
}

// TestAPP22_RevocationReachesTheResource: a token that lives for a day is worth
// nothing once its user or device is not what it was, and the client is told.
func TestAPP22_RevocationReachesTheResource(t *testing.T) {
	for name, change := range map[string]func(*testing.T, *world, *device){
		"sessions revoked": func(t *testing.T, w *world, _ *device) {
			done[*directoryv1.RevokeSessionsResponse](t)(w.admin.RevokeSessions(context.Background(), &directoryv1.RevokeSessionsRequest{UserPrincipalName: alice}))
		},
		"password changed": func(t *testing.T, w *world, _ *device) { setPassword(t, w, alice, "another one") },
		"user disabled":    func(t *testing.T, w *world, _ *device) { setUser(t, w, alice, false) },
		"user deleted": func(t *testing.T, w *world, _ *device) {
			done[*directoryv1.DeleteUserResponse](t)(w.admin.DeleteUser(context.Background(), &directoryv1.DeleteUserRequest{UserPrincipalName: alice}))
		},
		"device disabled": func(t *testing.T, w *world, d *device) { setDevice(t, w, d.id, false) },
		"device removed":  func(t *testing.T, w *world, d *device) { removeDevice(t, w, d.id) },
	} {
		t.Run(name, func(t *testing.T) {
			lab := clock.NewLab()
			w := newWorld(t, idp.Config{Clock: lab})
			g := newGraph(t, w)
			d := w.join(t, alice, alicePassword, 1, 2)
			s := d.first(t, alice, alicePassword)
			plain := s.tokens(t, s.redemption(t, office, graph)).AccessToken.Reveal()
			long := g.mint(t, with(g.claims(lab.Now()), map[string]any{"deviceid": d.id, "xms_cc": []string{"CP1"}, "exp": lab.Now().Add(24 * time.Hour).Unix()}))
			for _, token := range []string{plain, long} {
				if _, err := g.me(token); err != nil {
					t.Fatal(err)
				}
			}
			lab.Advance(10 * time.Second)
			change(t, w, d)
			before := lab.Now().Unix() // the clock of a laboratory goes on by itself
			_, err := g.me(long)
			after := lab.Now().Unix()
			wantKind(t, err, prterr.Unauthenticated)
			var c struct {
				Token struct {
					Nbf struct {
						Essential bool
						Value     string
					}
				} `json:"access_token"`
			}
			unread := json.Unmarshal([]byte(challenge(err)), &c)
			if at, bad := strconv.ParseInt(c.Token.Nbf.Value, 10, 64); unread != nil || bad != nil || !c.Token.Nbf.Essential || at < before || at > after {
				t.Errorf("challenge %s", challenge(err))
			}
			_, err = g.me(plain)
			if prterr.KindOf(err) != prterr.Unauthenticated || challenge(err) != "" {
				t.Errorf("a client that takes no challenge: %v", err)
			}
		})
	}
}

// boundTo is the claim cnf.jwk of a proof and the thumbprint of the key.
func boundTo(key *rsa.PrivateKey) (jwk map[string]any, thumbprint string) {
	n, e := jose.EncodeSegment(key.N.Bytes()), jose.EncodeSegment(big.NewInt(int64(key.E)).Bytes())
	sum := sha256.Sum256([]byte(`{"e":"` + e + `","kty":"RSA","n":"` + n + `"}`))
	return map[string]any{"jwk": map[string]any{"kty": "RSA", "n": n, "e": e}}, jose.EncodeSegment(sum[:])
}

func TestAPP20_BoundTokensNeedTheKey(t *testing.T) {
	lab := clock.NewLab()
	w := newWorld(t, idp.Config{Clock: lab})
	g := newGraph(t, w)
	own, other := rsaKeys()[1], rsaKeys()[2]
	cnf, thumbprint := boundTo(own)
	token := g.mint(t, with(g.claims(lab.Now()), map[string]any{"cnf": map[string]any{"kid": thumbprint}}))
	bearer := g.mint(t, g.claims(lab.Now()))
	honest := map[string]any{"at": token, "ts": lab.Now().Unix(), "m": "GET", "u": "graph.microsoft.com", "p": "/v1.0/me", "cnf": cnf, "nonce": "n"}
	prove := func(key *rsa.PrivateKey, change map[string]any) *idpv1.Bearer {
		return &idpv1.Bearer{
			AccessToken: token, PopProof: signedBy(t, jose.Header{Typ: "pop"}, with(honest, change), key),
			HttpMethod: "GET", HttpHost: "graph.microsoft.com", HttpPath: "/v1.0/me",
		}
	}
	inside := prove(own, nil)
	inside.AccessToken = ""
	bare := prove(own, map[string]any{"m": nil, "u": nil, "p": nil, "ts": lab.Now().Add(-4 * time.Minute).Unix()})
	for name, b := range map[string]*idpv1.Bearer{"token beside": prove(own, nil), "token inside": inside, "names no request": bare} {
		if u, err := g.ask(b); err != nil || u.GetUserPrincipalName() != alice {
			t.Errorf("%s: %v, %v", name, u, err)
		}
	}
	otherKey, _ := boundTo(other)
	forBearer := prove(own, map[string]any{"at": bearer})
	forBearer.AccessToken = ""
	for name, b := range map[string]*idpv1.Bearer{
		"as Bearer":                     {AccessToken: token},
		"another key":                   prove(other, map[string]any{"cnf": otherKey}),
		"signature of another key":      prove(other, nil),
		"key not in it":                 prove(own, map[string]any{"cnf": nil}),
		"another token":                 prove(own, map[string]any{"at": bearer}),
		"old":                           prove(own, map[string]any{"ts": lab.Now().Add(-6 * time.Minute).Unix()}),
		"of the future":                 prove(own, map[string]any{"ts": lab.Now().Add(6 * time.Minute).Unix()}),
		"no time":                       prove(own, map[string]any{"ts": nil}),
		"another method":                prove(own, map[string]any{"m": "DELETE"}),
		"another host":                  prove(own, map[string]any{"u": "evil.test"}),
		"another path":                  prove(own, map[string]any{"p": "/v1.0/users"}),
		"not a JWT":                     {AccessToken: token, PopProof: "x"},
		"for a token that is not bound": forBearer,
	} {
		_, err := g.ask(b)
		if prterr.KindOf(err) != prterr.Unauthenticated {
			t.Errorf("%s: %v", name, err)
		}
	}
}
