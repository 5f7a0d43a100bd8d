package describe_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/describe"
)

const canary = "canary-Pa55word-7f3a"

func part(v any) string {
	raw, _ := json.Marshal(v)
	return base64.RawURLEncoding.EncodeToString(raw)
}

func compact(header, claims map[string]any, signature string) string {
	return part(header) + "." + part(claims) + "." + signature
}

func text(t *testing.T, token string) string {
	t.Helper()
	d, err := describe.Read(token)
	if err != nil {
		t.Fatal(err)
	}
	if d.Verified {
		t.Error("something is said to be verified")
	}
	var b bytes.Buffer
	if err := describe.Write(&b, d); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "nothing here is verified") {
		t.Error("it does not say that nothing is verified")
	}
	object, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return b.String() + string(object)
}

func TestOBS09_ClaimsAreShownAndSecretsHidden(t *testing.T) {
	signature := base64.RawURLEncoding.EncodeToString([]byte(canary + canary))
	inner := compact(map[string]any{"alg": "none"}, map[string]any{"x": canary}, "")
	for name, c := range map[string]struct {
		token string
		shows []string
		hides []string
	}{
		"access token": {
			compact(map[string]any{"alg": "RS256", "kid": "k1"}, map[string]any{"aud": "https://graph.microsoft.com", "scp": "User.Read", "upn": "alice@contoso.test", "exp": 1773489600, "amr": []string{"pwd", "mfa"}, "deviceid": "d1"}, signature),
			[]string{"access token", "https://graph.microsoft.com", "alice@contoso.test", "2026-03-14T12:00:00Z", `["pwd","mfa"]`, "device that the user signed in on"},
			[]string{signature},
		},
		"PRT cookie": {
			"x-ms-RefreshTokenCredential=" + compact(map[string]any{"alg": "HS256", "ctx": "Y3R4", "kdf_ver": 2}, map[string]any{"refresh_token": "0.A" + canary, "is_primary": "true", "request_nonce": "AwAB"}, signature) + "; path=/",
			[]string{"PRT cookie", "kdf_ver", "AwAB", "hidden"}, []string{signature},
		},
		"PRT request": {
			compact(map[string]any{"alg": "RS256"}, map[string]any{"grant_type": "password", "username": "alice@contoso.test", "password": canary, "request_nonce": "n", "scope": "openid aza"}, signature),
			[]string{"PRT request", "alice@contoso.test", "openid aza"}, []string{signature},
		},
		"everything that hides": {
			compact(map[string]any{"alg": "RS256", "jwk": map[string]any{"kty": "oct", "k": canary}}, map[string]any{
				"client_secret": canary, "assertion": canary, "code_verifier": canary, "access_token": canary, "nested": map[string]any{"deep": []any{inner}},
				"data_protection_key": canary, "session_key_jwe": canary, "PIN": canary, "key": map[string]any{"d": canary}, "list": []any{map[string]any{"password": canary}}, "claim": inner,
			}, signature),
			[]string{"signed token"}, []string{signature, inner},
		},
		"answer": {
			part(map[string]any{"alg": "dir", "enc": "A256GCM", "ctx": "Y3R4"}) + ".." + part(canary) + "." + part(canary+canary) + "." + part(canary),
			[]string{"answer under the session key", "A256GCM", "only who has the key"}, []string{part(canary), part(canary + canary)},
		},
		"wrapped key": {
			part(map[string]any{"alg": "RSA-OAEP", "enc": "A256GCM"}) + "." + part(canary) + "." + part(canary) + "." + part(canary) + "." + part(canary),
			[]string{"key that is wrapped"}, []string{part(canary)},
		},
		"opaque": {"0.AAAA" + canary, []string{"opaque value", "26 characters"}, nil},
		"bearer": {"Authorization: Bearer " + compact(map[string]any{"alg": "none"}, map[string]any{"a": "b"}, ""), []string{"no signature"}, nil},
	} {
		got := text(t, c.token)
		for _, want := range c.shows {
			plain := strings.ReplaceAll(got, `\"`, `"`)
			if !strings.Contains(plain, want) {
				t.Errorf("%s does not show %q:\n%s", name, want, got)
			}
		}
		for _, never := range append(c.hides, canary) {
			if strings.Contains(got, never) {
				t.Errorf("%s shows %q:\n%s", name, never, got)
			}
		}
	}
}

func TestWhatCannotBeRead(t *testing.T) {
	twice := base64.RawURLEncoding.EncodeToString([]byte(`{"a":1,"a":2}`))
	for name, s := range map[string]string{
		"nothing": "  ", "no JSON": part(map[string]any{"alg": "none"}) + ".AAAA.", "twice": part(map[string]any{"alg": "none"}) + "." + twice + ".",
		"too long": strings.Repeat("x", describe.MaxInput+1),
	} {
		if d, err := describe.Read(s); err == nil {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

// A token can have anything in it and still does nothing to the screen, and no
// signature gets out.
func FuzzRead(f *testing.F) {
	f.Add(compact(map[string]any{"alg": "RS256"}, map[string]any{"exp": 1, "name": "\x1b[31m"}, "c2lnbmF0dXJlLXNpZ25hdHVyZQ"))
	f.Add("a.b.c.d.e")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		d, err := describe.Read(s)
		if err != nil {
			return
		}
		var b bytes.Buffer
		if err := describe.Write(&b, d); err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(b.String(), "\x1b\r\x00") {
			t.Errorf("%q", b.String())
		}
		// The same with a signature that is in no claim.
		const marker = "c2lnbmF0dXJlIHRoYXQgaXMgbmV2ZXIgc2hvd24"
		if p := strings.Split(s, "."); len(p) == 3 {
			d, err := describe.Read(p[0] + "." + p[1] + "." + marker)
			b.Reset()
			if err == nil && (describe.Write(&b, d) != nil || strings.Contains(b.String(), marker)) {
				t.Errorf("the signature is shown: %q", b.String())
			}
		}
	})
}
