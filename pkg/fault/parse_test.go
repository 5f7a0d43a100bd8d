package fault_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/fault"
)

func parse(t *testing.T, text string) fault.Rules {
	t.Helper()
	rules, err := fault.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

func TestRulesAreReadAndWrittenAlike(t *testing.T) {
	for _, line := range []string{
		`(unavailable)`, `(delay 200ms)`, `(delay field)`, `(drop (nth 2))`, `(execute-then-timeout (from 3))`,
		`(corrupt "credential.pin")`, `(corrupt request "signature" (first 1))`, `(duplicate)`, `(reorder)`, `(other-device)`,
		`(answer 50126)`, `(answer tpm_failed)`, `(throttle 5m0s)`, `(tpm "Sign:rc=0x101:times=2; *:gone")`,
		`(drop (method "KeyService/Sign*") (step RENEWAL_E) (flow renewal) (caller wam-broker))`,
		`(drop (user "alice@contoso.test") (device "8bb4dd12-2a1f-4a4e-9d5a-06d2ac9bc2a5") (path "/*/oauth2/token"))`,
		`(drop (chance 5%))`, `(drop (chance 0.0001%))`, `(drop (chance 12.5%))`, `(drop (chance 100%))`,
		`(drop (or (and (nth 1) (caller a)) (not (chance 5%))))`,
	} {
		rules := parse(t, line)
		if got := rules.String(); got != line+"\n" {
			t.Errorf("%s is written %s", line, got)
		}
	}
	rules := parse(t, "; what is broken\n(answer AADSTS50126) ; wrong password\n\n (throttle 300s)(corrupt \"a\")\n(drop (method A/B) (user a) (nth 007) ; never\n)")
	if got, want := rules.String(), "(answer 50126)\n(throttle 5m0s)\n(corrupt \"a\")\n(drop (method \"A/B\") (user \"a\") (nth 7))\n"; got != want {
		t.Errorf("%s", got)
	}
	for _, text := range []string{"", " \n", "; nothing", "; nothing\n"} {
		if rules, err := fault.Parse(text); err != nil || rules != nil {
			t.Errorf("%q: %v, %v", text, rules, err)
		}
	}
}

func TestErrorsNameThePlaceAndTheRepair(t *testing.T) {
	for text, want := range map[string]string{
		`(delay 200ms`:                      "1:1: this parenthesis is not closed",
		"(drop)\n  )":                       "2:3: a parenthesis closes that none opened",
		"(drop)\n(dorp)":                    "2:2: there is no action \"dorp\": use unavailable",
		`drop`:                              "1:1: this is no rule: write a rule as (ACTION CONDITION...)",
		`()`:                                "1:1: this is no rule",
		`((nth 1))`:                         "1:1: the action is missing",
		`("drop")`:                          "1:1: the action is missing",
		`(drop (nth 1) now)`:                `1:15: "now" stands behind a condition`,
		`(drop now)`:                        `1:7: "now" is too much`,
		`(delay)`:                           "1:2: delay needs one word more: write (delay 200ms) or (delay field)",
		`(delay 11m)`:                       `1:8: "11m" is no time for delay`,
		`(delay -1s)`:                       `1:8: "-1s" is no time for delay`,
		`(delay soon)`:                      `1:8: "soon" is no time for delay`,
		`(throttle 1500ms)`:                 `1:11: "1500ms" is no time for throttle`,
		`(throttle 25h)`:                    `1:11: "25h" is no time for throttle`,
		`(corrupt)`:                         `1:2: corrupt needs one word more: write (corrupt "field.path")`,
		`(corrupt request)`:                 `1:2: corrupt needs one word more`,
		`(corrupt "a..b")`:                  `1:10: "a..b" is no path of a field`,
		`(corrupt "")`:                      `1:10: "" is no path of a field`,
		`(answer 1)`:                        `1:9: "1" is no answer: use a code`,
		`(answer sorry)`:                    `1:9: "sorry" is no answer`,
		`(tpm " ")`:                         "1:6: the rule for the TPM is empty",
		`(tpm "*:gone" (nth 1))`:            "1:1: a rule for the TPM takes no condition",
		`(drop ())`:                         "1:7: this is no condition",
		`(drop (when 1))`:                   `1:8: there is no condition "when": use method, step`,
		`(drop (nth))`:                      "1:7: nth takes one word",
		`(drop (nth 0))`:                    `1:12: "0" does not fit nth: write a number from 1`,
		`(drop (nth -1))`:                   `1:12: "-1" does not fit nth`,
		`(drop (first 99999999999))`:        `1:14: "99999999999" does not fit first`,
		`(drop (nth 1 2))`:                  "1:7: nth takes one word",
		`(drop (nth (nth 1)))`:              "1:7: nth takes one word",
		`(drop (method "KeyService"))`:      `1:15: "KeyService" does not fit method`,
		`(drop (method "/prt.a.B/C"))`:      `1:15: "/prt.a.B/C" does not fit method`,
		`(drop (method "A/[b"))`:            `1:15: "A/[b" does not fit method`,
		`(drop (path "common/token"))`:      `1:13: "common/token" does not fit path`,
		`(drop (caller LSA))`:               `1:15: "LSA" does not fit caller`,
		`(drop (step RENEWAL_Z))`:           `1:13: "RENEWAL_Z" does not fit step: write a row`,
		`(drop (step UNSPECIFIED))`:         `1:13: "UNSPECIFIED" does not fit step`,
		`(drop (flow logon))`:               `1:13: "logon" does not fit flow`,
		`(drop (device "8bb4dd12"))`:        `1:15: "8bb4dd12" does not fit device`,
		`(drop (chance 5))`:                 `1:15: "5" does not fit chance`,
		`(drop (chance 0%))`:                `1:15: "0%" does not fit chance`,
		`(drop (chance 101%))`:              `1:15: "101%" does not fit chance`,
		`(drop (chance NaN%))`:              `1:15: "NaN%" does not fit chance`,
		`(drop (chance 0.00001%))`:          `1:15: "0.00001%" does not fit chance`,
		`(drop (and))`:                      "1:7: and takes one condition or more",
		`(drop (not (nth 1) (nth 2)))`:      "1:7: not takes one condition",
		`(drop (or nth 1))`:                 `1:11: or takes conditions in parentheses`,
		`(drop (user "alice)`:               "1:13: this text does not end",
		`(tpm "\q")`:                        "1:6: this text does not end",
		`(drop (user "` + "é" + `") ((a)))`: "1:18: this is no condition",
		`(drop ` + strings.Repeat("(not ", 8) + `(nth 1)` + strings.Repeat(")", 9): "1:42: parentheses nest more than 8 deep",
		strings.Repeat("(drop)", 65): "1:385: there are more than 64 rules",
	} {
		_, err := fault.Parse(text)
		var at *fault.SyntaxError
		if !errors.As(err, &at) || !strings.HasPrefix(err.Error(), "rules "+want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	for text, want := range map[string]string{strings.Repeat(" ", fault.MaxText+1): "at most 16384", "(drop (user \"\xff\"))": "not UTF-8"} {
		if _, err := fault.Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %s", err, want)
		}
	}
	if _, err := fault.Parse(strings.Repeat("(drop)", 64)); err != nil {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`(unavailable (method "KeyService/ImportSessionKey") (nth 2)) (delay 200ms) ; and so on`)
	f.Add(`(answer 50126 (user "alice@contoso.test") (or (chance 12.5%) (not (step RENEWAL_E))))`)
	f.Add("(corrupt request \"a.b\")(throttle 300s)(tpm \"Sign:rc=0x101\")(delay field (path \"/*/x\"))")
	f.Fuzz(func(t *testing.T, text string) {
		rules, err := fault.Parse(text)
		if err != nil {
			return
		}
		again, err := fault.Parse(rules.String())
		if err != nil || again.String() != rules.String() || fmt.Sprint(again) != fmt.Sprint(rules) {
			t.Fatalf("%q: %v became %v, %v", text, rules, again, err)
		}
		e, err := fault.New(fault.Config{Rules: rules, Seed: 1})
		if err != nil {
			t.Fatalf("%q was read and is not taken: %v", text, err)
		}
		e.Strike(fault.Call{Method: "/prt.a.v1.B/C", Path: "/x", Caller: "app", User: "a", Device: "b"})
	})
}
