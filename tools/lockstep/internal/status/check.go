package status

import (
	"fmt"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
)

// Exit is what lockstep status --check ends with.
type Exit int

// The exits. Where several hold, the worst is taken; the order of that is in Check.
const (
	ExitOK              Exit = 0
	ExitNoPRT           Exit = 1
	ExitStale           Exit = 2 // not renewed for longer than the refresh cycle
	ExitDeviceInvalid   Exit = 3 // the tenant has the device disabled or deleted
	ExitKeyTest         Exit = 4 // a device key does not do its work
	ExitRecoveryPending Exit = 5 // keys are lost and wait for their recovery
	ExitNotKnown        Exit = 6 // a component that would have to be asked does not answer
)

// Problem is one finding of the check.
type Problem struct {
	Exit Exit   `json:"exit"`
	Text string `json:"text"`
}

// Check judges facts for monitoring. All findings come back, the worst first: a device
// that the tenant does not take can do nothing about itself, lost keys and keys that do
// not work keep it from doing anything, and only then its PRT matters. What is not known
// for want of an answer is never good, and never hides what is known to be bad.
func Check(f Facts) []Problem {
	v := &view{Facts: f, user: f.judged()}
	var found []Problem
	add := func(e Exit, format string, args ...any) {
		found = append(found, Problem{e, line(fmt.Sprintf(format, args...))})
	}
	if v.deviceInvalid() {
		add(ExitDeviceInvalid, "the tenant has this device disabled or deleted")
	}
	if f.State.GetAadRecoveryEnabled() {
		add(ExitRecoveryPending, "the keys of this device are lost; the next sign-in starts their recovery")
	}
	if f.State.GetKeySignTest() == dsregv1.KeySignTest_KEY_SIGN_TEST_FAILED {
		add(ExitKeyTest, "a key of this device does not do its work")
	}
	found = append(found, v.checkPRT()...)
	for _, m := range f.Missing {
		add(ExitNotKnown, "%s: %s", m.Component, m.Reason)
	}
	return found
}

// deviceInvalid reports what a live test, or an authority of a PRT, was told.
func (v *view) deviceInvalid() bool {
	if v.Registration.GetDeviceAuthStatus() == dsregv1.DeviceAuthStatus_DEVICE_AUTH_STATUS_DISABLED_OR_DELETED {
		return true
	}
	if v.Registration.GetDeviceAuthStatus() == dsregv1.DeviceAuthStatus_DEVICE_AUTH_STATUS_SUCCESS {
		return false // newer than what a PRT met
	}
	for _, p := range v.user.partitions {
		if p.GetValidity() == authorityv1.PRTValidity_PRT_VALIDITY_DEVICE_INVALID {
			return true
		}
	}
	for _, a := range v.user.accounts {
		if a.GetValidity() == authorityv1.PRTValidity_PRT_VALIDITY_DEVICE_INVALID {
			return true
		}
	}
	return false
}

// checkPRT judges the PRT of the user: CloudAP's, or on a registered device WAM's.
func (v *view) checkPRT() []Problem {
	if v.State.GetWorkplaceJoined() {
		return v.checkAccounts()
	}
	if v.SSO == nil {
		return nil // named as missing
	}
	if code := v.user.state.GetBlockedCode(); code != 0 {
		return []Problem{{ExitNoPRT, fmt.Sprintf("the identity provider keeps %s out: AADSTS%d", v.user.upn, code)}}
	}
	p, good := v.user.prt(v.Now)
	if !good {
		return []Problem{{ExitNoPRT, v.noPRT()}}
	}
	return stale(v.Now.Sub(p.GetPrtUpdateTime().AsTime()), p.GetSessions() > 0)
}

// checkAccounts judges work accounts. WAM renews when an app asks and has no clock, so an
// old PRT is no fault there.
func (v *view) checkAccounts() []Problem {
	if v.Accounts == nil {
		return nil
	}
	for _, a := range v.user.wamOnly() {
		if code := a.GetLastAttempt().GetAadsts(); keepsOut(code) {
			return []Problem{{ExitNoPRT, fmt.Sprintf("the identity provider keeps %s out: AADSTS%d", v.user.upn, code)}}
		}
		if usable(a.GetValidity(), a.GetPrtExpiryTime().AsTime(), v.Now) {
			return nil
		}
	}
	return []Problem{{ExitNoPRT, "no work account of this device has a PRT that can be used"}}
}

// keepsOut reports whether a code is about the user, and stays until an administrator
// changes that.
func keepsOut(code uint32) bool {
	switch aadsts.Code(code) {
	case aadsts.UserDisabled, aadsts.UserAccountNotFound:
		return true
	}
	return false
}

func (v *view) noPRT() string {
	p, _ := v.user.prt(v.Now)
	switch {
	case p == nil && v.user.upn == "":
		return "nobody has a PRT on this device"
	case p == nil:
		return v.user.upn + " has no PRT on this device"
	default:
		return fmt.Sprintf("the PRT of %s is %s", v.user.upn, validity(p.GetValidity(), p.GetPrtExpiryTime().AsTime(), v.Now))
	}
}

// stale judges age. A PRT that nobody uses is renewed at the next sign-in and not before.
func stale(age time.Duration, used bool) []Problem {
	if age <= StaleAfter || !used {
		return nil
	}
	return []Problem{{ExitStale, fmt.Sprintf("the PRT is %s old: its renewal is stuck", span(age))}}
}
