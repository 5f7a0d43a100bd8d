package tpmagent_test

import (
	"context"
	"crypto/rsa"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	tpmagent "github.com/lockstep-sso/lockstep/services/tpm-agent"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/tpmagenttest"
)

// signing is one kind of signature that the agent gives: how it is asked for with
// texts of an attacker's choosing, and what the signed payload may be at most.
type signing struct {
	name string
	// device is true for the device key, false for the session key.
	device bool
	ask    func(ctx context.Context, a, b, c string) (string, error)
	// members is every claim that may be in it, fixed the ones with one value.
	members []string
	fixed   map[string]any
}

// signings lists every method of the contract that gives a signed token.
func signings(devices tpmv1.DeviceKeyServiceClient, prt tpmv1.PRTKeyServiceClient, data tpmv1.DataKeyServiceClient, sealed *tpmv1.SealedSessionKey) []signing {
	partition := tpmagenttest.Partition(tpmagenttest.UserA)
	session := []string{"client_id", "scope", "refresh_token", "grant_type", "iss", "request_nonce", "win_ver"}
	renewal := append(slices.Clone(session), "previous_refresh_token", "username", "password", "assertion")
	token := append(slices.Clone(session), "resource", "aud", "redirect_uri", "iat", "exp")
	return []signing{
		{"PRT request", true, func(ctx context.Context, a, b, c string) (string, error) {
			r, err := prt.SignPRTRequest(ctx, &tpmv1.SignPRTRequestRequest{UserPrincipalName: a, RequestNonce: b, Credential: passwordOf(c)})
			return r.GetRequest(), err
		}, []string{"client_id", "request_nonce", "scope", "win_ver", "grant_type", "username", "password"},
			map[string]any{"client_id": entrawire.SignInClientID, "scope": entrawire.ScopePRT, "grant_type": entrawire.GrantPassword}},
		{"PRT request, federated", true, func(ctx context.Context, a, b, c string) (string, error) {
			r, err := prt.SignPRTRequest(ctx, &tpmv1.SignPRTRequestRequest{
				UserPrincipalName: a, RequestNonce: b,
				Credential: &tpmv1.Credential{Kind: &tpmv1.Credential_SamlAssertion{SamlAssertion: c}},
			})
			return r.GetRequest(), err
		}, []string{"client_id", "request_nonce", "scope", "win_ver", "grant_type", "username", "assertion"},
			map[string]any{"client_id": entrawire.SignInClientID, "scope": entrawire.ScopePRT, "grant_type": entrawire.GrantSAML1}},
		{"device removal", true, func(ctx context.Context, a, _, _ string) (string, error) {
			r, err := devices.SignDeviceRemoval(ctx, &tpmv1.SignDeviceRemovalRequest{RequestNonce: a})
			return r.GetRequest(), err
		}, []string{"grant_type", "iss", "request_nonce", "win_ver"},
			map[string]any{"grant_type": entrawire.GrantDeviceRemoval, "iss": entrawire.BrokerIssuer}},
		{"device check", true, func(ctx context.Context, a, _, _ string) (string, error) {
			r, err := devices.SignDeviceCheck(ctx, &tpmv1.SignDeviceCheckRequest{RequestNonce: a})
			return r.GetRequest(), err
		}, []string{"grant_type", "iss", "request_nonce", "win_ver"},
			map[string]any{"grant_type": entrawire.GrantDeviceCheck, "iss": entrawire.BrokerIssuer}},
		{"renewal", false, func(ctx context.Context, a, b, c string) (string, error) {
			r, err := prt.SignPRTRenewal(ctx, &tpmv1.SignPRTRenewalRequest{
				Partition: partition, SessionKey: sealed, Prt: a, RequestNonce: b, UserPrincipalName: "alice@contoso.test", Credential: passwordOf(c),
			})
			return r.GetRequest(), err
		}, renewal, map[string]any{"client_id": entrawire.SignInClientID, "scope": entrawire.ScopePRT, "grant_type": entrawire.GrantRefreshToken}},
		{"token request", false, func(ctx context.Context, a, b, c string) (string, error) {
			r, err := prt.SignTokenRequest(ctx, &tpmv1.SignTokenRequestRequest{
				Partition: partition, SessionKey: sealed, ClientId: entrawire.BrokerClientID, Resource: c, RedirectUri: c,
				RequestNonce: b, Grant: &tpmv1.SignTokenRequestRequest_Prt{Prt: a},
			})
			return r.GetRequest(), err
		}, token, map[string]any{
			"client_id": entrawire.BrokerClientID, "scope": entrawire.ScopeToken, "grant_type": entrawire.GrantRefreshToken,
			"aud": entrawire.SessionAudience,
		}},
		{"data key request", false, func(ctx context.Context, a, b, _ string) (string, error) {
			r, err := data.SignDataKeyRequest(ctx, &tpmv1.SignDataKeyRequestRequest{Partition: partition, SessionKey: sealed, Prt: a, RequestNonce: b})
			return r.GetRequest(), err
		}, []string{"client_id", "refresh_token", "grant_type", "iss", "aud", "request_nonce", "win_ver"}, map[string]any{
			"client_id": entrawire.BrokerClientID, "grant_type": entrawire.GrantDataKey, "aud": entrawire.SessionAudience,
		}},
		{"PRT cookie", false, func(ctx context.Context, a, b, _ string) (string, error) {
			r, err := prt.SignPRTCookie(ctx, &tpmv1.SignPRTCookieRequest{Partition: partition, SessionKey: sealed, Prt: a, RequestNonce: b})
			return r.GetCookie(), err
		}, []string{"refresh_token", "is_primary", "request_nonce", "win_ver", "windows_api_version"},
			map[string]any{"is_primary": "true"}},
	}
}

func passwordOf(p string) *tpmv1.Credential {
	return &tpmv1.Credential{Kind: &tpmv1.Credential_Password{Password: p}}
}

// check holds one answer to its kind: either a refusal that blames the input, or a
// signature by the right key over a payload of exactly this kind.
func (s signing) check(t *testing.T, dk *rsa.PublicKey, key secret.Bytes, token string, err error) {
	t.Helper()
	if err != nil {
		if k := prterr.KindOf(err); k != prterr.Invalid {
			t.Errorf("%s: refused as %s: %v", s.name, k, err)
		}
		return
	}
	parsed := must[*jose.Token](t)(jose.Parse(token))
	byDevice, bySession := parsed.VerifyRS256(dk), entrawire.VerifySession(parsed, key)
	if (byDevice == nil) != s.device || (bySession == nil) == s.device {
		t.Errorf("%s: signed by the wrong key: device %v, session %v", s.name, byDevice, bySession)
	}
	if parsed.Header.KDFVer != 2 {
		t.Errorf("%s: kdf_ver %d", s.name, parsed.Header.KDFVer)
	}
	var claims map[string]any
	if err := parsed.Claims(&claims); err != nil {
		t.Fatal(err)
	}
	for name := range claims {
		if !slices.Contains(s.members, name) {
			t.Errorf("%s: has a claim %q", s.name, name)
		}
	}
	for name, value := range s.fixed {
		if claims[name] != value {
			t.Errorf("%s: %s is %v", s.name, name, claims[name])
		}
	}
}

// hostile are texts that would make one kind of payload into another, if any were
// put together from text.
func hostile() []string {
	return []string{
		"AQAB.nonce", "", "alice@contoso.test", "https://graph.example", "a\x00b", strings.Repeat("x", 5000),
		`n","grant_type":"device_auth`, `n","is_primary":"true","x":"`, `{"grant_type":"password"}`, "eyJhbGciOiJub25lIn0.e30.", "a\nb", "\u2028", "\\u0022,",
	}
}

// TestT2_HostileTextStaysText asks for every kind of signature with every hostile
// text in every place.
func TestT2_HostileTextStaysText(t *testing.T) {
	a := tpmagenttest.Start(t, tpmagent.Config{})
	id := a.Register()
	key, sealed := a.Import(id, tpmagenttest.UserA)
	kinds := signings(a.Devices(), a.PRT(), a.DataKeys(), sealed)
	for _, s := range kinds {
		passed := 0
		good := []string{"AQAB.nonce", "AQAB.nonce", "https://graph.example"}
		if s.device {
			good[0] = "alice@contoso.test"
		}
		if s.name == "device removal" || s.name == "device check" {
			good[0] = "AQAB.nonce"
		}
		for place := range good {
			for _, text := range append(hostile(), good[place]) {
				in := slices.Clone(good)
				in[place] = text
				token, err := s.ask(t.Context(), in[0], in[1], in[2])
				s.check(t, id.DeviceKey, key, token, err)
				if err == nil {
					passed++
				}
			}
		}
		if passed < len(good) {
			t.Errorf("%s: only %d requests passed, so little was checked", s.name, passed)
		}
	}
}

// FuzzSignTypedInputs looks for inputs whose signature is good for another purpose
// than the one it was asked for.
func FuzzSignTypedInputs(f *testing.F) {
	a := tpmagenttest.Start(f, tpmagent.Config{})
	id := a.Register()
	key, sealed := a.Import(id, tpmagenttest.UserA)
	kinds := signings(a.Devices(), a.PRT(), a.DataKeys(), sealed)
	for i := range kinds {
		for _, text := range hostile() {
			f.Add(uint8(i), text, "AQAB.nonce", "https://graph.example")
			f.Add(uint8(i), "alice@contoso.test", "AQAB.nonce", text)
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, one, two, three string) {
		for _, text := range []string{one, two, three} {
			if strings.ToValidUTF8(text, "") != text {
				return // protobuf itself refuses text that is not UTF-8
			}
		}
		s := kinds[int(kind)%len(kinds)]
		token, err := s.ask(t.Context(), one, two, three)
		s.check(t, id.DeviceKey, key, token, err)
	})
}
