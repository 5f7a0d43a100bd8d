package acceptance_test

import (
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/tools/ladder"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/actor"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

type (
	spanOf    = ladder.Span
	desktopOf = actor.Desktop
)

func TestBRO07_TheHeaderHoldsACookieMadeForThisVisit(t *testing.T) {
	for version, native := range map[int]bool{2: false, 3: true} { // session keys in the form of Entra, and wrapped for the TPM
		for _, https := range []bool{false, true} {
			cookieOfThisVisit(t, version, lab.Config{TPM: "mem:", NativeSessionKeys: native, HTTPS: https})
		}
	}
}

func cookieOfThisVisit(t *testing.T, version int, cfg lab.Config) {
	t.Helper()
	w := newWorld(t, cfg)
	w.join(w.device)
	desktop := w.signIn(w.device)
	type cookie struct {
		RefreshToken string `json:"refresh_token"`
		IsPrimary    string `json:"is_primary"`
		Nonce        string `json:"request_nonce"`
	}
	seen := map[string]bool{}
	for range 3 {
		v := w.browse(w.device, desktop, secret.Text{})
		if v.SignInPage || v.IDToken.Empty() {
			t.Fatal("no single sign-on")
		}
		tok, err := jose.Parse(v.Sent.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		if tok.Header.Alg != jose.HS256 || len(tok.Header.Ctx) == 0 || tok.Header.KDFVer != version {
			t.Errorf("header %+v", tok.Header)
		}
		c := claims[cookie](t, v.Sent.Reveal())
		if c.RefreshToken == "" || c.IsPrimary != "true" || c.Nonce == "" || seen[c.Nonce] {
			t.Error("the cookie lacks a claim, or its nonce was used before")
		}
		seen[c.Nonce] = true
	}
	private := w.device.Browser
	private.Private = true
	v, err := private.Open(t.Context(), desktop, w.tenant.Page, secret.Text{})
	if err != nil || !v.SignInPage || !v.Sent.Empty() {
		t.Errorf("a private window: %+v, %v", v, err)
	}
}

func TestBRO09_ACopiedSessionCookieIsRefused(t *testing.T) {
	w := newWorld(t, lab.Config{TPM: "mem:"})
	w.join(w.device)
	victim := w.browse(w.device, w.signIn(w.device), secret.Text{})
	other := w.addDevice()
	w.join(other)
	desktop := w.signIn(other)
	if v := w.browse(other, desktop, victim.Cookie); !v.SignInPage {
		t.Error("the cookie worked on another device")
	}
	bare := other.Browser
	bare.Private = true // a browser without the native host
	if v, err := bare.Open(t.Context(), desktop, w.tenant.Page, victim.Cookie); err != nil || !v.SignInPage {
		t.Errorf("the cookie worked without a proof of the session key: %v", err)
	}
	if v := w.browse(other, desktop, secret.Text{}); v.SignInPage {
		t.Error("the other device's own sign-in does not work")
	}
}

func TestBRO11_BrowsersNeitherIssueNorRenewAPRT(t *testing.T) {
	w := newWorld(t, lab.Config{TPM: "mem:"})
	w.join(w.device)
	desktop := w.signIn(w.device)
	prt, at := w.prt(w.device)
	for range 100 {
		if w.browse(w.device, desktop, secret.Text{}).SignInPage {
			t.Fatal("no single sign-on")
		}
	}
	if p, a := w.prt(w.device); p != prt || !a.Equal(at) {
		t.Error("the PRT changed")
	}
}
