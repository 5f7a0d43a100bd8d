package whatif_test

import (
	"slices"
	"testing"

	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/whatif"
)

// The three questions of source document s1, each cell run for real.
func TestNEW11_CA09_CA10_CA11_TheThreeQuestionsAreAnsweredByARun(t *testing.T) {
	w := world(t, whatif.Config{})
	s, err := whatif.ReadScenario("three-questions")
	if err != nil {
		t.Fatal(err)
	}
	lessons, err := w.Teach(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	combinations, askedForMore := 0, 0
	for i, l := range lessons {
		for _, r := range l.Wrong {
			t.Errorf("%s: %s: %s", l.Question.Ask, r.Key(), r.Outcome)
		}
		if i < 2 { // the first two answers; the others are the eight combinations of the third
			if len(l.Ran) < 8 {
				t.Errorf("%s: only %d cells", l.Question.Ask, len(l.Ran))
			}
			continue
		}
		for _, r := range l.Ran {
			combinations++
			if slices.ContainsFunc(r.Outcome.Asked, func(m string) bool { return m == "sms" || m == "microsoftAuthenticatorPush" }) {
				askedForMore++
			}
		}
	}
	if combinations != 8 || askedForMore != 1 {
		t.Errorf("%d combinations, %d of them ask for the authenticator or a text message; want 8 and 1", combinations, askedForMore)
	}
}

func TestNEW11_AScenarioThatExpectsSomethingElseSaysSo(t *testing.T) {
	w := world(t, whatif.Config{})
	lessons, err := w.Teach(t.Context(), &whatif.Scenario{Policy: "none", Questions: []whatif.Question{{
		Ask: "a wrong one", Users: []string{"ben"}, Devices: []whatif.DeviceState{whatif.NoDevice}, Modes: []whatif.Mode{whatif.Private}, Apps: []string{"Microsoft Graph"},
		Credentials: []whatif.Credential{whatif.Password}, Expect: whatif.Expectation{Result: whatif.Silent},
	}}})
	if err != nil || len(lessons) != 1 || len(lessons[0].Ran) != 1 || len(lessons[0].Wrong) != 1 {
		t.Fatalf("%v, %v", lessons, err)
	}
}

func TestHEL07_CA13_WhoCanSetUpWindowsHello(t *testing.T) {
	w := world(t, whatif.Config{})
	for policy, want := range map[string]map[string]bool{
		"none": {
			"microsoftAuthenticatorPush": true, "sms": true, "voice": true, "softwareOath": true, "deviceBasedPush": true,
			"temporaryAccessPassMultiUse": true, "fido2": true, "x509CertificateMultiFactor": true, "": false,
		},
		"passwordless-windows": {
			"microsoftAuthenticatorPush": false, "sms": false, "voice": false, "softwareOath": false, "deviceBasedPush": true,
			"temporaryAccessPassMultiUse": false, "fido2": true, "x509CertificateMultiFactor": true, "": false,
		},
	} {
		document, err := whatif.PolicyFile(policy)
		if err != nil {
			t.Fatal(err)
		}
		all, err := w.Enrolments(t.Context(), document, nil)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, e := range all {
			seen[e.Method] = true
			if ok, known := want[e.Method]; known && ok != e.Provisioned {
				t.Errorf("%s: %s with %q: provisioned %v, asked for %v: %s", policy, e.User, e.Method, e.Provisioned, e.Asked, e.Reason)
			}
			if !e.Provisioned && e.Reason == "" {
				t.Errorf("%s: %s with %q: refused without a reason", policy, e.User, e.Method)
			}
		}
		for m := range want {
			if !seen[m] {
				t.Errorf("%s: nobody tried %q", policy, m)
			}
		}
		without := whatif.WithoutSpare(all)
		if !slices.Contains(without, "ben@contoso.test") || slices.Contains(without, "pia@contoso.test") {
			t.Errorf("%s: without a spare method: %v", policy, without)
		}
		if sam := slices.Contains(without, "sam@contoso.test"); sam != (policy != "none") {
			t.Errorf("%s: Sam, who gets text messages, is among %v: %v", policy, without, sam)
		}
	}
}

// Every cell of the whole lattice is run, and the what-if query is asked about each.
func TestCA17_TheWhatIfQueryAnswersAsTheExecutedLattice(t *testing.T) {
	w := world(t, whatif.Config{Check: true})
	files, err := whatif.PolicyFiles()
	if err != nil || len(files) < 4 {
		t.Fatalf("policy files %v, %v", files, err)
	}
	results, asked := map[whatif.Result]int{}, 0
	for _, file := range []string{"passwordless-windows-and-mfa", "compliant-devices", "none"} {
		n := whatif.Narrow{Apps: []string{"https://management.core.windows.net/", "https://outlook.office365.com"}}
		if testing.Short() {
			n.Devices = []whatif.DeviceState{whatif.NoDevice, whatif.JoinedCompliant, whatif.Disabled}
		}
		for _, r := range under(t, w, file, n) {
			results[r.Outcome.Result]++
			if r.Answer == nil {
				if r.Outcome.Code != 135011 && r.Outcome.Desktop != whatif.Shut {
					t.Errorf("%s: %s: %s: the policies were not asked", file, r.Key(), r.Outcome)
				}
				continue
			}
			asked++
			if !r.Answer.Agrees {
				t.Errorf("%s: %s: %s: %s", file, r.Key(), r.Outcome, r.Answer.Differs)
			}
		}
	}
	t.Log(results, asked)
	for _, r := range []whatif.Result{whatif.Silent, whatif.Asked, whatif.Refused} {
		if results[r] < 20 {
			t.Errorf("%d cells are %s", results[r], r)
		}
	}
}
