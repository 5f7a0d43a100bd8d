package flows_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/lockstep-sso/lockstep/services/idp/idptest"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/flows"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// previous is the variable that names the idp program of the version before.
const previous = "LOCKSTEP_IDP_PREVIOUS"

// otherVersion is a program that a replica may be beside those of this version, and the
// scripts that are run over both.
type otherVersion struct {
	program string
	scripts []string
	// sideBySide has each script run over both too while nothing is exchanged.
	sideBySide bool
}

// otherVersions are that of the version before, where it is named, with all that is run, and
// this version as a program of its own, which shows that an exchange by itself costs nothing.
func otherVersions(t *testing.T) map[string]otherVersion {
	t.Helper()
	own := filepath.Join(t.TempDir(), "idp")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", own, "github.com/lockstep-sso/lockstep/services/idp/cmd/idp").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return map[string]otherVersion{
		"this version": {program: own, scripts: []string{"2_app_token", "3_renewal"}},
		"the version before": {program: os.Getenv(previous), sideBySide: true, scripts: []string{
			"1_first_sign_in", "2_app_token", "3_renewal", "4_browser_sso", "7_end_of_trust", "9_recovery_by_administrator", "27_two_users", "31_work_accounts",
			"52_passwords_and_revocation", "53_policies_are_asked_at_use", "54_new_keys_in_the_cloud",
		}},
	}
}

// exchange has a replica be of the other version, or of this one.
func exchange(t testing.TB, r *flows.Runner, key string, other bool) {
	t.Helper()
	args := []datadriven.CmdArg{{Key: "exchange", Vals: []string{key}}}
	if other {
		args = append(args, datadriven.CmdArg{Key: "version", Vals: []string{"other"}})
	}
	if got := r.Run(t.Context(), &datadriven.TestData{Cmd: "replica", CmdArgs: args}); got != key+" was exchanged\n" {
		t.Fatalf("%s: %s", key, got)
	}
}

// rolling is an upgrade and the way back, one replica after the other, between the commands
// of a script: of two replicas of the version before both become this one, and then both are
// the one before again. In between the two are together.
type rolling struct{ turn int }

func (o *rolling) next(t testing.TB, r *flows.Runner) {
	t.Helper()
	if o.turn == 0 { // the version before is there first
		exchange(t, r, "idp-0", true)
		exchange(t, r, "idp-1", true)
	}
	plan := []struct {
		key   string
		other bool
	}{{"idp-0", false}, {"idp-1", false}, {"idp-1", true}, {"idp-0", true}}
	step := plan[o.turn%len(plan)]
	o.turn++
	exchange(t, r, step.key, step.other)
}

// TestDEP07_FlowsOverTwoVersions runs scripts with the real components of a device over two
// identity providers of one address and one database, of which one is of another version:
// side by side, and in the course of an upgrade and the way back that exchanges one of them
// before every command. Each ladder and each outcome must be the one that a single identity
// provider has: nobody is asked again, and nothing is lost.
func TestDEP07_FlowsOverTwoVersions(t *testing.T) {
	if rewriting() {
		t.Skip("a run with -rewrite is about one identity provider")
	}
	database := idptest.Databases(t)
	for name, v := range otherVersions(t) {
		t.Run(name, func(t *testing.T) {
			if v.program == "" {
				t.Skipf("%s is not set: it names the idp binary of the version before", previous)
			}
			for _, script := range v.scripts {
				path := filepath.Join("testdata", script+".txt")
				over := func(t *testing.T, before func(testing.TB, *flows.Runner)) {
					r := runner(t, lab.Config{TPM: "mem:", Replicas: 2, Database: database(t), OtherVersion: v.program})
					play(t, path, func(t testing.TB, d *datadriven.TestData) string {
						before(t, r)
						return r.Run(t.Context(), d)
					})
				}
				if v.sideBySide {
					t.Run(script+"/side by side", func(t *testing.T) {
						mixed := false
						over(t, func(t testing.TB, r *flows.Runner) {
							if !mixed {
								mixed = true
								exchange(t, r, "idp-0", true)
							}
						})
					})
				}
				t.Run(script+"/upgrade and way back", func(t *testing.T) { over(t, new(rolling).next) })
			}
		})
	}
}
