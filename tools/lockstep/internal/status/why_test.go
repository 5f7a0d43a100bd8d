package status_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/wincode"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/status"
)

// Whatever code an attempt ended with, the first answer names its cause, and not that of
// another code; and the code is on the screen.
func TestOBS06_WhyNamesTheCauseOfEveryCode(t *testing.T) {
	first := func(a *authorityv1.Attempt) status.Finding {
		f := joined()
		f.SSO.Partitions[0].LastAcquire = a
		var screen bytes.Buffer
		if err := status.Text(&screen, status.Status(f)); err != nil || !strings.Contains(screen.String(), "Attempt Status : "+wincode.Code(a.GetStatus()).String()) {
			t.Errorf("%v is not on the screen: %v", wincode.Code(a.GetStatus()), err)
		}
		found := status.Why(f)
		if len(found) == 0 {
			t.Fatalf("nothing is wrong with %v", a)
		}
		if found[0].Cause == "" || found[0].Next == "" || len(found[0].Evidence) == 0 || found[0].Trace != trace {
			t.Errorf("%v is not explained whole: %+v", a, found[0])
		}
		return found[0]
	}
	causes := map[string]string{}
	for _, row := range aadsts.Table() {
		a := wrongPassword()
		a.Aadsts, a.Status = uint32(row.Code), uint32(wincode.Of(prterr.AADSTS(row.Code, "")))
		a.ServerErrorDescription = row.Code.String() + ": " + row.Meaning
		f := first(a)
		if f.Code != row.Code.String() || !strings.HasPrefix(row.Meaning, strings.TrimSuffix(f.Cause, ".")) {
			t.Errorf("%v: %+v", row.Code, f)
		}
		causes[f.Code] = f.Cause
	}
	for _, row := range wincode.Table() {
		a := wrongPassword()
		a.Aadsts, a.Status, a.ServerErrorDescription = 0, uint32(row.Code), ""
		f := first(a)
		if f.Code != row.Code.String() || f.Cause != row.Meaning+" "+row.Cause || f.Next != row.Next {
			t.Errorf("%v: %+v", row.Code, f)
		}
		causes[f.Code] = f.Cause
	}
	if want := len(aadsts.Table()) + len(wincode.Table()); len(causes) != want {
		t.Errorf("%d causes for %d codes", len(causes), want)
	}
}

// The codes of registration, as dsreg tells them.
func TestOBS06_WhyNamesTheCauseOfARegistration(t *testing.T) {
	for _, row := range wincode.Table() {
		f := inDomain()
		f.Registration.LastAttempt = &dsregv1.RegistrationAttempt{RegistrationType: "sync", ErrorPhase: "join", ClientErrorCode: uint32(row.Code), RequestId: trace}
		if found := status.Why(f); len(found) == 0 || found[0].Code != row.Code.String() || !strings.HasPrefix(found[0].Cause, row.Meaning) {
			t.Errorf("%v: %+v", row.Code, found)
		}
	}
	f := inDomain()
	f.Registration.LastAttempt = &dsregv1.RegistrationAttempt{RegistrationType: "join", ErrorPhase: "auth", ClientErrorCode: 0xdeadbeef, ServerMessage: "something new"}
	if found := status.Why(f); len(found) == 0 || found[0].Cause != "something new" {
		t.Errorf("a code without a row: %+v", found)
	}
}

// The check: each exit, and which of two is the worse.
func TestCheckExits(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*status.Facts)
		want   []status.Exit
	}{
		"good":          {func(*status.Facts) {}, nil},
		"nobody":        {func(f *status.Facts) { f.SSO.Partitions = nil }, []status.Exit{status.ExitNoPRT}},
		"expired":       {func(f *status.Facts) { f.Now = f.Now.Add(400 * time.Hour) }, []status.Exit{status.ExitNoPRT}},
		"just in time":  {func(f *status.Facts) { f.Now = f.Now.Add(2 * time.Hour) }, nil},
		"stale":         {func(f *status.Facts) { f.Now = f.Now.Add(3 * time.Hour) }, []status.Exit{status.ExitStale}},
		"old and alone": {func(f *status.Facts) { f.Now = f.Now.Add(3 * time.Hour); f.SSO.Partitions[0].Sessions = 0 }, nil},
		"revoked": {func(f *status.Facts) { f.SSO.Partitions[0].Validity = authorityv1.PRTValidity_PRT_VALIDITY_REVOKED },
			[]status.Exit{status.ExitNoPRT}},
		"disabled": {func(f *status.Facts) {
			f.Registration.DeviceAuthStatus = dsregv1.DeviceAuthStatus_DEVICE_AUTH_STATUS_DISABLED_OR_DELETED
			f.SSO.Partitions = nil
		}, []status.Exit{status.ExitDeviceInvalid, status.ExitNoPRT}},
		"enabled again": {func(f *status.Facts) {
			f.SSO.Partitions[0].Validity = authorityv1.PRTValidity_PRT_VALIDITY_DEVICE_INVALID
		}, []status.Exit{status.ExitNoPRT}},
		"key test": {func(f *status.Facts) { f.State.KeySignTest = dsregv1.KeySignTest_KEY_SIGN_TEST_FAILED }, []status.Exit{status.ExitKeyTest}},
		"keys lost": {func(f *status.Facts) {
			f.State.KeySignTest, f.State.AadRecoveryEnabled = dsregv1.KeySignTest_KEY_SIGN_TEST_FAILED, true
		}, []status.Exit{status.ExitRecoveryPending, status.ExitKeyTest}},
		"not known": {func(f *status.Facts) {
			f.SSO, f.Missing = nil, []status.Missing{{Component: "lsa-cloudap", Reason: "down"}}
		},
			[]status.Exit{status.ExitNotKnown}},
		"bad and not known": {func(f *status.Facts) {
			f.State.KeySignTest = dsregv1.KeySignTest_KEY_SIGN_TEST_FAILED
			f.SSO, f.Missing = nil, []status.Missing{{Component: "lsa-cloudap", Reason: "down"}}
		}, []status.Exit{status.ExitKeyTest, status.ExitNotKnown}},
	} {
		f := joined()
		c.change(&f)
		var got []status.Exit
		for _, p := range status.Check(f) {
			got = append(got, p.Exit)
		}
		if len(got) != len(c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
			continue
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%s: %v, want %v", name, got, c.want)
			}
		}
	}
	// On a registered device it is WAM's PRT, which is renewed when an app asks.
	f := registered()
	if found := status.Check(f); len(found) != 0 {
		t.Errorf("registered: %v", found)
	}
	f.Accounts.Accounts[0].Validity = authorityv1.PRTValidity_PRT_VALIDITY_REVOKED
	if found := status.Check(f); len(found) != 1 || found[0].Exit != status.ExitNoPRT {
		t.Errorf("registered, revoked: %v", found)
	}
}
