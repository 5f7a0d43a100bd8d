package browsertest

import (
	"slices"
	"strconv"
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

// pushed is the page that waits for the telephone, and the number on it.
func (b *browser) pushed() (number string) {
	b.t.Helper()
	b.See(`[data-value="PhoneAppNotification"]`)
	b.page("choose a method")
	b.Press(`[data-value="PhoneAppNotification"]`)
	return b.Text("#idRichContext_DisplaySign")
}

// The person types the number of the page into the telephone, and presses the button.
func TestPushWithANumber(t *testing.T) {
	t.Parallel()
	p, b := newPerson(t, "Petra").authenticator(true, true).demandMFA(), private(t)
	at := b.factor(p)
	number := b.pushed()
	b.Hold()
	b.page("push")
	operator(t, "approve", p.name, "--number", number)
	b.Press("#idSIButton9")
	if got := at.done().AMR(); !slices.Contains(got, "mfa") {
		t.Errorf("methods of the token are %v", got)
	}
}

// The page asks by itself; nobody presses anything.
func TestPushGoesOnByItself(t *testing.T) {
	t.Parallel()
	p, b := newPerson(t, "Pau").authenticator(false, true).demandMFA(), private(t)
	at := b.factor(p)
	operator(t, "approve", p.name, "--number", b.pushed())
	at.done()
}

// Who approves another number than the page's approves another sign-in.
func TestPushWithAnotherNumber(t *testing.T) {
	t.Parallel()
	p, b := newPerson(t, "Pol").authenticator(false, true).demandMFA(), private(t)
	b.factor(p)
	number, err := strconv.Atoi(b.pushed())
	if err != nil {
		t.Fatal(err)
	}
	operator(t, "approve", p.name, "--number", strconv.Itoa(10+(number-9)%90))
	b.Reads("#state", "not approved")
	if strings.Contains(b.Address(), "localhost") {
		t.Errorf("the browser is at %s", b.Address())
	}
}

func TestPushDenied(t *testing.T) {
	t.Parallel()
	p, b := newPerson(t, "Dora").authenticator(true, true).demandMFA(), private(t)
	b.factor(p)
	b.pushed()
	operator(t, "deny", p.name)
	b.Reads("#state", "not approved")
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
	b.enter(p.code())
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
