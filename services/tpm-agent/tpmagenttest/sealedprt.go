package tpmagenttest

import (
	"bytes"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
)

// Protect seals a PRT for a partition.
func (a *Agent) Protect(t testing.TB, p *tpmv1.Partition, prt string) *tpmv1.SealedPRT {
	t.Helper()
	r, err := a.PRT().ProtectPRT(t.Context(), &tpmv1.ProtectPRTRequest{Partition: p, Prt: prt})
	if err != nil {
		t.Fatal(err)
	}
	return r.GetSealedPrt()
}

// sealedPRT: what is sealed is signed as if it had been given in the clear, for the
// same partition only, and cannot be read.
func (a *Agent) sealedPRT(t *testing.T, key secret.Bytes, session *tpmv1.SealedSessionKey) {
	p := Partition(UserA)
	sealed := a.Protect(t, p, prt)
	if bytes.Contains(sealed.GetSealed(), []byte(prt)) || bytes.Equal(sealed.GetSealed(), a.Protect(t, p, prt).GetSealed()) {
		t.Error("the PRT can be read, or seen to be the same one")
	}
	signed := func(token string, err error) (tok *jose.Token) {
		t.Helper()
		if err == nil {
			tok, err = jose.Parse(token)
		}
		if err == nil {
			err = entrawire.VerifySession(tok, key)
		}
		if err != nil {
			t.Fatal(err)
		}
		return tok
	}
	renew := func(p *tpmv1.Partition, s *tpmv1.SealedPRT) (string, error) {
		r, err := a.PRT().SignPRTRenewal(t.Context(), &tpmv1.SignPRTRenewalRequest{Partition: p, SessionKey: session, SealedPrt: s, RequestNonce: nonce})
		return r.GetRequest(), err
	}
	token := func(p *tpmv1.Partition, s *tpmv1.SealedPRT) (string, error) {
		r, err := a.PRT().SignTokenRequest(t.Context(), &tpmv1.SignTokenRequestRequest{
			Partition: p, SessionKey: session, ClientId: clientID, Resource: resource, RequestNonce: nonce, RequestNewPrt: true,
			Grant: &tpmv1.SignTokenRequestRequest_SealedPrt{SealedPrt: s},
		})
		return r.GetRequest(), err
	}
	cookie := func(p *tpmv1.Partition, s *tpmv1.SealedPRT) (string, error) {
		r, err := a.PRT().SignPRTCookie(t.Context(), &tpmv1.SignPRTCookieRequest{Partition: p, SessionKey: session, SealedPrt: s, RequestNonce: nonce})
		return r.GetCookie(), err
	}
	var request entrawire.SessionRequest
	if err := signed(renew(p, sealed)).Claims(&request); err != nil || request.RefreshToken.Reveal() != prt || request.PreviousRefreshToken.Reveal() != prt {
		t.Errorf("renewal %+v, %v", request, err)
	}
	if err := signed(token(p, sealed)).Claims(&request); err != nil || request.RefreshToken.Reveal() != prt || !request.WantsPRT() {
		t.Errorf("token request %+v, %v", request, err)
	}
	var made entrawire.Cookie
	if err := signed(cookie(p, sealed)).Claims(&made); err != nil || made.RefreshToken.Reveal() != prt {
		t.Errorf("cookie %+v, %v", made, err)
	}
	a.foreignPRT(t, sealed, renew, token, cookie)
	for name, bad := range map[string]string{"empty": "", "not opaque": `x","y":"`, "too long": strings.Repeat("p", 16<<10+1)} {
		if _, err := a.PRT().ProtectPRT(t.Context(), &tpmv1.ProtectPRTRequest{Partition: p, Prt: bad}); prterr.KindOf(err) != prterr.Invalid {
			t.Errorf("%s PRT: %v", name, err)
		}
	}
	_, err := a.PRT().SignPRTCookie(t.Context(), &tpmv1.SignPRTCookieRequest{Partition: p, SessionKey: session, Prt: prt, SealedPrt: sealed, RequestNonce: nonce})
	if prterr.KindOf(err) != prterr.Invalid {
		t.Errorf("both forms at once: %v", err)
	}
}

// foreignPRT: one that was sealed for somebody else, or was changed, is signed by none.
func (a *Agent) foreignPRT(t *testing.T, sealed *tpmv1.SealedPRT, signers ...func(*tpmv1.Partition, *tpmv1.SealedPRT) (string, error)) {
	p := Partition(UserA)
	hello := proto.CloneOf(p)
	hello.CredentialKind = "hello"
	bad := map[string]*tpmv1.SealedPRT{
		"of another user": a.Protect(t, Partition(UserB), prt), "of another kind": a.Protect(t, hello, prt), "cut": {Sealed: sealed.GetSealed()[:10]},
		"too long": {Sealed: make([]byte, 21<<10)},
	}
	for _, i := range []int{0, 1, 5, len(sealed.GetSealed()) / 2, len(sealed.GetSealed()) - 1} {
		changed := proto.CloneOf(sealed)
		changed.Sealed[i] ^= 1
		bad["changed at "+string(rune('a'+i%26))] = changed
	}
	for name, s := range bad {
		for i, sign := range signers {
			// The name of the registration is in it: with another one its keys are lost.
			if _, err := sign(p, s); prterr.KindOf(err) != prterr.Denied && prterr.KindOf(err) != prterr.KeysLost {
				t.Errorf("a PRT %s, signer %d: %v", name, i, err)
			}
		}
	}
}
