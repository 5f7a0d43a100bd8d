package entrawire

import (
	"errors"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/secret"
)

type validator interface{ Validate() error }

// change answers a copy of a good shape with one thing changed.
func change[T any](good T, f func(*T)) T {
	f(&good)
	return good
}

func TestValidate(t *testing.T) {
	s := secret.NewText
	long := strings.Repeat("x", 2049)
	id := IDToken{OID: someUser, TID: someTenant, Name: "Alice", Iat: 1, Exp: 2}
	proof := DeviceProof{GrantType: GrantDeviceRemoval, Iss: BrokerIssuer}
	replacement := KeyReplacement{GrantType: GrantKeyReplacement, Iss: BrokerIssuer, DK: KeyThumbprint([]byte("d")), TK: KeyThumbprint([]byte("t"))}
	type kr = KeyReplacement
	type pr = PRTRequest
	type sr = SessionRequest
	type pa = PRTAnswer
	type ta = TokenAnswer
	for _, c := range []struct {
		shape validator
		field string // empty: valid
	}{
		{passwordRequest(), ""},
		{change(passwordRequest(), func(r *pr) { r.RequestNonce = "" }), ""},
		{change(passwordRequest(), func(r *pr) { r.GrantType, r.Password, r.Assertion = GrantSAML1, s(""), EncodeSAML("<a/>") }), ""},
		{change(passwordRequest(), func(r *pr) { r.GrantType, r.Password, r.RefreshToken = GrantRefreshToken, s(""), s("0.A") }), ""},
		{change(passwordRequest(), func(r *pr) { r.ClientID = "me" }), "client_id"},
		{change(passwordRequest(), func(r *pr) { r.Scope = "openid" }), "scope"},
		{change(passwordRequest(), func(r *pr) { r.Scope = "aza" }), "scope"},
		{change(passwordRequest(), func(r *pr) { r.Scope = "openid azalea" }), "scope"},
		{change(passwordRequest(), func(r *pr) { r.GrantType = "" }), "grant_type"},
		{change(passwordRequest(), func(r *pr) { r.GrantType = GrantDeviceAuth }), "grant_type"},
		{change(passwordRequest(), func(r *pr) { r.Username = "" }), "username"},
		{change(passwordRequest(), func(r *pr) { r.Password = s("") }), "password"},
		{change(passwordRequest(), func(r *pr) { r.Assertion = s("x") }), "assertion"},
		{change(passwordRequest(), func(r *pr) { r.RefreshToken = s("x") }), "refresh_token"},
		{change(passwordRequest(), func(r *pr) { r.GrantType = GrantSAML2 }), "assertion"},
		{change(passwordRequest(), func(r *pr) { r.RequestNonce = long }), "request_nonce"},
		{renewal(), ""},
		{change(renewal(), func(r *sr) { r.Username, r.Password = "alice@contoso.test", s("pw") }), ""},
		{change(renewal(), func(r *sr) { r.RefreshToken = s("") }), "refresh_token"},
		{change(renewal(), func(r *sr) { r.GrantType = GrantPassword }), "grant_type"},
		{change(renewal(), func(r *sr) { r.Iss = "someone" }), "iss"},
		{change(renewal(), func(r *sr) { r.Scope = "" }), "scope"},
		{change(renewal(), func(r *sr) { r.ClientID = "" }), "client_id"},
		{change(renewal(), func(r *sr) { r.Iat, r.Exp = 5, 5 }), "exp"},
		{change(renewal(), func(r *sr) { r.Password = s("pw") }), "username"},
		{change(renewal(), func(r *sr) { r.Username, r.Password, r.Assertion = "a", s("b"), s("c") }), "assertion"},
		{change(renewal(), func(r *sr) { r.RedirectURI = long }), "redirect_uri"},
		{Cookie{RefreshToken: s("0.A")}, ""},
		{Cookie{}, "refresh_token"},
		{Cookie{RefreshToken: s("0.A"), UARedirectURI: long}, "ua_redirect_uri"},
		{proof, ""},
		{change(proof, func(p *DeviceProof) { p.GrantType = GrantPassword }), "grant_type"},
		{change(proof, func(p *DeviceProof) { p.Iss = "" }), "iss"},
		{replacement, ""},
		{change(replacement, func(r *kr) { r.GrantType = GrantDeviceRemoval }), "grant_type"},
		{change(replacement, func(r *kr) { r.Iss = "" }), "iss"},
		{change(replacement, func(r *kr) { r.RequestNonce = long }), "request_nonce"},
		{change(replacement, func(r *kr) { r.DK = "" }), "dk"},
		{change(replacement, func(r *kr) { r.DK = r.DK[:42] }), "dk"},
		{change(replacement, func(r *kr) { r.TK += "=" }), "tk"},
		{somePRTAnswer(), ""},
		{change(somePRTAnswer(), func(a *pa) { a.TokenType = "pop" }), ""},
		{change(somePRTAnswer(), func(a *pa) { a.TokenType = "" }), "token_type"},
		{change(somePRTAnswer(), func(a *pa) { a.RefreshToken = s("") }), "refresh_token"},
		{change(somePRTAnswer(), func(a *pa) { a.RefreshToken = s("0.A+B") }), "refresh_token"},
		{change(somePRTAnswer(), func(a *pa) { a.RefreshTokenExpiresIn = 0 }), "refresh_token_expires_in"},
		{change(somePRTAnswer(), func(a *pa) { a.IDToken = s("") }), "id_token"},
		{tokenAnswer(), ""},
		{change(tokenAnswer(), func(a *ta) { a.PRT, a.PRTExpiresIn = s(""), 0 }), ""},
		{change(tokenAnswer(), func(a *ta) { a.PRTExpiresIn = 0 }), "primary_refresh_token_expires_in"},
		{change(tokenAnswer(), func(a *ta) { a.PRT = s("a b") }), "primary_refresh_token"},
		{change(tokenAnswer(), func(a *ta) { a.AccessToken = s("") }), "access_token"},
		{change(tokenAnswer(), func(a *ta) { a.ExpiresIn = 0 }), "expires_in"},
		{change(tokenAnswer(), func(a *ta) { a.RefreshToken = s("") }), "refresh_token"},
		{id, ""},
		{change(id, func(i *IDToken) { i.OID = "x" }), "oid"},
		{change(id, func(i *IDToken) { i.TID = "" }), "tid"},
		{change(id, func(i *IDToken) { i.Name = "" }), "name"},
		{change(id, func(i *IDToken) { i.Exp = 0 }), "exp"},
	} {
		err := c.shape.Validate()
		if c.field == "" {
			if err != nil {
				t.Errorf("%T %+v: %v", c.shape, c.shape, err)
			}
			continue
		}
		var fe *FieldError
		if !errors.As(err, &fe) || fe.Field != c.field || !strings.Contains(err.Error(), c.field) {
			t.Errorf("%T %+v: error %v, want one about %s", c.shape, c.shape, err, c.field)
		}
	}
}

func TestHelpers(t *testing.T) {
	if r := renewal(); !r.WantsPRT() || r.HasCredential() {
		t.Error("a renewal asks for a PRT and has no credential")
	}
	if r := (SessionRequest{Scope: ScopeToken, Assertion: EncodeSAML("<a/>")}); r.WantsPRT() || !r.HasCredential() {
		t.Error("scope openid asks for no PRT; an assertion is a credential")
	}
	if xml, err := DecodeSAML(EncodeSAML("<saml:Assertion/>")); err != nil || string(xml) != "<saml:Assertion/>" {
		t.Errorf("SAML: %q, %v", xml, err)
	}
	for _, bad := range []string{"", "%%%", "PGEv-g"} {
		if _, err := DecodeSAML(secret.NewText(bad)); err == nil {
			t.Errorf("SAML assertion %q is taken", bad)
		}
	}
	info, err := ParseClientInfo(EncodeClientInfo(someUser, someTenant))
	if err != nil || info.UID != someUser || info.UTID != someTenant {
		t.Errorf("client_info: %+v, %v", info, err)
	}
	for _, bad := range []string{"", "e30", "eyJ1aWQiOjF9", "!!"} {
		if _, err := ParseClientInfo(bad); err == nil {
			t.Errorf("client_info %q is taken", bad)
		}
	}
	for s, want := range map[string]bool{"0.Ab-_9": true, "": false, "a=": false, "a b": false, "a\n": false, "ä": false, "a+": false} {
		if IsOpaque(s) != want {
			t.Errorf("IsOpaque(%q) is %v", s, !want)
		}
	}
}

func TestKeyReplacementNamesItsKeysAndNoOthers(t *testing.T) {
	r := KeyReplacement{DK: KeyThumbprint([]byte("d")), TK: KeyThumbprint([]byte("t"))}
	if !r.Names([]byte("d"), []byte("t")) || r.Names([]byte("t"), []byte("d")) || r.Names([]byte("d"), []byte("x")) || r.Names([]byte("x"), []byte("t")) || r.Names(nil, nil) {
		t.Error("thumbprints are taken for keys that they are not of")
	}
	if got := KeyThumbprint(nil); got != "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU" {
		t.Errorf("thumbprint of nothing is %s", got)
	}
}
