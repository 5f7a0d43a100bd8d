package devicerule_test

import (
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/services/idp/internal/devicerule"
)

func laptop() devicerule.Device {
	return devicerule.Device{
		"deviceId": "2ae4e0c8-0a7f-4b57-a6d3-6a1d5a4bb2f1", "displayName": "SAW-0042", "isCompliant": "True", "trustType": "AzureAd",
		"operatingSystem": "Windows", "operatingSystemVersion": "10.0.22631", "deviceOwnership": "Company",
	}
}

func TestCA15_RulesFitDevices(t *testing.T) {
	for rule, want := range map[string][2]bool{ // a laptop, a device that is not registered
		`device.trustType -eq "AzureAD"`:                                         {true, false},
		`device.trustType -ne "AzureAD"`:                                         {false, true},
		`device.isCompliant -eq True`:                                            {true, false},
		`device.isCompliant -eq false`:                                           {false, false},
		`device.isCompliant -ne True`:                                            {false, true},
		`device.displayName -startsWith "saw-"`:                                  {true, false},
		`device.displayName -notStartsWith "saw-"`:                               {false, true},
		`device.displayName -endsWith '42'`:                                      {true, false},
		`device.displayName -notEndsWith "42"`:                                   {false, true},
		`device.displayName -contains "W-0"`:                                     {true, false},
		`device.displayName -notContains "W-0"`:                                  {false, true},
		`device.operatingSystemVersion -in ["10.0.19045", "10.0.22631"]`:         {true, false},
		`device.operatingSystemVersion -notIn ["10.0.19045"]`:                    {true, true},
		`-not (device.trustType -eq "Workplace")`:                                {true, true},
		`-not device.trustType -eq "Workplace" -and device.isCompliant -eq True`: {true, false},
		`device.isCompliant -eq True -and device.trustType -eq "Workplace"`:      {false, false},
		`device.isCompliant -eq False -or device.trustType -eq "AzureAD"`:        {true, false},
		`DEVICE.ISCOMPLIANT -EQ true -AND device.deviceownership -eq "company"`:  {true, false},
		`device.operatingSystem -eq "Windows" -or device.isCompliant -eq False -and device.trustType -eq "Workplace"`:   {true, false},
		`(device.operatingSystem -eq "Windows" -or device.isCompliant -eq False) -and device.trustType -eq "Workplace"`: {false, false},
	} {
		r, err := devicerule.Read(rule)
		if err != nil {
			t.Errorf("%s: %v", rule, err)
			continue
		}
		if got := [2]bool{r.Fits(laptop()), r.Fits(nil)}; got != want {
			t.Errorf("%s: %v, want %v", rule, got, want)
		}
	}
	if (devicerule.Rule{}).Fits(nil) {
		t.Error("no rule fits a device")
	}
}

func TestRulesAreReadStrictly(t *testing.T) {
	for rule, says := range map[string]string{
		"":                                                           "is not an attribute",
		`user.name -eq "x"`:                                          "is not an attribute",
		`device.extensionAttribute1 -eq "x"`:                         "does not keep",
		`device.model -eq "x"`:                                       "does not keep",
		`device.trustType -eq AzureAD`:                               "in quotes",
		`device.trustType -eq "Domain"`:                              "not one of",
		`device.trustType -contains "Az"`:                            "does not go with",
		`device.isCompliant -eq "True"`:                              "True or False",
		`device.isCompliant -in [True]`:                              "does not go with",
		`device.displayName "x"`:                                     "no operator",
		`device.displayName -like "x"`:                               "no operator",
		`device.displayName -eq ""`:                                  "empty",
		`device.displayName -eq "x`:                                  "closing quote",
		`device.displayName -in "x"`:                                 "is not [",
		`device.displayName -in ["x"`:                                "is not ]",
		`device.displayName -in []`:                                  "in quotes",
		`(device.displayName -eq "x"`:                                "is not )",
		`device.displayName -eq "x")`:                                "end of the rule",
		`device.displayName -eq "x" -and`:                            "is not an attribute",
		`device.displayName -eq "x" device.displayName -eq "y"`:      "end of the rule",
		strings.Repeat("(", 40) + `device.displayName -eq "x"`:       "deeper",
		strings.Repeat("-not ", 40) + `device.displayName -eq "x"`:   "deeper",
		`device.displayName -eq "` + strings.Repeat("x", 4000) + `"`: "longer",
		`device.displayName ` + strings.Repeat("y", 400):             "no operator",
	} {
		_, err := devicerule.Read(rule)
		if err == nil || !strings.Contains(err.Error(), says) || len(err.Error()) > 300 {
			t.Errorf("%.60s: %v, want %q", rule, err, says)
		}
	}
}

func FuzzDeviceRule(f *testing.F) {
	for _, s := range []string{
		`device.trustType -eq "AzureAD" -and -not (device.isCompliant -eq True)`, `device.deviceId -notIn ["a", 'b']`, "((((", "-not", "[,]", "\"",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, rule string) {
		r, err := devicerule.Read(rule)
		if err != nil {
			if len(err.Error()) > 600 {
				t.Errorf("an error of %d characters", len(err.Error()))
			}
			return
		}
		// What was read is one of two things about any device, and its negation the other.
		not, err := devicerule.Read("-not (" + rule + ")")
		if err != nil {
			return // one level or one character too many
		}
		for _, d := range []devicerule.Device{nil, laptop()} {
			if r.Fits(d) == not.Fits(d) {
				t.Errorf("%q and its negation agree", rule)
			}
		}
	})
}
