package lsacloudap_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

const (
	brokerURI = "ms-appx-web://Microsoft.AAD.BrokerPlugin/DRS"
	drs       = "urn:ms-drs:enterpriseregistration.windows.net"
)

// visitor is who sits before a page, and what they prove there.
type visitor struct {
	upn     string
	methods []string
}

// grant is what a code, a refresh token or an access token stands for.
type grant struct {
	user, upn, client, resource, challenge string
	methods                                []string
	fresh, device                          bool
}

// fakePages is the part of the fake provider that has sign-in pages.
type fakePages struct {
	codes, refreshTokens, accessTokens map[string]grant
	helloKeys                          map[string]string // by kid, of which user
	noReset                            bool
	registered                         func() error
}

func newPages() fakePages {
	return fakePages{codes: map[string]grant{}, refreshTokens: map[string]grant{}, accessTokens: map[string]grant{}, helloKeys: map[string]string{}}
}

// visit goes to a page as a browser does, and comes back with the final address.
func (f *fakeIdP) visit(i *authorityv1.Interaction, v visitor) string {
	u, err := url.Parse(i.GetUrl())
	if err != nil || u.Scheme != "https" || len(i.GetHeaders()) != 1 {
		f.w.t.Fatalf("page %v", i)
	}
	q := u.Query()
	var header request
	if !readToken(i.GetHeaders()[0].GetValue(), &header) || header.Nonce != q.Get("sso_nonce") {
		f.w.t.Fatalf("header %v", i.GetHeaders())
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.nonces[header.Nonce] || q.Get("response_type") != "code" || q.Get("redirect_uri") != i.GetRedirectUri() || q.Get("code_challenge_method") != "S256" {
		f.w.t.Errorf("page %s", i.GetUrl())
	}
	delete(f.nonces, header.Nonce)
	g := grant{
		upn: v.upn, client: q.Get("client_id"), resource: q.Get("resource"), challenge: q.Get("code_challenge"),
		methods: v.methods, fresh: q.Get("amr_values") == "ngcmfa", device: true,
	}
	if p, ok := f.prts[header.PRT]; ok && header.Kind == "cookie" && q.Get("prompt") != "login" && (v.upn == "" || userID(v.upn) == p.user) {
		g.methods = slices.Concat(p.methods, v.methods)
		g.upn = map[string]string{aliceID: alice, adaID: ada}[p.user]
	}
	g.user = userID(g.upn)
	f.n++
	code := fmt.Sprintf("1.code-%d", f.n)
	f.codes[code] = g
	return q.Get("redirect_uri") + "?" + url.Values{"code": {code}, "state": {q.Get("state")}, "session_state": {"s"}}.Encode()
}

func userID(upn string) string { id, _ := userOf(upn); return id }

func (f *fakeIdP) RequestTokens(ctx context.Context, r *idpv1.RequestTokensRequest) (*idpv1.RequestTokensResponse, error) {
	if err := f.w.called(ctx, "idp:RequestTokens", &f.faults); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	c := r.GetAuthorizationCode()
	g, ok := f.codes[c.GetCode()]
	sum := sha256.Sum256([]byte(c.GetCodeVerifier()))
	switch {
	case !ok:
		return nil, prterr.AADSTS(aadsts.CodeRedeemed, "")
	case g.client != r.GetClientId() || c.GetRedirectUri() != brokerURI || r.GetTenant() != tenant:
		return nil, prterr.AADSTS(aadsts.InvalidGrant, "")
	case g.challenge != base64.RawURLEncoding.EncodeToString(sum[:]):
		return nil, prterr.AADSTS(aadsts.CodeVerifierMismatch, "")
	}
	delete(f.codes, c.GetCode())
	f.n++
	rt, at := fmt.Sprintf("1.rt-%d", f.n), fmt.Sprintf("at-%d", f.n)
	f.refreshTokens[rt], f.accessTokens[at] = g, g
	return &idpv1.RequestTokensResponse{Outcome: &idpv1.RequestTokensResponse_Tokens{Tokens: &idpv1.TokenSet{
		TokenType: "Bearer", AccessToken: at, RefreshToken: rt, IdToken: idToken(g.user, tenant, g.upn, g.methods...), ExpiresIn: 3600,
	}}}, nil
}

// proof is how the user of a PRT request proves who they are; it fills in the name
// that the request leaves out.
func (f *fakeIdP) proof(r *request) (user string, methods []string, err error) {
	switch {
	case r.RT != "":
		g, ok := f.refreshTokens[r.RT]
		if !ok || g.client != entrawire.BrokerClientID {
			return "", nil, prterr.AADSTS(aadsts.InvalidGrant, "")
		}
		r.UPN = g.upn
		return g.user, g.methods, nil
	case r.Hello != "":
		user, _ = userOf(r.UPN)
		if user == "" || f.helloKeys[r.Hello] != user {
			return "", nil, prterr.AADSTS(aadsts.KeyNotFound, "")
		}
		return user, []string{"windowsHelloForBusiness"}, nil
	case r.SAML == cardAssertion:
		user, _ = userOf(r.UPN)
		return user, []string{"federatedSingleFactor"}, nil
	default:
		user, err = f.credential(*r)
		return user, []string{"password"}, err
	}
}

func (f *fakeIdP) RegisterHelloKey(ctx context.Context, r *idpv1.RegisterHelloKeyRequest) (*idpv1.RegisterHelloKeyResponse, error) {
	if err := f.w.called(ctx, "idp:RegisterHelloKey", &f.faults); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	g, ok := f.accessTokens[r.GetAccessToken()]
	if !ok || g.resource != drs || !g.fresh || !g.device {
		return nil, prterr.New(prterr.Denied, "access_token has no second factor of the last ten minutes")
	}
	if f.registered != nil {
		if err := f.registered(); err != nil {
			return nil, err
		}
	}
	for kid, user := range f.helloKeys { // in place of an earlier one of this device
		if user == g.user {
			delete(f.helloKeys, kid)
		}
	}
	kid, _ := strings.CutPrefix(string(r.GetKey()), "public.")
	f.helloKeys[kid] = g.user
	return &idpv1.RegisterHelloKeyResponse{Kid: "object", UserPrincipalName: g.upn}, nil
}

func (f *fakeIdP) DescribePINReset(ctx context.Context, _ *idpv1.DescribePINResetRequest) (*idpv1.DescribePINResetResponse, error) {
	if err := f.w.called(ctx, "idp:DescribePINReset", &f.faults); err != nil {
		return nil, err
	}
	if f.noReset {
		return &idpv1.DescribePINResetResponse{}, nil
	}
	return &idpv1.DescribePINResetResponse{Key: []byte("reset-service")}, nil
}

func (f *fakeIdP) OpenResetSecret(ctx context.Context, r *idpv1.OpenResetSecretRequest) (*idpv1.OpenResetSecretResponse, error) {
	if err := f.w.called(ctx, "idp:OpenResetSecret", &f.faults); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	g, ok := f.accessTokens[r.GetAccessToken()]
	if !ok || g.resource != "https://cred.microsoft.com" || g.client != "9115dd05-fad5-4f9c-acc7-305d08b1b04e" || !g.fresh || f.helloKeys[r.GetKeyId()] != g.user {
		return nil, prterr.New(prterr.Denied, "access_token is not for this")
	}
	opened, ok := strings.CutPrefix(string(r.GetWrappedResetSecret()), "wrapped.reset-service.")
	if !ok {
		return nil, prterr.New(prterr.Denied, "it does not open")
	}
	return &idpv1.OpenResetSecretResponse{ResetSecret: []byte(opened)}, nil
}
