package front_test

import (
	"encoding/base64"
	"encoding/json"
	"testing"

	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
)

// dataKeyRequest is the claim set of a request for the provider's key, written out.
func (h *held) dataKeyRequest(t testing.TB, more map[string]any) string {
	t.Helper()
	c := map[string]any{
		"client_id": broker, "grant_type": "urn:lockstep:params:grant-type:data-key", "refresh_token": h.prt, "iss": "aad:brokerplugin",
		"aud": "login.microsoftonline.com", "request_nonce": h.m.nonce(t), "iat": "1700000000",
	}
	for k, v := range more {
		c[k] = v
	}
	b, _ := json.Marshal(c)
	return string(b)
}

// TestPRO10_TheKeyOnTheWire: a client that is not ours fetches the key over the token
// endpoint and opens the answer with code of its own.
func TestPRO10_TheKeyOnTheWire(t *testing.T) {
	s := whole(t, alone)
	m := s.join(t, alice, alicePassword)
	h := m.first(t, m.asString(kdf2), alice, alicePassword)
	fetch := func(h *held) (id, key string) {
		t.Helper()
		r := h.use(t, h.signed(2, 24, h.dataKeyRequest(t, nil)))
		if kind := r.Header.Get("Content-Type"); kind != "application/jose; charset=utf-8" {
			t.Errorf("it is sent as %s", kind)
		}
		a := h.opened(t, r)
		key, _ = a["data_protection_key"].(string)
		id, _ = a["key_id"].(string)
		if raw, err := base64.RawURLEncoding.DecodeString(key); err != nil || len(raw) != 32 || len(id) != 36 || len(a) != 2 {
			t.Errorf("the answer holds %d members, key_id %q, a key of %d bytes, %v", len(a), id, len(raw), err)
		}
		return id, key
	}
	id, key := fetch(h)
	if i, k := fetch(m.first(t, m.asString(kdf2), alice, alicePassword)); i != id || k != key {
		t.Error("a second sign-in of the user gets another key")
	}
	if i, k := fetch(m.first(t, m.asString(kdf2), mia, miaPassword)); i == id || k == key {
		t.Error("another user gets the same key")
	}
	for name, c := range map[string]struct{ request, code string }{
		"version 1 of the derivation": {h.signed(1, 24, h.dataKeyRequest(t, nil)), "[5000611]"},
		"no nonce":                    {h.signed(2, 24, h.dataKeyRequest(t, map[string]any{"request_nonce": ""})), "[140000]"},
		"another key":                 {(&held{m: m, prt: h.prt, key: make([]byte, 32)}).signed(2, 24, h.dataKeyRequest(t, nil)), "[140001]"},
		"an application's client":     {h.signed(2, 24, h.dataKeyRequest(t, map[string]any{"client_id": azureCLI})), "[90023]"},
		"under the device key":        {signed(t, m.dk, m.asString(kdf2), h.dataKeyRequest(t, nil)), "[90023]"},
	} {
		t.Run(name, func(t *testing.T) {
			r := h.use(t, c.request)
			wantStatus(t, r, 400)
			wantMember(t, r, "error_codes", c.code)
		})
	}
}

// TestPRO10_INV01_ADisabledUserGetsNoKey on the wire.
func TestPRO10_INV01_ADisabledUserGetsNoKey(t *testing.T) {
	s := whole(t, alone)
	m := s.join(t, alice, alicePassword)
	h := m.first(t, m.asString(kdf2), alice, alicePassword)
	if _, err := directoryv1.NewAdminServiceClient(s.operator(t)).SetUserEnabled(t.Context(), &directoryv1.SetUserEnabledRequest{UserPrincipalName: alice}); err != nil {
		t.Fatal(err)
	}
	r := h.use(t, h.signed(2, 24, h.dataKeyRequest(t, nil)))
	wantStatus(t, r, 400)
	wantMember(t, r, "error_codes", "[50057]")
	wantMember(t, r, "error", `"invalid_grant"`)
}
