package idp_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2/transport"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/entracarrier"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/entrawire/nativetest"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
)

// TestNative_ISS12_REN07_ALife is a session from the first sign-in on, its key in a TPM all the
// time: renewal, tokens of an application by the PRT and by its own refresh token,
// a PRT beside a token, and what of it the log tells.
func TestNative_ISS12_REN07_ALife(t *testing.T) {
	nativetest.OnEvery(t, func(t *testing.T, tpm transport.TPM) {
		for _, profile := range []string{"2020", "today", "strict"} {
			t.Run(profile, func(t *testing.T) {
				w := newWorld(t, idp.Config{Tenants: withProfile(profile)})
				livesNatively(t, w, nativetest.NewHolder(t, tpm))
			})
		}
	})
}

// TestNative_OverHTTPS is the same life over Entra's wire.
func TestNative_OverHTTPS(t *testing.T) {
	w := newWorld(t, idp.Config{})
	server := httptest.NewTLSServer(w.svc.Handler())
	t.Cleanup(server.Close)
	c, err := entracarrier.New(entracarrier.Config{Login: server.URL, Client: server.Client()})
	if err != nil {
		t.Fatal(err)
	}
	w.issuance, w.tokens, w.nonces = idpv1.NewIssuanceServiceClient(c), idpv1.NewTokenServiceClient(c), idpv1.NewNonceServiceClient(c)
	livesNatively(t, w, nativetest.NewHolder(t, nativetest.Soft(t)))
}

func livesNatively(t *testing.T, w *world, holder *nativetest.Holder) {
	t.Helper()
	d := w.joinNative(t, alice, alicePassword, 1, 2, holder)
	s := d.firstNative(t, alice, alicePassword)
	wantNative(t, w, s, signinlog.IssuePRT)

	next, answer := s.renew(t, s.renewal(t))
	wantNative(t, w, next, signinlog.RenewPRT)
	if _, err := entrawire.ParseNativeSessionKey(answer.SessionKeyJWE); err != nil {
		t.Errorf("a renewal wraps the key for the TPM once more: %v", err)
	}
	if !bytes.Equal(next.print(t), s.print(t)) {
		t.Error("a renewal brought another session key")
	}
	theirs := next.renewal(t)
	theirs.WinVer = "10.0.19041.868" // copies its old key and takes none
	if _, answer = next.renew(t, theirs); answer.SessionKeyJWE != "" {
		t.Error("a session key came for a client that copies its old one")
	}

	tokens := next.tokens(t, next.redemption(t, office, graph))
	if tokens.AccessToken.Empty() || tokens.RefreshToken.Empty() {
		t.Errorf("%+v", tokens)
	}
	again := next.redemption(t, office, graph)
	again.RefreshToken = tokens.RefreshToken
	text, err := w.redeemRT(next.sign(t, again))
	if err != nil {
		t.Fatal(err)
	}
	var second entrawire.TokenAnswer
	next.decrypt(t, text, &second)
	if second.AccessToken.Empty() || lastEvent(w).KDF != entrawire.KDF3 {
		t.Errorf("%+v, logged as %+v", second, lastEvent(w))
	}
	if a := w.artefact(t, sealed.RefreshToken, second.RefreshToken.Reveal()); a.KDFMin != entrawire.KDF3 {
		t.Errorf("a refresh token of a native session demands version %d", a.KDFMin)
	}
	beside := next.redemption(t, office, graph)
	beside.Scope = entrawire.ScopeTokenPRT
	if got := next.tokens(t, beside); got.PRT.Empty() {
		t.Errorf("no PRT beside the token: %+v", got)
	} else if err := (&signIn{d: d, prt: got.PRT.Reveal(), native: next.native}).use(t); err != nil {
		t.Errorf("the PRT beside the token: %v", err)
	}
}

// wantNative fails unless the PRT demands version 3 and the log says so.
func wantNative(t *testing.T, w *world, s *signIn, flow signinlog.Flow) {
	t.Helper()
	if a := s.artefact(t); a.KDFMin != entrawire.KDF3 || string(a.Device) != s.d.id {
		t.Errorf("the PRT demands version %d and is bound to %s", a.KDFMin, a.Device)
	}
	if e := lastEvent(w); e.Flow != flow || e.Outcome != signinlog.Success || e.KDF != entrawire.KDF3 {
		t.Errorf("logged as %+v", e)
	}
}

// TestNative_PRO11_TheKeyIsRolledAfter30Days as every session key is.
func TestNative_PRO11_TheKeyIsRolledAfter30Days(t *testing.T) {
	lab := clock.NewLab()
	overBoth(t, idp.Config{Clock: lab}, func(t *testing.T, w *world) {
		s := w.joinNative(t, alice, alicePassword, 1, 2, nativetest.NewHolder(t, nativetest.Soft(t))).firstNative(t, alice, alicePassword)
		first := s
		for range 3 {
			lab.Advance(239 * time.Hour)
			s, _ = s.renew(t, s.renewal(t))
		}
		if !bytes.Equal(s.print(t), first.print(t)) {
			t.Fatal("the key was rolled before its time")
		}
		lab.Advance(25 * time.Hour)
		rolled, _ := s.renew(t, s.renewal(t))
		if bytes.Equal(rolled.print(t), first.print(t)) {
			t.Error("the key was not rolled")
		}
		wantNative(t, w, rolled, signinlog.RenewPRT)
		if err := rolled.use(t); err != nil {
			t.Error(err)
		}
	})
}

// TestNative_BRO08_Browser signs in with a PRT cookie that a TPM signed: at the device's
// own browser, at the authorization endpoint and through the HTTPS front; and the
// tokens for the code come under the session key in its own form.
func TestNative_BRO08_Browser(t *testing.T) {
	p := newPages(t, idp.Config{})
	d := p.joinNative(t, alice, alicePassword, 1, 2, nativetest.NewHolder(t, nativetest.Soft(t)))
	s := d.firstNative(t, alice, alicePassword)

	in := p.signedIn(t, s, "")
	if again := p.signedIn(t, s, in.GetSessionCookie()); again.GetSessionCookie() == "" {
		t.Error("the session does not go on")
	}
	if a := p.artefact(t, sealed.Cookie, in.GetSessionCookie()); a.KDFMin != entrawire.KDF3 {
		t.Errorf("the session cookie demands version %d", a.KDFMin)
	}

	n := p.nonce(t)
	r := broker(s.sign(t, s.cookie(n)), d.header(t, n))
	r.WindowsApiVersion = "2.0"
	code, signedIn := p.silent(t, r)
	if string(code.Device) != d.id || code.KDFMin != entrawire.KDF3 || !code.Encrypted {
		t.Errorf("%+v", code)
	}
	var tokens entrawire.TokenAnswer
	s.decrypt(t, p.redeemCode(t, signedIn, office, nil).GetEncrypted(), &tokens)
	if tokens.AccessToken.Empty() {
		t.Errorf("%+v", tokens)
	}

	request := httptest.NewRequest(http.MethodGet, authorizeURL(""), nil)
	request.Header.Set(entrawire.CookieName, s.sign(t, s.cookie(p.nonce(t))))
	status, header, body := p.overHTTPS(request)
	to, err := url.Parse(header.Get("Location"))
	if err != nil || to.Query().Get("code") == "" {
		t.Fatalf("%d, to %q: %v: %.300s", status, header.Get("Location"), err, body)
	}
	if e := lastEvent(p.world); e.Flow != signinlog.WebSignIn || string(e.Device) != d.id {
		t.Errorf("logged as %+v", e)
	}
	for _, e := range p.svc.SignIns() {
		if e.Flow == signinlog.PRTCookie && e.KDF != entrawire.KDF3 {
			t.Errorf("logged as %+v", e)
		}
	}
	form := url.Values{
		"grant_type": {"authorization_code"}, "client_id": {office}, "redirect_uri": {redirectOf(office)}, "resource": {graph},
		"code": {to.Query().Get("code")}, "windows_api_version": {"2.0"},
	}
	request = httptest.NewRequest(http.MethodPost, "https://login.microsoftonline.com/common/oauth2/token", strings.NewReader(form.Encode()))
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if status, _, body = p.overHTTPS(request); status != http.StatusOK || !entrawire.IsAnswer(body) {
		t.Fatalf("%d %.300s", status, body)
	}
	s.decrypt(t, body, &tokens)
	if tokens.AccessToken.Empty() {
		t.Errorf("%+v", tokens)
	}
}

// TestNative_UpgradeByARefreshToken: the broker's own refresh token becomes a native
// session as a password does.
func TestNative_UpgradeByARefreshToken(t *testing.T) {
	w := newWorld(t, idp.Config{})
	d := w.joinNative(t, alice, alicePassword, 1, 2, nativetest.NewHolder(t, nativetest.Soft(t)))
	c := d.claims(t, "", "")
	c.ClientID, c.GrantType, c.RefreshToken = entrawire.BrokerClientID, entrawire.GrantRefreshToken, secret.NewText(w.brokerToken(t, alice, bound(d)))
	c.Username, c.Password = "", secret.Text{}
	a, err := w.issuance.RequestPRT(context.Background(), &idpv1.RequestPRTRequest{Request: d.signNative(t, c)})
	if err != nil {
		t.Fatal(err)
	}
	s := &signIn{d: d, prt: a.GetRefreshToken(), native: d.imported(t, a.GetSessionKeyJwe())}
	wantNative(t, w, s, signinlog.IssuePRT)
	if err := s.use(t); err != nil {
		t.Error(err)
	}
}
