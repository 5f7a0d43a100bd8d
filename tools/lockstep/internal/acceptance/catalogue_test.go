package acceptance_test

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/wincode"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/chip"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

var catalogue = flag.Bool("catalogue", false, "write the catalogue of faults anew")

const catalogueFile = "testdata/faults_to_codes.txt"

// outcome is what the device shows of a sign-in that a fault broke: the Windows code, and
// the identity provider's where there is one.
func shown(err error) string {
	if err == nil {
		return "signed in"
	}
	code := wincode.Of(err)
	row, ok := wincode.Lookup(code)
	if !ok {
		return fmt.Sprintf("%v, which no table explains", code)
	}
	out := fmt.Sprintf("%v %s", code, row.Name)
	if c := prterr.CodeOf(err); c != 0 {
		out += " " + c.String()
	}
	return out
}

// faultsOfSignIn are the faults of the catalogue, as COMPONENT RULE.
func faultsOfSignIn() []string {
	var all []string
	for _, row := range aadsts.Table() {
		all = append(all, fmt.Sprintf("idp (answer %d (step FIRST_SIGN_IN_D))", row.Code))
	}
	for _, k := range prterr.Kinds() {
		for _, c := range []string{"idp (answer %s (step FIRST_SIGN_IN_D))", "tpm-agent (answer %s (method \"PRTKeyService/SignPRTRequest\"))", "dsreg (answer %s (method \"DeviceStateService/GetDeviceState\"))"} {
			all = append(all, fmt.Sprintf(c, k))
		}
	}
	for _, c := range []string{"idp", "tpm-agent", "dsreg"} {
		all = append(all, c+" (unavailable)")
	}
	return append(all,
		`idp (execute-then-timeout (step FIRST_SIGN_IN_D))`, `idp (throttle 5m0s (step FIRST_SIGN_IN_D))`, `idp (throttle 5m0s (step FIRST_SIGN_IN_C))`,
		`idp (unavailable (step FIRST_SIGN_IN_B))`, `idp (unavailable (step FIRST_SIGN_IN_C))`, `idp (unavailable (step FIRST_SIGN_IN_D))`,
		`idp (corrupt "session_key_jwe" (step FIRST_SIGN_IN_D))`, `idp (corrupt request "request" (step FIRST_SIGN_IN_D))`,
		`tpm (tpm "*:gone")`, `tpm (tpm "*:locked")`, `tpm (tpm "*:rc=0x101")`, `tpm (tpm "Load:wrongkey")`, `tpm (tpm "RSA_Decrypt:wrongkey")`,
		`tpm (tpm "Sign:rc=0x101")`, `tpm (tpm "Load:cleared")`,
	)
}

// TestFLT03_EveryFaultHasItsCode breaks a sign-in by every fault of the catalogue and holds
// what the device shows against testdata/faults_to_codes.txt. A lab that a fault may have
// changed for good (a TPM that was cleared) is not used again.
func TestFLT03_EveryFaultHasItsCode(t *testing.T) {
	var w *world
	fresh := func() {
		c, err := chip.New(chip.Config{})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.PutIn(); err != nil {
			t.Fatal(err)
		}
		w = newWorld(t, lab.Config{TPM: c.Address(), FaultSeed: 3})
		t.Cleanup(func() { _ = c.Close() })
		w.join(w.device)
		if err := w.enters(w.person("early")); err != nil {
			t.Fatal(err)
		}
	}
	fresh()
	causes, want, b := readBasis(t), readCatalogue(t), strings.Builder{}
	seen := map[string]bool{}
	for i, f := range faultsOfSignIn() {
		component, rule, _ := strings.Cut(f, " ")
		key := component
		if component != "idp" {
			key = w.device.Key(component)
		}
		upn := w.person(fmt.Sprintf("person%d", i))
		w.rules(key, rule)
		if strings.Contains(rule, "Load:") {
			if err := w.device.Restart(t.Context(), "tpm-agent"); err != nil {
				t.Fatal(err)
			}
		}
		got := withBasis(causes, f, shown(w.enters(upn)))
		seen[strings.Fields(got)[0]] = true
		fmt.Fprintf(&b, "%s => %s\n", f, got)
		if !*catalogue && want[f] != got {
			t.Errorf("%s: the device shows %s, and not %s", f, got, want[f])
		}
		if component == "tpm" {
			fresh()
			continue
		}
		if err := w.lab.Heal(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(faultsOfSignIn()); n < 40 || !*catalogue && len(want) != n || len(seen) < 12 {
		t.Errorf("%d faults and %d rows of the catalogue show %d codes", n, len(want), len(seen))
	}
	if *catalogue {
		if err := os.WriteFile(catalogueFile, []byte(catalogueHead+b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

const catalogueHead = `# What a device shows of a first sign-in that one fault breaks: COMPONENT RULE => WINDOWS CODE NAME [AADSTS CODE] (BASIS: CAUSE).
# Whether a code is documented for its cause, or ours and why, stands in basis_of_codes.txt; both are held together by
# TestFLT03_EachCodeRestsOnSomething. Rules are those of pkg/fault. Every row is run by TestFLT03_EveryFaultHasItsCode; with -catalogue it writes them anew.

`

func readCatalogue(t *testing.T) map[string]string {
	t.Helper()
	f, err := os.Open(filepath.FromSlash(catalogueFile))
	if err != nil {
		if *catalogue {
			return nil
		}
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	rows := map[string]string{}
	for s := bufio.NewScanner(f); s.Scan(); {
		if fault, code, ok := strings.Cut(s.Text(), " => "); ok && !strings.HasPrefix(s.Text(), "#") {
			rows[fault] = code
		}
	}
	return rows
}
