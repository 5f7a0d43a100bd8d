package front_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

func campaign(lab *clock.Lab) func(*idp.Config) {
	return func(c *idp.Config) {
		c.Clock, c.Persons = lab, true
		c.Tenants = []byte(strings.Replace(string(tenant.Default()), "    profile: today\n", "    profile: today\n    registration_campaign: {days: 14}\n", 1))
	}
}

// typedPassword is the page after name and password.
func (s *stranger) typedPassword(t testing.TB, user, password string) reply {
	t.Helper()
	page := s.typedName(t, user, "")
	return s.send(t, post("/common/login", form(append(hidden(page), "passwd", password)...)))
}

// wantAsked is the page of the campaign, as clients without a browser read it.
func wantAsked(t testing.TB, r reply, days string) {
	t.Helper()
	m := configOf(t, r)
	if string(m["pgid"]) != `"ConvergedProofUpRedirect"` || string(m["iErrorCode"]) != "50203" || string(m["iRemainingDaysToSkipMfaRegistration"]) != days {
		t.Fatalf("%s %s %s", m["pgid"], m["iErrorCode"], m["iRemainingDaysToSkipMfaRegistration"])
	}
	if later := days != ""; later != (m["urlSkipMfaRegistration"] != nil) || later != strings.Contains(r.text, `id="btnAskLater"`) {
		t.Fatalf("%s %s", m["urlSkipMfaRegistration"], r.text)
	}
}

// later puts it off as libhimmelblau does.
func (s *stranger) later(t testing.TB, r reply, canary string) reply {
	t.Helper()
	m := configOf(t, r)
	return s.send(t, post("/common/skipmfaregistration", form("flowtoken", unquoted(m["sFT"]), "ctx", unquoted(m["sCtx"]), "canary", canary)))
}

// Who has no second factor is asked to register one and may put it off, until the days
// are over.
func TestARegistrationIsPutOff(t *testing.T) {
	lab := clock.NewLab()
	s := whole(t, campaign(lab))
	first := s.typedPassword(t, alice, alicePassword)
	wantAsked(t, first, "14")
	for _, canary := range []string{"", "another"} {
		if r := s.later(t, first, canary); !strings.Contains(r.text, "AADSTS50089") {
			t.Errorf("canary %q: %s", canary, r.text)
		}
	}
	if r := s.send(t, post("/common/SAS/ProcessAuth", form(hidden(first)...))); r.StatusCode == 302 {
		t.Error("going on without having registered signs in")
	}
	wantCode(t, s.later(t, first, unquoted(configOf(t, first)["canary"])))

	lab.Advance(10*24*time.Hour + time.Minute)
	second := s.typedPassword(t, alice, alicePassword)
	wantAsked(t, second, "4")
	wantCode(t, s.later(t, second, unquoted(configOf(t, second)["canary"])))

	lab.Advance(4 * 24 * time.Hour)
	third := s.typedPassword(t, alice, alicePassword)
	wantAsked(t, third, "")
	wantAsked(t, s.later(t, third, unquoted(configOf(t, third)["canary"])), "")
	_, err := directoryv1.NewAdminServiceClient(s.operator(t)).SetUserMethods(context.Background(), &directoryv1.SetUserMethodsRequest{UserPrincipalName: alice, PhoneNumber: "+44 2079460042"})
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, s.send(t, post("/common/SAS/ProcessAuth", form(hidden(third)...)))) // registered meanwhile
	wantCode(t, s.typedPassword(t, alice, alicePassword))
}

// Who has a second factor is not asked, nor whoever goes to register one.
func TestWhomACampaignLeavesAlone(t *testing.T) {
	s := whole(t, campaign(clock.NewLab()))
	if m := configOf(t, s.typedPassword(t, mia, miaPassword)); string(m["pgid"]) != `"ConvergedTFA"` {
		t.Errorf("%s", m["pgid"])
	}
	if page := s.securityInfo(t, jar{}, alice, alicePassword); !strings.Contains(page.text, `id="displayName">Signed in as `+alice) {
		t.Errorf("%s", page.text)
	}
	other := whole(t, persons) // without a campaign
	wantCode(t, other.typedPassword(t, alice, alicePassword))
}
