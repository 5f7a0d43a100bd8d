package status

import (
	"fmt"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/wincode"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
)

// Finding is one thing that is wrong, for people.
type Finding struct {
	// Problem is what does not work.
	Problem string `json:"problem"`
	// Cause is why, and Code the code that says so, AADSTS50126 or 0xc000023c.
	Cause string `json:"cause"`
	Code  string `json:"code,omitempty"`
	// Evidence are the facts that it is concluded from.
	Evidence []string `json:"evidence"`
	// Next is what to do.
	Next string `json:"next"`
	// Trace is the trace of the failure, or empty.
	Trace string `json:"trace,omitempty"`
}

// Why looks for what is wrong: first what keeps everything else from working, then the
// last attempts, the newest first, then the state. Nothing found is an empty answer.
func Why(f Facts) []Finding {
	v := &view{Facts: f, user: f.chosen()}
	var found []Finding
	for _, look := range []func() []Finding{
		v.whyMissing, v.whyDevice, v.whyRegistration, v.whyBlocked, v.whyAttempts, v.whyPRT, v.whyCache, v.whyHello,
	} {
		found = append(found, look()...)
	}
	if len(found) == 0 {
		found = v.whyApp()
	}
	return found
}

func (v *view) whyMissing() (found []Finding) {
	for _, m := range v.Missing {
		found = append(found, Finding{
			Problem: "The component " + m.Component + " did not tell what it knows.", Cause: "It is stopped, cannot be reached, or fails: its facts are missing here.",
			Evidence: []string{m.Reason}, Next: "Start " + m.Component + ", or read its log.",
		})
	}
	return found
}

// whyDevice is about keys and the tenant's word on the device.
func (v *view) whyDevice() (found []Finding) {
	if v.deviceInvalid() {
		f := Finding{
			Problem: "The tenant refuses this device.", Cause: "An administrator disabled or deleted it in the directory.", Code: v.deviceCode().String(),
			Evidence: []string{"DeviceAuthStatus: " + deviceAuth(v), "device id " + v.State.GetDeviceId()},
			Next:     "Enable the device in the directory; if it was deleted, leave and join again. Users are not to blame, and sign-in from the cache goes on.",
		}
		found = append(found, f)
	}
	switch {
	case v.State.GetAadRecoveryEnabled():
		found = append(found, windows(wincode.BadKeyset, "The keys of this device are lost.", "AadRecoveryEnabled: YES", "KeySignTest: "+keySignTest(v)))
	case v.State.GetKeySignTest() == dsregv1.KeySignTest_KEY_SIGN_TEST_FAILED:
		found = append(found, windows(wincode.TPMInternal, "A key of this device does not do its work.", "KeySignTest: FAILED"))
	}
	return found
}

// deviceCode is the code by which the device was refused: that of the last attempt when
// that was it, else the one of every device that is not taken.
func (v *view) deviceCode() aadsts.Code {
	if newer(v.user.acquire, v.user.refresh).GetAadsts() == uint32(aadsts.DeviceDisabled) {
		return aadsts.DeviceDisabled
	}
	return aadsts.DeviceAuthenticationFailed
}

// windows is a finding about a code of Windows.
func windows(c wincode.Code, problem string, evidence ...string) Finding {
	row, _ := wincode.Lookup(c)
	return Finding{Problem: problem, Cause: sentence(row.Meaning, row.Cause), Code: c.String(), Evidence: evidence, Next: row.Next}
}

// whyRegistration is about a device that is in no tenant.
func (v *view) whyRegistration() []Finding {
	if v.State == nil || v.joined() || v.State.GetWorkplaceJoined() {
		return nil
	}
	a := v.Registration.GetLastAttempt()
	switch {
	case !v.failedToRegister():
		return []Finding{{
			Problem: "This device is in no tenant.", Cause: "It was never joined or registered, or has left.",
			Evidence: []string{"AzureAdJoined: NO", "WorkplaceJoined: NO"}, Next: "Join it, or add a work account; without that there is no PRT.",
		}}
	case a.GetPending() && a.GetClientErrorCode() == 0:
		return []Finding{windows(0x801C03F2, "The hybrid join is not finished.", "the join waits for the sync of its domain since "+stamp(a.GetTime()))}
	}
	problem := fmt.Sprintf("The last registration (%s) failed in the phase %s.", a.GetRegistrationType(), a.GetErrorPhase())
	evidence := []string{"Previous Registration: " + stamp(a.GetTime())}
	if m := line(strings.TrimPrefix(a.GetServerMessage(), a.GetServerErrorCode()+": ")); m != "" {
		evidence = append(evidence, strings.TrimPrefix(line(a.GetServerErrorCode())+": "+m, ": "))
	}
	f := windows(wincode.Code(a.GetClientErrorCode()), problem, evidence...)
	f.Trace = a.GetRequestId()
	if f.Next == "" {
		f.Cause, f.Next = line(a.GetServerMessage()), "Read the events of device registration: lockstep events."
	}
	return []Finding{f}
}

func (v *view) whyBlocked() []Finding {
	s := v.user.state
	if s.GetBlockedCode() == 0 {
		return nil
	}
	return []Finding{{
		Problem: fmt.Sprintf("This device keeps %s out.", v.user.upn), Code: aadsts.Code(s.GetBlockedCode()).String(),
		Cause:    "The identity provider said it: " + meaning(s.GetBlockedCode()),
		Evidence: []string{"learnt " + stamp(s.GetBlockedAt())},
		Next:     "Once the account is enabled, sign in with the network: that lets the user in again.",
	}}
}

// whyAttempts explains the failures that are younger than the PRT, the newest first.
func (v *view) whyAttempts() (found []Finding) {
	first, second := v.user.acquire, v.user.refresh
	what := map[*authorityv1.Attempt]string{first: "obtain", second: "renew"}
	if newer(first, second) == second {
		first, second = second, first
	}
	for _, a := range []*authorityv1.Attempt{first, second} {
		if a != nil {
			found = append(found, Explain(what[a], a))
		}
	}
	for _, a := range v.user.wamOnly() {
		if a.GetLastAttempt() != nil {
			found = append(found, Explain("use", a.GetLastAttempt()))
		}
	}
	return found
}

// whyPRT is about a PRT that is over or old without an attempt that says why.
func (v *view) whyPRT() []Finding {
	if v.SSO == nil || !v.joined() {
		return nil
	}
	p, good := v.user.prt(v.Now)
	if v.user.acquire != nil || v.user.refresh != nil {
		if p == nil || good || p.GetPrtExpiryTime() == nil || v.Now.Before(p.GetPrtExpiryTime().AsTime()) {
			return nil // the attempt says it all
		}
		// The end stays when what the attempt met is mended: nothing renews a PRT that is over.
	}
	switch {
	case p == nil && v.user.upn == "":
		cause := "Nobody has signed in with an account of the tenant since the device joined."
		if len(v.SSO.GetCache().GetQuarantined()) > 0 {
			cause = "Nobody has signed in with an account of the tenant, or what was kept of it is among the files that are not used."
		}
		return []Finding{{
			Problem: "Nobody has a PRT on this device.", Cause: cause,
			Evidence: []string{"AzureAdPrt: NO", "no failed attempt is known"}, Next: "Sign in.",
		}}
	case p == nil:
		return []Finding{{
			Problem: v.user.upn + " has no PRT on this device.", Cause: "The user has not signed in here.",
			Evidence: []string{"AzureAdPrt: NO", "no failed attempt is known"}, Next: "Sign in; a failure is shown here then.",
		}}
	case !good:
		return []Finding{{
			Problem: capital(v.noPRT()) + ".", Cause: overCause(p), Evidence: []string{p.GetCredentialKind() + ": until " + stamp(p.GetPrtExpiryTime()), line(p.GetLastError())},
			Next: "Sign in to the device with the network.",
		}}
	}
	for _, problem := range stale(v.Now.Sub(p.GetPrtUpdateTime().AsTime()), p.GetSessions() > 0) {
		return []Finding{{
			Problem: line(capital(problem.Text) + "."), Cause: "No attempt to renew it is known; the renewal clock may not run.",
			Evidence: []string{"AzureAdPrtUpdateTime: " + stamp(p.GetPrtUpdateTime())}, Next: "Lock and unlock: that forces an attempt.",
		}}
	}
	return nil
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func overCause(p *lsav1.PartitionState) string {
	switch p.GetValidity() {
	case authorityv1.PRTValidity_PRT_VALIDITY_REVOKED:
		return "The identity provider took it back: a changed password, or an administrator who revoked sessions."
	case authorityv1.PRTValidity_PRT_VALIDITY_DEVICE_INVALID:
		return "The identity provider does not take this device."
	case authorityv1.PRTValidity_PRT_VALIDITY_KEYS_LOST:
		return "The TPM does not know its session key any more."
	default:
		return "It was not renewed before its end: nobody signed in, or the network was off for long."
	}
}

func (v *view) whyCache() (found []Finding) {
	c := v.SSO.GetCache()
	if n := len(c.GetQuarantined()); n > 0 {
		f := Finding{
			Problem: fmt.Sprintf("Files of the cache are not used: %d.", n), Cause: "They are damaged, or older than what the TPM remembers.",
			Next: "Nothing is lost for good: its users sign in with the network. Look at the files where they are kept.",
		}
		for _, q := range c.GetQuarantined() {
			f.Evidence = append(f.Evidence, line(q.GetPath()+": "+q.GetReason()))
		}
		found = append(found, f)
	}
	return found
}

// whyHello names the prerequisites that keep Windows Hello from being offered.
func (v *view) whyHello() []Finding {
	s := v.user.state
	if s.GetNgcSet() || s.GetWillProvision() || !v.joined() {
		return nil
	}
	var unmet []string
	for _, p := range s.GetPrerequisites() {
		if !p.GetMet() && p.GetName() != preReqResult {
			unmet = append(unmet, p.GetName()+": "+p.GetValue())
		}
	}
	if len(unmet) == 0 {
		return nil
	}
	name, _, _ := strings.Cut(unmet[0], ":")
	return []Finding{{
		Problem: "Windows Hello is not offered to " + v.user.upn + ".", Cause: ngcCause(name), Evidence: unmet,
		Next: "Change that, or leave it: every other way to sign in works.",
	}}
}

func ngcCause(name string) string {
	switch name {
	case "IsDeviceJoined":
		return "The device is not joined to a tenant."
	case "IsUserAzureAD":
		return "The user is not one of the device's tenant."
	case "PolicyEnabled":
		return "The device's policy has Windows Hello off."
	case "PostLogonEnabled":
		return "The device's policy does not offer it after a sign-in."
	case "DeviceEligible":
		return "The policy wants keys in a TPM that is a chip, or the TPM does not work."
	case "SessionIsNotRemote":
		return "People sit before this device over a network."
	case "CertEnrollment":
		return "The policy wants a certificate for the key, and there is nobody to enrol one."
	default:
		return "A prerequisite is not met."
	}
}
