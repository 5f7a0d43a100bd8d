package browsertest

import (
	"regexp"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/tools/browsertest/internal/app"
)

// done waits for the tokens of a sign-in, and looks whose they are.
func (b *browser) done(s *app.SignIn, p *person) app.Tokens {
	b.t.Helper()
	b.See("#back")
	tokens, err := s.Tokens(b.t.Context())
	if err != nil {
		b.t.Fatalf("%v\n%s", err, b.State())
	}
	if tokens.Access["upn"] != p.name && tokens.ID["preferred_username"] != p.name {
		b.t.Errorf("the tokens are of %v and %v, not of %s", tokens.Access["upn"], tokens.ID["preferred_username"], p.name)
	}
	return tokens
}

func TestPassword(t *testing.T) {
	t.Parallel()
	p, b := newPerson(t, "Pia"), private(t)
	s := the.app.Begin()
	b.Go(s.URL)
	b.See("#i0116")
	b.page("user name")
	b.user(p)
	b.See("#i0118")
	b.page("password")
	if got := b.Text("#displayName"); got != p.name {
		t.Errorf("the page greets %q", got)
	}
	b.Type("#i0118", p.password)
	b.Enter()
	amr(t, b.done(s, p).AMR(), "pwd")
}

// By what a screen reader says, without an id.
func TestPasswordByName(t *testing.T) {
	t.Parallel()
	p, b := newPerson(t, "Nadia"), private(t)
	s := the.app.Begin()
	b.Go(s.URL)
	b.See("#i0116")
	b.TypeNamed("Email address or user name", p.name)
	b.PressNamed("button", "Next")
	b.See("#i0118")
	b.TypeNamed("Password", p.password)
	b.PressNamed("button", "Sign in")
	b.done(s, p)
}

func TestWrongPassword(t *testing.T) {
	t.Parallel()
	p, b := newPerson(t, "Wim"), private(t)
	s := the.app.Begin("login_hint", p.name)
	b.Go(s.URL)
	b.Type("#i0118", "not "+p.password)
	b.Press("#idSIButton9")
	if got := b.Text("#passwordError"); got == "" {
		t.Error("nothing says that the password is wrong")
	}
	b.page("wrong password")
	b.Type("#i0118", p.password)
	b.Press("#idSIButton9")
	b.done(s, p)
}

// The next sign-in asks nothing, also with an application that wants its answer as
// a form.
func TestStaySignedIn(t *testing.T) {
	t.Parallel()
	p, b := newPerson(t, "Kim"), private(t)
	s := the.app.Begin("login_hint", p.name)
	b.Go(s.URL)
	b.Type("#i0118", p.password)
	b.Click("#idChkBx_PWD_KMSI0Pwd")
	b.Press("#idSIButton9")
	b.done(s, p)
	for _, more := range [][]string{nil, {"response_mode", "form_post"}, {"prompt", "none"}} {
		again := the.app.Begin(more...)
		b.Go(again.URL)
		b.done(again, p)
	}
}

func TestSignOut(t *testing.T) {
	t.Parallel()
	p, b := newPerson(t, "Olga"), private(t)
	s := the.app.Begin()
	b.Go(s.URL)
	b.signIn(p)
	b.done(s, p)
	b.Go("https://login.microsoftonline.com/common/oauth2/v2.0/logout")
	b.See("#loginHeader")
	b.page("signed out")
	again := the.app.Begin()
	b.Go(again.URL)
	b.See("#i0116")
	silent := the.app.Begin("prompt", "none")
	b.Go(silent.URL)
	v, err := silent.Answer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if e := v.Get("error"); e != "login_required" && e != "interaction_required" {
		t.Errorf("after signing out the answer is %v", v)
	}
}

func TestChangePassword(t *testing.T) {
	t.Parallel()
	p, b := newPerson(t, "Cora", "--must-change-password"), private(t)
	s := the.app.Begin()
	b.Go(s.URL)
	b.signIn(p)
	b.See("#newPassword")
	b.page("change password")
	next := "Another horse " + p.password
	b.Type("#currentPassword", p.password)
	b.Type("#newPassword", next)
	b.Type("#confirmNewPassword", next+"?")
	b.Press("#idSIButton9")
	if b.Text("#passwordError") == "" {
		t.Error("nothing says that the two differ")
	}
	b.page("change password refused")
	b.Type("#currentPassword", p.password)
	b.Type("#newPassword", next)
	b.Type("#confirmNewPassword", next)
	b.Press("#idSIButton9")
	b.done(s, p)
	p.password = next
	other := private(t)
	again := the.app.Begin()
	other.Go(again.URL)
	other.signIn(p)
	other.done(again, p)
}

// Whoever has trouble is told the code, and what an administrator asks for.
func TestErrorPage(t *testing.T) {
	t.Parallel()
	b := private(t)
	s := the.app.Begin("client_id", "99999999-0000-4000-8000-000000000009")
	b.Go(s.URL)
	text := b.Text("main")
	b.page("error")
	if !strings.Contains(text, "AADSTS700016") {
		t.Errorf("no code: %s", text)
	}
	if id := regexp.MustCompile(`Correlation ID\s+([0-9a-f-]{36})`).FindStringSubmatch(text); id == nil {
		t.Errorf("no correlation id: %s", text)
	}
}

// Every page that works without scripts works without scripts.
func TestNoScripts(t *testing.T) {
	t.Parallel()
	p, b := newPerson(t, "Nora").authenticator(true, true).demandMFA(), private(t)
	b.NoScripts()
	s := the.app.Begin("response_mode", "form_post")
	b.Go(s.URL)
	b.signIn(p)
	b.Press(`[data-value="PhoneAppOTP"]`)
	b.Type("#idTxtBx_SAOTCC_OTC", p.code())
	b.Press("#idSubmit_SAOTCC_Continue")
	b.See("form[name=hiddenform]")
	b.page("form post without scripts")
	b.Press("#idSIButton9")
	b.done(s, p)
}
