package status

import (
	"fmt"
	"slices"

	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
)

// testLabels are the live tests before a hybrid join, in their order.
func testLabels() []string {
	return []string{"AD Connectivity Test", "AD Configuration Test", "DRS Discovery Test", "DRS Connectivity Test", "Token acquisition Test"}
}

// failedToRegister reports whether the last attempt to register failed or waits.
func (v *view) failedToRegister() bool {
	a := v.Registration.GetLastAttempt()
	return a.GetErrorPhase() != "" || a.GetPending()
}

// preJoinDiagnostics is shown in a domain that is not hybrid joined yet, and wherever a
// registration has failed.
func preJoinDiagnostics() section {
	attempt := func(label string, value func(*dsregv1.RegistrationAttempt) string) field {
		return field{label: label, value: filled(func(v *view) string {
			if !v.failedToRegister() {
				return ""
			}
			return value(v.Registration.GetLastAttempt())
		})}
	}
	fields := []field{
		{label: "Diagnostics Reference", value: fixed("www.microsoft.com/aadjerrors")},
		{label: "User Context", value: fixed("SYSTEM")}, // device registration makes the tests, as a component
		{label: "Client Time", value: always(func(v *view) string { return utc(v.Now) })},
	}
	for _, label := range testLabels() {
		fields = append(fields, field{label: label, value: func(v *view) (string, bool) { return test(v, label) }})
	}
	return section{
		title: "Diagnostic Data",
		shown: func(v *view) bool {
			return v.Registration != nil && !v.joined() && !v.State.GetWorkplaceJoined() && (v.inDomain() || v.failedToRegister())
		},
		fields: append(fields,
			field{label: "Fallback to Sync-Join", value: func(v *view) (string, bool) {
				if v.Registration.GetLastAttempt().GetFallbackToSyncJoin() {
					return "ENABLED", v.inDomain()
				}
				return "DISABLED", v.inDomain()
			}},
			attempt("Previous Registration", func(a *dsregv1.RegistrationAttempt) string { return stamp(a.GetTime()) }),
			attempt("Registration Type", (*dsregv1.RegistrationAttempt).GetRegistrationType),
			attempt("Error Phase", (*dsregv1.RegistrationAttempt).GetErrorPhase),
			attempt("Client ErrorCode", func(a *dsregv1.RegistrationAttempt) string { return hex(a.GetClientErrorCode()) }),
			attempt("Server ErrorCode", (*dsregv1.RegistrationAttempt).GetServerErrorCode),
			attempt("Server Message", (*dsregv1.RegistrationAttempt).GetServerMessage),
			attempt("Https Status", func(a *dsregv1.RegistrationAttempt) string {
				if a.GetHttpsStatus() == 0 {
					return ""
				}
				return fmt.Sprint(a.GetHttpsStatus())
			}),
			attempt("Request Id", (*dsregv1.RegistrationAttempt).GetRequestId),
		),
	}
}

// test is the result of a live test as dsregcmd writes it.
func test(v *view, label string) (string, bool) {
	for _, t := range v.Registration.GetTests() {
		if t.GetName() != label {
			continue
		}
		if t.GetCode() == 0 {
			return t.GetResult(), true
		}
		code := hex(t.GetCode())
		if t.GetSubCode() != 0 {
			code += "/" + hex(t.GetSubCode())
		}
		return fmt.Sprintf("%s [%s]", t.GetResult(), code), true
	}
	return "", false
}

func postJoinDiagnostics() section {
	return section{
		title: "Diagnostic Data",
		shown: func(v *view) bool { return v.joined() || v.State.GetWorkplaceJoined() },
		fields: []field{
			{label: "AadRecoveryEnabled", value: always(func(v *view) string { return yesNo(v.State.GetAadRecoveryEnabled()) })},
			{label: "KeySignTest", value: always(keySignTest)},
		},
	}
}

// keySignTest is the outcome of the self-test. An older one is no answer while nobody can
// ask the keys.
func keySignTest(v *view) string {
	if slices.ContainsFunc(v.Missing, func(m Missing) bool { return m.Component == "tpm-agent" }) {
		return unknown + " (tpm-agent does not answer)"
	}
	switch v.State.GetKeySignTest() {
	case dsregv1.KeySignTest_KEY_SIGN_TEST_PASSED:
		return "PASSED"
	case dsregv1.KeySignTest_KEY_SIGN_TEST_FAILED:
		return "FAILED"
	case dsregv1.KeySignTest_KEY_SIGN_TEST_NOT_RUN:
		return "NOT RUN (--live runs it)"
	default:
		return unknown
	}
}

// missingSection names the components that did not answer; there is none when all did.
func missingSection(f Facts) []Section {
	if len(f.Missing) == 0 {
		return nil
	}
	s := Section{Title: "Components Not Reached"}
	for _, m := range f.Missing {
		s.Entries = append(s.Entries, Entry{Label: m.Component, Value: m.Reason})
	}
	return []Section{s}
}
