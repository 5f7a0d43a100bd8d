package acceptance_test

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/wincode"
)

const basisFile = "testdata/basis_of_codes.txt"

// basis is what the codes of a cause rest on.
type basis struct {
	documented bool
	codes      []wincode.Code
	why        string
}

// causeOf is why a sign-in fails under a fault of the catalogue, worked out from the fault
// alone: what the code under test shows has no part in it.
func causeOf(fault string) string {
	component, rule, _ := strings.Cut(fault, " ")
	answer, _, _ := strings.Cut(strings.TrimPrefix(rule, "(answer "), " ")
	number, noCode := strconv.Atoi(answer)
	switch {
	case component == "tpm":
		return causeOfTPM(rule)
	case strings.HasPrefix(rule, "(corrupt request"):
		return "refused"
	case strings.HasPrefix(rule, "(corrupt"):
		return "unusable"
	case component != "idp":
		return causeOnDevice(prterr.Kind(answer))
	case strings.HasPrefix(rule, "(throttle"):
		return "not-refused"
	case !strings.HasPrefix(rule, "(answer"):
		return "network"
	case noCode != nil:
		return causeOfKind(prterr.Kind(answer))
	default:
		return causeOfCode(aadsts.Code(number))
	}
}

func causeOfTPM(rule string) string {
	switch {
	case strings.Contains(rule, "locked"):
		return "tpm-locked"
	case strings.Contains(rule, "Load:"):
		return "keys-missing"
	case strings.Contains(rule, "RSA_Decrypt:wrongkey"):
		return "unusable"
	default:
		return "tpm-fails"
	}
}

// causeOnDevice: three kinds name their own cause, whoever of the device says them.
func causeOnDevice(k prterr.Kind) string {
	switch k {
	case prterr.KeysLost:
		return "keys-missing"
	case prterr.TPMFailed:
		return "tpm-fails"
	case prterr.Interaction:
		return "interaction"
	default:
		return "own-component"
	}
}

// causeOfKind is what a server means that names no code: each kind has a status of HTTP.
func causeOfKind(k prterr.Kind) string {
	switch k {
	case prterr.Unavailable, prterr.Deadline:
		return "network"
	case prterr.Exhausted, prterr.Internal, prterr.KeysLost, prterr.TPMFailed:
		return "not-refused"
	case prterr.Interaction:
		return "interaction"
	default:
		return "refused"
	}
}

func causeOfCode(code aadsts.Code) string {
	row, ok := aadsts.Lookup(code)
	switch {
	case !ok:
		return ""
	case code == aadsts.TenantNotFound || code == aadsts.InvalidDomain:
		return "no-such-domain"
	case code == aadsts.UserAccountNotFound:
		return "no-such-user"
	case code == aadsts.AccountLocked:
		return "locked-out"
	case code == aadsts.UserDisabled:
		return "user-disabled"
	case code == aadsts.PasswordExpired || code == aadsts.OnPremisesPasswordExpired:
		return "old-password"
	case row.HTTPStatus > http.StatusBadRequest:
		return "not-refused"
	case row.Interactive() || code == aadsts.AuthorizationPending:
		return "interaction"
	default:
		return "refused"
	}
}

func readBasis(t *testing.T) map[string]basis {
	t.Helper()
	f, err := os.Open(basisFile)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	all := map[string]basis{}
	for s := bufio.NewScanner(f); s.Scan(); {
		if s.Text() == "" || strings.HasPrefix(s.Text(), "#") {
			continue
		}
		c := strings.Split(s.Text(), "|")
		if len(c) != 4 {
			t.Fatalf("not four columns: %s", s.Text())
		}
		cause, mark := strings.TrimSpace(c[0]), strings.TrimSpace(c[1])
		one := basis{documented: mark == "documented", why: strings.TrimSpace(c[3])}
		for _, text := range strings.Fields(c[2]) {
			code, err := wincode.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			one.codes = append(one.codes, code)
		}
		if _, twice := all[cause]; twice || mark != "documented" && mark != "ours" || len(one.codes) == 0 || one.why == "" {
			t.Errorf("%s: there twice, neither documented nor ours, without codes or without a reason", cause)
		}
		all[cause] = one
	}
	return all
}

// TestFLT03_EachCodeRestsOnSomething holds the catalogue against testdata/basis_of_codes.txt:
// every row has a cause, shows a code that the cause has, and so can be read as documented or
// as our own judgement. No cause is there for nothing.
func TestFLT03_EachCodeRestsOnSomething(t *testing.T) {
	causes, rows := readBasis(t), readCatalogue(t)
	if len(rows) != len(faultsOfSignIn()) {
		t.Errorf("%d rows of %d faults", len(rows), len(faultsOfSignIn()))
	}
	used, count := map[string]int{}, map[bool]int{}
	for fault, row := range rows {
		cause := causeOf(fault)
		on, known := causes[cause]
		code, err := wincode.Parse(strings.Fields(row)[0])
		switch {
		case !known:
			t.Errorf("%s: the cause %q has no basis", fault, cause)
		case err != nil || !slices.Contains(on.codes, code):
			t.Errorf("%s shows %v, and for %s there are %v", fault, code, cause, on.codes)
		}
		used[cause]++
		count[on.documented]++
	}
	for cause := range causes {
		if used[cause] == 0 {
			t.Errorf("no row has the cause %s", cause)
		}
	}
	t.Logf("%d rows show a documented code, %d one of ours: %v", count[true], count[false], used)
}

// withBasis is how a row of the catalogue ends.
func withBasis(causes map[string]basis, fault, outcome string) string {
	mark := "ours"
	if causes[causeOf(fault)].documented {
		mark = "documented"
	}
	return fmt.Sprintf("%s (%s: %s)", outcome, mark, causeOf(fault))
}
