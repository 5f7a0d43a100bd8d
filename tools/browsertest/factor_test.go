package browsertest

import (
	"strings"
	"testing"
)

// factor signs in up to the page with the second factors.
func (b *browser) factor(p *person, more ...string) *attempt {
	b.t.Helper()
	s := the.app.Begin(more...)
	b.Go(s.URL)
	b.signIn(p)
	return &attempt{b, s, p}
}

func TestOneTimeCode(t *testing.T) {
	t.Parallel()
	p, b := newPerson(t, "Otto").authenticator(true, false).demandMFA(), private(t)
	at := b.factor(p)
	if !b.Sees("#idTxtBx_SAOTCC_OTC") {
		b.page("one method")
		b.Press(`[data-value="PhoneAppOTP"]`)
	}
	b.See("#idTxtBx_SAOTCC_OTC")
	b.page("one-time code")
	code := p.code()
	wrong := strings.Map(func(r rune) rune { return '0' + (r-'0'+5)%10 }, code)
	b.Type("#idTxtBx_SAOTCC_OTC", wrong)
	b.Press("#idSubmit_SAOTCC_Continue")
	if b.Text("#idSpan_SAOTCC_Error_OTC") == "" {
		t.Error("nothing says that the code is wrong")
	}
	b.page("wrong one-time code")
	b.Type("#idTxtBx_SAOTCC_OTC", p.code())
	b.Press("#idSubmit_SAOTCC_Continue")
	amr(t, at.done().AMR(), "pwd", "mfa", "otp")
}

// The person types the number of the page into the telephone.
func TestPushWithANumber(t *testing.T) {
	t.Parallel()
	p, b := newPerson(t, "Petra").authenticator(true, true).demandMFA(), private(t)
	at := b.factor(p)
	b.See(`[data-value="PhoneAppNotification"]`)
	b.page("choose a method")
	b.Press(`[data-value="PhoneAppNotification"]`)
	number := b.Text("#idRichContext_DisplaySign")
	b.page("push")
	operator(t, "approve", p.name, "--number", number)
	// The page asks by itself; nobody presses anything.
	got := at.done().AMR()
	if !strings.Contains(strings.Join(got, " "), "mfa") {
		t.Errorf("methods of the token are %v", got)
	}
}

func TestPushDenied(t *testing.T) {
	t.Parallel()
	p, b := newPerson(t, "Dora").authenticator(true, true).demandMFA(), private(t)
	b.factor(p)
	b.Press(`[data-value="PhoneAppNotification"]`)
	b.See("#idRichContext_DisplaySign")
	operator(t, "deny", p.name)
	b.See("[role=alert]")
	b.page("push denied")
}

func TestDeviceCode(t *testing.T) {
	t.Parallel()
	p, b := newPerson(t, "Devi").authenticator(true, false).demandMFA(), private(t)
	d, err := the.app.BeginDevice(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b.Go(d.URL)
	b.See("#otc")
	b.page("device code")
	b.Type("#otc", "WRONGCODE")
	b.Press("#idSIButton9")
	if b.Text("#error") == "" {
		t.Error("nothing says that the code is wrong")
	}
	b.page("device code refused")
	b.Go(d.URL)
	b.Type("#otc", d.UserCode)
	b.Press("#idSIButton9")
	b.signIn(p)
	if _, err := d.Tokens(t.Context()); err == nil || !strings.Contains(err.Error(), "authorization_pending") {
		t.Errorf("before the second factor: %v", err)
	}
	if !b.Sees("#idTxtBx_SAOTCC_OTC") {
		b.Press(`[data-value="PhoneAppOTP"]`)
	}
	b.Type("#idTxtBx_SAOTCC_OTC", p.code())
	b.Press("#idSubmit_SAOTCC_Continue")
	b.See("#idBtn_Back")
	b.page("device code confirm")
	b.Press("#idSIButton9")
	if got := b.Text("#message"); !strings.Contains(got, "You have signed in") {
		t.Errorf("the page says %q", got)
	}
	b.page("device code done")
	tokens, err := d.Tokens(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	amr(t, tokens.AMR(), "pwd", "mfa", "otp")
}

// A policy that wants a second factor of somebody who has none.
func TestNoMethod(t *testing.T) {
	t.Parallel()
	p, b := newPerson(t, "Nils").demandMFA(), private(t)
	s := the.app.Begin()
	b.Go(s.URL)
	b.signIn(p)
	b.See("#loginHeader")
	b.page("no method registered")
	if a := b.Address(); !strings.Contains(a, "login.microsoftonline.com") {
		t.Errorf("the browser is at %s", a)
	}
}
