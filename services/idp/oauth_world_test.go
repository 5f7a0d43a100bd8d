package idp_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/issuance"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

const (
	webApp, webSecret    = "5a5b0d2e-7c1c-4f39-8d0f-0d7a3b7c1e01", "web application secret"
	apiApp, apiSecret    = "5a5b0d2e-7c1c-4f39-8d0f-0d7a3b7c1e03", "middle tier application secret"
	spaApp, spaURI       = "5a5b0d2e-7c1c-4f39-8d0f-0d7a3b7c1e02", "https://spa.contoso.test/"
	admin, adminPassword = "admin@contoso.test", "administrators need long passwords"
	drs                  = "urn:ms-drs:enterpriseregistration.windows.net"
	brokerApp, bulkApp   = "29d9ed98-a469-4536-ade2-f981bc1d605e", "b90d5b8f-5503-4153-b545-b31cecfaece2"
	localhost            = "http://localhost"
	v1, v2               = idpv1.Protocol_PROTOCOL_V1, idpv1.Protocol_PROTOCOL_V2
	verifier             = "a-code-verifier-has-43-letters-at-the-least-0123456789"
	webURI               = "https://app.contoso.test/cb"
	offlineGraph         = "openid profile offline_access User.Read"
)

// endpoint is the token endpoint as the HTTPS front calls it.
type endpoint struct {
	*world
	idpv1.GrantServiceClient
	clock *clock.Lab
}

func newEndpoint(t testing.TB, tenants []byte) *endpoint {
	t.Helper()
	return newEndpointWith(t, idp.Config{Tenants: tenants})
}

func newEndpointWith(t testing.TB, cfg idp.Config) *endpoint {
	t.Helper()
	lab := clock.NewLab()
	cfg.Clock = lab
	w := newWorld(t, cfg)
	conn, stop, err := rpc.Loopback(rpc.LoopbackConfig{Caller: "idp", Server: "idp", Allow: idp.FrontAllow()}, w.svc.RegisterForFront)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return &endpoint{world: w, GrantServiceClient: idpv1.NewGrantServiceClient(conn), clock: lab}
}

func (e *endpoint) ask(req *idpv1.RequestTokensRequest) (*idpv1.TokenSet, error) {
	a, err := e.RequestTokens(context.Background(), req)
	return a.GetTokens(), err
}

func (e *endpoint) must(t testing.TB, req *idpv1.RequestTokensRequest) *idpv1.TokenSet {
	t.Helper()
	a, err := e.ask(req)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (e *endpoint) user(t testing.TB, upn ids.UPN) store.User {
	t.Helper()
	u, err := e.svc.Store().UserByUPN(context.Background(), upn)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// signedIn is what the sign-in pages say of a user who has signed in by password.
func (e *endpoint) signedIn(t testing.TB, upn ids.UPN, client ids.ClientID) sealed.Artefact {
	t.Helper()
	u, now := e.user(t, upn), e.clock.Now()
	return sealed.Artefact{
		Type: sealed.Code, Tenant: u.Tenant, User: u.ID, Client: client, SessionID: rand.Text(), Credential: sealed.Password, AMR: []string{"pwd"},
		AuthTime: now, PasswordEpoch: u.PasswordEpoch, SessionEpoch: u.SessionEpoch, Issued: now, Expires: now.Add(10 * time.Minute),
		Details: sealed.Details{ID: rand.Text(), RedirectURI: localhost, Scope: offlineGraph},
	}
}

// withMFA adds a second factor.
func (e *endpoint) withMFA(a *sealed.Artefact) {
	a.AMR, a.MFATime = append(a.AMR, "mfa"), e.clock.Now().Unix()
}

// onDevice says that the device authenticated as well, by a session with this key.
func (e *endpoint) onDevice(t testing.TB, a *sealed.Artefact, d *device, key secret.Bytes) {
	t.Helper()
	id, err := ids.ParseDevice(d.id)
	if err != nil {
		t.Fatal(err)
	}
	dev, err := e.svc.Store().Device(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	a.Device, a.Certificate, a.SessionKey, a.KDFMin = id, issuance.Fingerprint(dev), key, 2
}

func (e *endpoint) seal(t testing.TB, a sealed.Artefact) string {
	t.Helper()
	text, err := e.svc.Authority().Seal(a)
	if err != nil {
		t.Fatal(err)
	}
	return text.Reveal()
}

// codeFor makes a code of a user for the Azure command line, changed by change.
func (e *endpoint) codeFor(t testing.TB, upn ids.UPN, change func(*sealed.Artefact)) string {
	t.Helper()
	a := e.signedIn(t, upn, cli)
	if change != nil {
		change(&a)
	}
	return e.seal(t, a)
}

func redemptionOf(protocol idpv1.Protocol, client, code string) *idpv1.RequestTokensRequest {
	return &idpv1.RequestTokensRequest{
		Tenant: "common", Protocol: protocol, ClientId: client,
		Grant: &idpv1.RequestTokensRequest_AuthorizationCode{AuthorizationCode: &idpv1.AuthorizationCodeGrant{Code: code, RedirectUri: localhost}},
	}
}

func refreshOf(protocol idpv1.Protocol, client, token, scope string) *idpv1.RequestTokensRequest {
	return &idpv1.RequestTokensRequest{
		Tenant: "common", Protocol: protocol, ClientId: client, Scope: scope,
		Grant: &idpv1.RequestTokensRequest_RefreshToken{RefreshToken: &idpv1.RefreshTokenGrant{RefreshToken: token}},
	}
}

func passwordOf(protocol idpv1.Protocol, upn, password string) *idpv1.RequestTokensRequest {
	return &idpv1.RequestTokensRequest{
		Tenant: "organizations", Protocol: protocol, ClientId: cli, Scope: offlineGraph, Resource: graph,
		Grant: &idpv1.RequestTokensRequest_Password{Password: &idpv1.PasswordGrant{Username: upn, Password: password}},
	}
}

func ownNameOf(protocol idpv1.Protocol, tenant string, proof *idpv1.ClientProof) *idpv1.RequestTokensRequest {
	return &idpv1.RequestTokensRequest{
		Tenant: tenant, Protocol: protocol, ClientId: webApp, Scope: graph + "/.default", Resource: graph, Proof: proof,
		Grant: &idpv1.RequestTokensRequest_ClientCredentials{ClientCredentials: &idpv1.ClientCredentialsGrant{}},
	}
}

func secretProof(s string) *idpv1.ClientProof {
	return &idpv1.ClientProof{Proof: &idpv1.ClientProof_ClientSecret{ClientSecret: s}}
}

// claimsIn verifies a signed token of ours and reads it.
func (e *endpoint) claimsIn(t testing.TB, text string) map[string]any {
	t.Helper()
	token, err := jose.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	pub, _ := e.svc.Authority().PublicKey()
	if err := token.VerifyRS256(pub); err != nil {
		t.Fatal(err)
	}
	c := map[string]any{}
	if err := token.Claims(&c); err != nil {
		t.Fatal(err)
	}
	return c
}

// wantClaims compares those that are named; nil wants a claim to be absent.
func wantClaims(t testing.TB, got map[string]any, want map[string]any) {
	t.Helper()
	for name, w := range want {
		g, there := got[name]
		if list, ok := g.([]any); ok {
			words := make([]string, len(list))
			for i := range list {
				words[i], _ = list[i].(string)
			}
			g = strings.Join(words, " ")
		}
		if w == nil && there || w != nil && g != w {
			t.Errorf("claim %s is %v, want %v", name, g, w)
		}
	}
}

func s256(v string) string {
	sum := sha256.Sum256([]byte(v))
	return "S256:" + jose.EncodeSegment(sum[:])
}

func jsonOf(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// claimsOf is the claims challenge of an error.
func claimsOf(err error) string {
	var e *prterr.Error
	if !errors.As(err, &e) {
		return ""
	}
	return e.Claims
}
