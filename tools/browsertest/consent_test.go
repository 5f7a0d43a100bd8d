package browsertest

import (
	"strings"
	"testing"
)

const (
	planner, payroll = "bbbbbbbb-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000002"
	graphUserRead    = "openid profile offline_access https://graph.microsoft.com/User.Read"
)

// A stranger's application is allowed once, and not asked about again.
func TestConsent(t *testing.T) {
	t.Parallel()
	p, b := newPerson(t, "Conny"), private(t)
	at := b.factor(p, "client_id", planner, "scope", graphUserRead)
	if text := b.Text("main"); !strings.Contains(text, "Holiday Planner") || !strings.Contains(text, "User.Read") {
		t.Errorf("the page does not say who wants what: %s", text)
	}
	b.page("consent")
	b.Press("#idSIButton9")
	if got := at.done().Access["appid"]; got != planner {
		t.Errorf("the token is of the application %v", got)
	}
	again := the.app.Begin("client_id", planner, "scope", graphUserRead)
	b.Go(again.URL)
	b.done(again, p)
}

func TestConsentRefused(t *testing.T) {
	t.Parallel()
	p, b := newPerson(t, "Norbert"), private(t)
	at := b.factor(p, "client_id", planner, "scope", graphUserRead)
	b.Press("#idBtn_Back")
	b.See("#back")
	v, err := at.s.Answer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if v.Get("code") != "" || !strings.Contains(v.Get("error")+v.Get("error_description"), "65004") && v.Get("error") != "access_denied" {
		t.Errorf("the application is told %v", v)
	}
}

// Somebody who may not allow an application is told who may.
func TestConsentOfAnAdministrator(t *testing.T) {
	t.Parallel()
	p, b := newPerson(t, "Benno"), private(t)
	b.factor(p, "client_id", payroll, "scope", graphUserRead)
	text := b.Text("main")
	b.page("consent needs an administrator")
	if !strings.Contains(text, "90094") && !strings.Contains(strings.ToLower(text), "administrator") {
		t.Errorf("the page says %s", text)
	}
	if strings.Contains(b.Address(), "localhost") {
		t.Errorf("the browser is at %s", b.Address())
	}
}
