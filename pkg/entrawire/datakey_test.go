package entrawire

import (
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/secret"
)

func dataKeyRequest() DataKeyRequest {
	return DataKeyRequest{
		ClientID: BrokerClientID, GrantType: GrantDataKey, RefreshToken: secret.NewText("0.A.prt"), Iss: BrokerIssuer, Aud: SessionAudience,
		RequestNonce: "n0nce", Iat: 7, WinVer: WinVer,
	}
}

// TestPRO10_DataKeyShapes: members and order are fixed, secrets do not show, and no
// answer of another kind passes for a key.
func TestPRO10_DataKeyShapes(t *testing.T) {
	const want = `{"client_id":"29d9ed98-a469-4536-ade2-f981bc1d605e","grant_type":"urn:lockstep:params:grant-type:data-key","refresh_token":"0.A.prt",` +
		`"iss":"aad:brokerplugin","aud":"login.microsoftonline.com","request_nonce":"n0nce","iat":"7","win_ver":"Lockstep"}`
	if got, err := dataKeyRequest().Encode(); err != nil || string(got) != want {
		t.Errorf("%s, %v", got, err)
	}
	type dr = DataKeyRequest
	for field, r := range map[string]DataKeyRequest{
		"": dataKeyRequest(), "client_id": change(dataKeyRequest(), func(r *dr) { r.ClientID = "me" }),
		"grant_type":    change(dataKeyRequest(), func(r *dr) { r.GrantType = GrantRefreshToken }),
		"refresh_token": change(dataKeyRequest(), func(r *dr) { r.RefreshToken = secret.Text{} }),
		"iss":           change(dataKeyRequest(), func(r *dr) { r.Iss = "" }),
		"aud":           change(dataKeyRequest(), func(r *dr) { r.Aud = "x" }),
		"exp":           change(dataKeyRequest(), func(r *dr) { r.Exp = 7 }),
		"win_ver":       change(dataKeyRequest(), func(r *dr) { r.WinVer = strings.Repeat("x", 2049) }),
		"request_nonce": change(dataKeyRequest(), func(r *dr) { r.RequestNonce = strings.Repeat("x", 2049) }),
	} {
		if err := r.Validate(); (err == nil) != (field == "") || err != nil && !strings.Contains(err.Error(), "member "+field+" ") {
			t.Errorf("%s: %v", field, err)
		}
	}

	const id = "11111111-2222-4333-8444-555555555555"
	raw := []byte("0123456789abcdef0123456789abcdef")
	plain, err := NewDataKeyAnswer(id, secret.NewBytes(raw)).Encode()
	if err != nil {
		t.Fatal(err)
	}
	var a DataKeyAnswer
	if err := a.adopt(plain); err != nil {
		t.Fatal(err)
	}
	if key, err := a.Key(); err != nil || string(key.Reveal()) != string(raw) || a.KeyID != id {
		t.Errorf("%v, %s", err, a.KeyID)
	}
	if strings.Contains(strings.Join([]string{a.DataProtectionKey.String(), a.DataProtectionKey.GoString()}, ""), "MDEy") {
		t.Error("the key shows")
	}
	token, err := tokenAnswer().Encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{
		"no key": `{"key_id":"` + id + `"}`, "short": `{"data_protection_key":"AAAA","key_id":"` + id + `"}`, "no id": `{"data_protection_key":"` + a.DataProtectionKey.Reveal() + `"}`,
		"an id that is none": `{"data_protection_key":"` + a.DataProtectionKey.Reveal() + `","key_id":"1"}`, "tokens": string(token), "not base64url": `{"data_protection_key":"` + strings.Repeat("+", 43) + `","key_id":"` + id + `"}`,
	} {
		if err := new(DataKeyAnswer).adopt([]byte(bad)); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if new(TokenAnswer).adopt(plain) == nil || new(PRTAnswer).adopt(plain) == nil {
		t.Error("the key passes for an answer with tokens")
	}
}
