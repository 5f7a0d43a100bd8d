package acceptance_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/pageagent"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/actor"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// The hours of a working day.
const (
	atNine    = 9 * time.Hour
	atHalfOne = 13*time.Hour + 30*time.Minute
	atFive    = 17 * time.Hour
)

// calendar is one device with one user and the ledger of everything that a human was
// asked. Days count from 1.
type calendar struct {
	*world
	ledger []string
	day    int
	hour   time.Duration
	// moved is how far the lab's clock is from the real one.
	moved time.Duration
	// password that the user types.
	password secret.Text
	desktop  actor.Desktop
	signedIn bool
	// renews is true while nothing keeps the clock from renewing the PRT.
	renews bool
}

// at lets time pass until an hour of the day, of the next one when it is past, and
// waits for the renewal that the clock owes then.
func (c *calendar) at(hour time.Duration) {
	c.t.Helper()
	by := hour - c.hour
	if by <= 0 {
		by += 24 * time.Hour
		c.day++
	}
	c.hour = hour
	owed := func(*lsav1.PartitionState) bool { return true }
	if c.signedIn && c.renews {
		digest, updated := c.prt(c.device)
		if time.Now().Add(c.moved+by).Sub(updated) >= 4*time.Hour {
			owed = func(p *lsav1.PartitionState) bool { return p.GetPrtDigest() != digest }
		}
	}
	if err := c.lab.Advance(c.t.Context(), by); err != nil {
		c.t.Fatal(err)
	}
	c.moved += by
	c.until(c.device, "the clock has renewed the PRT", owed)
}

// wrote a line into the ledger.
func (c *calendar) wrote(where, asked string) {
	c.ledger = append(c.ledger, fmt.Sprintf("day %d, %02d:%02d, %s: %s", c.day, int(c.hour.Hours()), int(c.hour.Minutes())%60, where, asked))
}

// logon types the password at LogonUI.
func (c *calendar) logon(fromCache bool) {
	c.t.Helper()
	c.wrote("logon", "password")
	desktop, _, err := c.device.LogonUI.SignIn(c.t.Context(), c.tenant.User, c.password)
	if err != nil || desktop.FromCache != fromCache {
		c.t.Fatalf("day %d: from the cache %v, %v", c.day, desktop.FromCache, err)
	}
	c.desktop, c.signedIn = desktop, true
	c.settle(c.device)
}

func (c *calendar) logoff() {
	c.t.Helper()
	if err := c.device.LogonUI.SignOut(c.t.Context(), c.desktop); err != nil {
		c.t.Fatalf("day %d: %v", c.day, err)
	}
	c.signedIn = false
}

// app is an application at work: silent first, and with the window when the user is
// needed. What the page asked for goes into the ledger.
func (c *calendar) app() error {
	c.t.Helper()
	if _, err := c.token(c.device, c.desktop); prterr.KindOf(err) != prterr.Interaction {
		return err
	}
	pages, err := c.lab.Person(c.t.Context(), c.tenant.User, c.password)
	if err != nil {
		c.t.Fatal(err)
	}
	_, prompts, err := c.ask(c.desktop, c.tenant.App, c.tenant.Resource, pages)
	for _, p := range prompts {
		c.wrote("window", p)
	}
	return err
}

// mustApp and mustBrowse are work that nothing keeps from being done.
func (c *calendar) mustApp() {
	c.t.Helper()
	if err := c.app(); err != nil {
		c.t.Fatalf("day %d: %v", c.day, err)
	}
}

func (c *calendar) mustBrowse() {
	c.t.Helper()
	if v := c.browse(c.device, c.desktop, secret.Text{}); v.SignInPage {
		c.wrote("browser", "password")
	}
}

// cut and mend are the ends of an outage.
func (c *calendar) network(there bool) {
	c.t.Helper()
	if err := c.device.SetOffline(!there); err != nil {
		c.t.Fatal(err)
	}
	c.renews = there
}

// workday is a day on which nothing happens. known says that the cache knows the
// password; else the identity provider is asked, which nobody notices.
func (c *calendar) workday(known bool) {
	c.t.Helper()
	c.at(atNine)
	c.logon(known)
	c.mustApp()
	c.at(atHalfOne)
	c.mustBrowse()
	c.at(atFive)
	c.mustApp()
	c.logoff()
}

// changedPassword is a day on which the password is changed while she is signed in: the
// first application that asks has her sign in at a page, and the rest of the day is quiet.
func (c *calendar) changedPassword() {
	c.t.Helper()
	c.at(atNine)
	c.logon(true)
	c.mustApp()
	c.password = secret.NewText("two new horses at once")
	if _, err := c.admin().SetUserPassword(c.t.Context(), &directoryv1.SetUserPasswordRequest{
		UserPrincipalName: c.tenant.User, Password: c.password.Reveal(),
	}); err != nil {
		c.t.Fatal(err)
	}
	c.mustApp()
	c.mustApp()
	c.at(atFive)
	c.mustBrowse()
	c.logoff()
	c.workday(false) // the cache does not know the new password yet: the identity provider does
}

// outage is days without the network. The desktop opens every morning, no application
// gets a token, and nobody is asked for anything that could not be answered.
func (c *calendar) outage(days int) {
	c.t.Helper()
	c.network(false)
	for range days {
		c.at(atNine)
		c.logon(true)
		if err := c.app(); err == nil {
			c.t.Fatalf("day %d: a token without the network", c.day)
		}
		c.at(atFive)
		c.logoff()
	}
	c.at(atNine)
	c.logon(true)
	c.network(true)
}

// lostTPM is the day on which the TPM has forgotten its keys: the desktop opens, nothing
// works, the user is asked for nothing, and an administrator recovers the device.
func (c *calendar) lostTPM() {
	c.t.Helper()
	if err := c.device.Restart(c.t.Context(), "tpm-agent"); err != nil {
		c.t.Fatal(err)
	}
	c.at(atNine)
	c.logon(true)
	if err := c.app(); prterr.KindOf(err) != prterr.KeysLost {
		c.t.Fatalf("day %d: %v", c.day, err)
	}
	c.wrote("recovery", "administrator's password")
	if _, err := c.device.Operator.Recover(c.t.Context(), c.tenant.User, c.password); err != nil {
		c.t.Fatal(err)
	}
	c.logoff()
	c.logon(true) // and a new PRT is obtained behind it with what was typed
	c.mustApp()
	c.at(atFive)
	c.logoff()
}

// TestREN08_SixtyDaysOfOneDevice is 60 days of daily use with a changed password, an
// outage of three days, one of fifteen, and a lost TPM. What a human was asked in all
// that time is exactly what the documents say (s2 and s3, how a PRT is renewed and
// when it is invalidated).
func TestREN08_SixtyDaysOfOneDevice(t *testing.T) {
	w := newWorld(t, lab.Config{TPM: "mem:"})
	c := &calendar{world: w, day: 1, hour: atNine - time.Hour, password: w.tenant.Password, renews: true}
	w.join(w.device)
	c.at(atNine)
	c.logon(false)
	c.mustApp()
	c.at(atFive)
	c.logoff()

	want := []string{}
	for day := 1; day <= 60; day++ {
		want = append(want, fmt.Sprintf("day %d, 09:00, logon: password", day))
	}
	extra := func(after int, line string) {
		i := slices.IndexFunc(want, func(s string) bool { return strings.HasPrefix(s, fmt.Sprintf("day %d,", after)) })
		want = slices.Insert(want, i+1, line)
	}
	for c.day < 60 {
		switch c.day + 1 {
		case 12:
			c.changedPassword()
			extra(12, "day 12, 09:00, window: "+pageagent.Password)
		case 20: // three days, and the fourth begins without the network: the PRT is as good as before
			c.outage(3)
			c.at(atFive)
			c.mustApp()
			c.logoff()
		case 27: // fifteen days: the PRT has ended, and she is at her desk when the network comes back
			c.outage(15)
			c.mustApp()
			c.at(atFive)
			c.mustApp()
			c.logoff()
			extra(42, "day 42, 09:00, window: "+pageagent.Password)
		case 50:
			c.lostTPM()
			extra(50, "day 50, 09:00, logon: password")
			extra(50, "day 50, 09:00, recovery: administrator's password")
		default:
			// What the page of day 42 proved is not to be had with a password that only the
			// cache knows, so the cache has forgotten it.
			c.workday(c.day+1 != 43)
		}
	}
	if !slices.Equal(c.ledger, want) {
		t.Errorf("asked for\n%s\nwant\n%s", strings.Join(c.ledger, "\n"), strings.Join(want, "\n"))
	}
}
