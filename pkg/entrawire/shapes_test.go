package entrawire

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

func passwordRequest() PRTRequest {
	return PRTRequest{
		ClientID: SignInClientID, RequestNonce: "n0nce", Scope: ScopePRT, WinVer: WinVer,
		GrantType: GrantPassword, Username: "alice@contoso.test", Password: secret.NewText(`p"<ä>\`),
	}
}

func renewal() SessionRequest {
	return SessionRequest{
		ClientID: SignInClientID, Scope: ScopePRT, RefreshToken: secret.NewText("0.A.prt"), GrantType: GrantRefreshToken,
		Iss: BrokerIssuer, Aud: SessionAudience, RequestNonce: "n0nce", WinVer: WinVer,
	}
}

func tokenAnswer() TokenAnswer {
	return TokenAnswer{
		TokenType: TokenType, Scope: "openid", ExpiresIn: 3599, ExpiresOn: 1708017084, Resource: "https://graph.test",
		AccessToken: secret.NewText("a.b.c"), RefreshToken: secret.NewText("0.A.rt"), PRT: secret.NewText("0.A.prt"), PRTExpiresIn: 1209599,
	}
}

// TestWireForm pins member names, order and types of every shape.
func TestWireForm(t *testing.T) {
	for _, c := range []struct {
		shape interface{ Encode() ([]byte, error) }
		want  string
	}{
		{passwordRequest(), `{"client_id":"38aa3b87-a06d-4817-b275-7a316988d93b","request_nonce":"n0nce","scope":"openid aza ugs","win_ver":"Lockstep","grant_type":"password","username":"alice@contoso.test","password":"p\"<ä>\\"}`},
		{renewal(), `{"client_id":"38aa3b87-a06d-4817-b275-7a316988d93b","scope":"openid aza ugs","refresh_token":"0.A.prt","grant_type":"refresh_token","iss":"aad:brokerplugin","aud":"login.microsoftonline.com","request_nonce":"n0nce","win_ver":"Lockstep"}`},
		{SessionRequest{Iat: 1, Exp: 3601}, `{"iat":"1","exp":"3601"}`},
		{Cookie{RefreshToken: secret.NewText("0.A.prt"), Iat: 7, IsPrimary: true}, `{"refresh_token":"0.A.prt","is_primary":"true","iat":"7"}`},
		{DeviceProof{GrantType: GrantDeviceAuth, Iss: BrokerIssuer, RequestNonce: "n"}, `{"grant_type":"device_auth","iss":"aad:brokerplugin","request_nonce":"n"}`},
		{KeyReplacement{GrantType: GrantKeyReplacement, Iss: BrokerIssuer, RequestNonce: "n", WinVer: WinVer, DK: "d", TK: "t"}, `{"grant_type":"urn:lockstep:device-key-replacement","iss":"aad:brokerplugin","request_nonce":"n","win_ver":"Lockstep","dk":"d","tk":"t"}`},
		{HelloAssertion{Iss: "a@b", Aud: "common", Iat: 1, Exp: 2, RequestNonce: "n"}, `{"iss":"a@b","aud":"common","iat":1,"exp":2,"request_nonce":"n"}`},
		{PRTAnswer{TokenType: "Bearer", ExpiresIn: 5, RefreshTokenExpiresIn: 5}, `{"token_type":"Bearer","expires_in":"5","ext_expires_in":"0","expires_on":"0","refresh_token_expires_in":5}`},
		{tokenAnswer(), `{"token_type":"Bearer","scope":"openid","expires_in":"3599","ext_expires_in":"0","expires_on":"1708017084","resource":"https://graph.test","access_token":"a.b.c","refresh_token":"0.A.rt","primary_refresh_token":"0.A.prt","primary_refresh_token_expires_in":1209599}`},
		{IDToken{Aud: "x", Iat: 1, AMR: []string{"pwd", "rsa"}, Ver: "1.0"}, `{"aud":"x","iat":1,"amr":["pwd","rsa"],"ver":"1.0"}`},
	} {
		got, err := c.shape.Encode()
		if err != nil || string(got) != c.want {
			t.Errorf("%T:\n got %s, %v\nwant %s", c.shape, got, err, c.want)
			continue
		}
		if err := jose.CheckObject(got); err != nil {
			t.Errorf("%T is not strict JSON: %v", c.shape, err)
		}
		back := reflect.New(reflect.TypeOf(c.shape))
		if err := json.Unmarshal(got, back.Interface()); err != nil {
			t.Errorf("%T does not read what it wrote: %v", c.shape, err)
		} else if !reflect.DeepEqual(back.Elem().Interface(), c.shape) {
			t.Errorf("%T comes back different", c.shape)
		}
	}
}

// Clients differ: numbers as strings, truth as a string, null for nothing.
func TestTolerantMembers(t *testing.T) {
	for _, raw := range []string{
		`{"refresh_token":"0.A","iat":"17","is_primary":"true","win_ver":null}`,
		`{"refresh_token":"0.A","iat":17,"is_primary":true,"unknown":[{}]}`,
	} {
		var k Cookie
		if err := json.Unmarshal([]byte(raw), &k); err != nil || k.Iat != 17 || !k.IsPrimary || k.RefreshToken.Reveal() != "0.A" {
			t.Errorf("%s: %+v, %v", raw, k, err)
		}
	}
	for raw, field := range map[string]string{
		`{"iat":1.5}`:                    "iat",
		`{"iat":-1}`:                     "iat",
		`{"iat":"+1"}`:                   "iat",
		`{"iat":""}`:                     "iat",
		`{"iat":99999999999999999999}`:   "iat",
		`{"iat":true}`:                   "iat",
		`{"is_primary":"yes"}`:           "is_primary",
		`{"refresh_token":1}`:            "refresh_token",
		`{"win_ver":["a"]}`:              "win_ver",
		`{"request_nonce":{"a":"b"}}`:    "request_nonce",
		`{"refresh_token":["0.CANARY"]}`: "refresh_token",
	} {
		k := Cookie{RequestNonce: "before"}
		err := json.Unmarshal([]byte(raw), &k)
		var fe *FieldError
		if !errors.As(err, &fe) || fe.Field != field {
			t.Errorf("%s: error %v, want one about %s", raw, err, field)
		}
		if k.RequestNonce != "before" {
			t.Errorf("%s: a failed read changed the value", raw)
		}
		if strings.Contains(fmt.Sprint(err), "CANARY") {
			t.Errorf("error quotes the value: %v", err)
		}
	}
	var k Cookie
	if err := k.UnmarshalJSON([]byte(`{"refresh_token":"0.A","refresh_token":"0.B"}`)); !errors.Is(err, jose.ErrMalformed) {
		t.Errorf("member twice: %v", err)
	}
	if err := k.UnmarshalJSON([]byte(`{"Refresh_Token":"0.A"}`)); err != nil || !k.RefreshToken.Empty() {
		t.Errorf("a name in another case fills the member: %v", err)
	}
}

func TestSecretsDoNotLeak(t *testing.T) {
	for _, shape := range []any{passwordRequest(), renewal(), somePRTAnswer(), tokenAnswer(), Cookie{RefreshToken: secret.NewText("0.A.prt")}} {
		if out, err := json.Marshal(shape); !errors.Is(err, secret.ErrMarshal) {
			t.Errorf("json.Marshal(%T) gives %s, %v", shape, out, err)
		}
		for _, verb := range []string{"%v", "%+v", "%#v"} {
			if s := fmt.Sprintf(verb, shape); strings.Contains(s, "0.A") || strings.Contains(s, `p"<`) {
				t.Errorf("%s of %T shows a secret: %s", verb, shape, s)
			}
		}
	}
	r := passwordRequest()
	r.Password = secret.NewText("\xff\xfe")
	if _, err := r.Encode(); err == nil || strings.Contains(err.Error(), "\xff") {
		t.Errorf("password that JSON cannot carry: %v", err)
	}
}
