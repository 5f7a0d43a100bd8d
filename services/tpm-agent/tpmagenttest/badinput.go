package tpmagenttest

import (
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
)

// badInput holds that every field of the caller's choosing is checked, and that
// the error says which one.
func (a *Agent) badInput(t *testing.T, sealed *tpmv1.SealedSessionKey) {
	req := func(f func(*tpmv1.SignPRTRequestRequest)) func() error {
		r := &tpmv1.SignPRTRequestRequest{UserPrincipalName: "a@b.test", RequestNonce: nonce, Credential: password("x")}
		f(r)
		return func() error { _, err := a.PRT().SignPRTRequest(t.Context(), r); return err }
	}
	token := func(f func(*tpmv1.SignTokenRequestRequest)) func() error {
		r := &tpmv1.SignTokenRequestRequest{
			Partition: Partition(UserA), SessionKey: sealed, ClientId: clientID, Resource: resource, RequestNonce: nonce,
			Grant: &tpmv1.SignTokenRequestRequest_Prt{Prt: prt},
		}
		f(r)
		return func() error { _, err := a.PRT().SignTokenRequest(t.Context(), r); return err }
	}
	cookie := func(p, n string) func() error {
		return func() error {
			_, err := a.PRT().SignPRTCookie(t.Context(), &tpmv1.SignPRTCookieRequest{Partition: Partition(UserA), SessionKey: sealed, Prt: p, RequestNonce: n})
			return err
		}
	}
	for _, c := range []struct {
		field string
		call  func() error
	}{
		{"user_principal_name", req(func(r *tpmv1.SignPRTRequestRequest) { r.UserPrincipalName = "nobody" })},
		{"request_nonce", req(func(r *tpmv1.SignPRTRequestRequest) { r.RequestNonce = "" })},
		{"request_nonce", req(func(r *tpmv1.SignPRTRequestRequest) { r.RequestNonce = `x","password":"y` })},
		{"request_nonce", req(func(r *tpmv1.SignPRTRequestRequest) { r.RequestNonce = strings.Repeat("n", 5000) })},
		{"credential", req(func(r *tpmv1.SignPRTRequestRequest) { r.Credential = nil })},
		{"password", req(func(r *tpmv1.SignPRTRequestRequest) { r.Credential = password(strings.Repeat("p", 300)) })},
		{"refresh_token", req(func(r *tpmv1.SignPRTRequestRequest) { r.Credential = refreshToken(`x","password":"y`) })},
		{"refresh_token", req(func(r *tpmv1.SignPRTRequestRequest) { r.Credential = refreshToken(strings.Repeat("r", 17000)) })},
		{"refresh_token", func() error {
			_, err := a.PRT().SignPRTRenewal(t.Context(), &tpmv1.SignPRTRenewalRequest{
				Partition: Partition(UserA), SessionKey: sealed, Prt: prt, RequestNonce: nonce, UserPrincipalName: "a@b.test", Credential: refreshToken("1.a.b"),
			})
			return err
		}},
		{"client_id", token(func(r *tpmv1.SignTokenRequestRequest) { r.ClientId = "app" })},
		{"resource", token(func(r *tpmv1.SignTokenRequestRequest) { r.Resource = "no uri" })},
		{"redirect_uri", token(func(r *tpmv1.SignTokenRequestRequest) { r.RedirectUri = "::" })},
		{"grant", token(func(r *tpmv1.SignTokenRequestRequest) { r.Grant = nil })},
		{"request_new_prt", token(func(r *tpmv1.SignTokenRequestRequest) {
			r.RequestNewPrt = true
			r.Grant = &tpmv1.SignTokenRequestRequest_RefreshToken{RefreshToken: &tpmv1.SealedToken{Sealed: []byte{1}}}
		})},
		{"partition.tenant_id", token(func(r *tpmv1.SignTokenRequestRequest) { r.Partition = nil })},
		{"partition.user_id", token(func(r *tpmv1.SignTokenRequestRequest) { r.Partition = Partition("alice") })},
		{"partition.credential_kind", token(func(r *tpmv1.SignTokenRequestRequest) {
			r.Partition = Partition(UserA)
			r.Partition.CredentialKind = ""
		})},
		{"prt", cookie("a b", nonce)},
		{"request_nonce", cookie(prt, "\n")},
		{"session_key_jwe", func() error {
			_, err := a.PRT().ImportSessionKey(t.Context(), &tpmv1.ImportSessionKeyRequest{Partition: Partition(UserA), SessionKeyJwe: "a.b.c.d.e"})
			return err
		}},
	} {
		if err := c.call(); prterr.KindOf(err) != prterr.Invalid || !strings.Contains(err.Error(), c.field) {
			t.Errorf("%s: %v", c.field, err)
		}
	}
}
