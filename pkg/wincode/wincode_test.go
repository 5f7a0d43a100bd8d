package wincode_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/wincode"
)

// catalogue is what people look up: the codes of the public troubleshooting pages.
const catalogue = `
0x801c001d 0x801c0021 0x801c001f 0x801c003d 0x801c003a 0x801c0025 0x80072efd 0x80072ee2 0x80072f8f 0x8007000d
0xcaa90017 0xcaa9002c 0xcaa90023 0xcaa82ee2 0xcaa82efe 0xcaa82f8f 0xcaa82efd 0xcaa20003 0xcaa90014 0xcaa90006 0xcaa1002d
0x801c03f2 0x801c0002 0x801c0006 0x80090016 0x80290407 0x80280036 0x80090031
0xc000006d 0xc000006a 0xc00000d0 0xc000023c 0xc00000be 0xc00000c4 0xc000005f
0xc004844c 0xc0048442 0xc00484c1 0x800484c1 0xc004848b 0xc004848c 0xc00cee4f 12002 12007 12029 12030
0xCAA90056 0xCAA5001C 0xCAA20002 0xCAA20003 3400073293 3399614476
0xd0048451 0x80072f9a 0x801c044d 0x801c044e 0x801c004d 0xc00000bb`

func TestOBS06_TheCatalogueIsWhole(t *testing.T) {
	for _, text := range strings.Fields(catalogue) {
		c, err := wincode.Parse(text)
		if err != nil {
			t.Error(err)
			continue
		}
		if _, ok := wincode.Lookup(c); !ok {
			t.Errorf("%s (%v) has no row", text, c)
		}
	}
}

func TestRowsAreWholeAndOnce(t *testing.T) {
	seen, names := map[wincode.Code]bool{}, map[string]bool{}
	for _, r := range wincode.Table() {
		if seen[r.Code] || names[r.Name] {
			t.Errorf("%v %s is there twice", r.Code, r.Name)
		}
		seen[r.Code], names[r.Name] = true, true
		for what, s := range map[string]string{"name": r.Name, "meaning": r.Meaning, "cause": r.Cause, "evidence": r.Evidence, "next": r.Next, "seen": r.Seen} {
			if strings.TrimSpace(s) == "" || len(s) > 240 {
				t.Errorf("%v: %s has %d bytes", r.Code, what, len(s))
			}
		}
	}
}

// Every Windows code that a component of this repository can answer with is explained,
// and marked as such; every row that is marked is in the source. Sources are read as
// text, so a new code is found wherever it is written.
func TestOBS06_EveryCodeOfTheRepositoryIsExplained(t *testing.T) {
	root := filepath.Join("..", "..")
	code := regexp.MustCompile(`(?i)(?:^|[^0-9a-z])0x((?:8007|8009|8028|8029|801c|8004|c000|c004|c00c|d004|caa[0-9a-f])[0-9a-f]{4})(?:[^0-9a-z]|$)`)
	comment := regexp.MustCompile(`(?m)//.*$`)
	found := map[wincode.Code]string{}
	for _, dir := range []string{"services", "pkg"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() && (d.Name() == "wincode" || d.Name() == "testdata" || d.Name() == "softtpm") {
				return filepath.SkipDir
			}
			if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return nil
			}
			text, err := os.ReadFile(path)
			text = comment.ReplaceAll(text, nil)
			for _, m := range code.FindAllStringSubmatch(string(text), -1) {
				if c, err := wincode.Parse("0x" + m[1]); err == nil {
					found[c] = path
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(found) < 10 {
		t.Fatalf("only %d codes found: the search is wrong", len(found))
	}
	made := producedByOf(t)
	for _, row := range wincode.Table() {
		if _, written := found[row.Code]; row.Made && !written && !made[row.Code] {
			t.Errorf("%v %s is marked as made here, and no source has it", row.Code, row.Name)
		}
	}
	for c, path := range found {
		row, ok := wincode.Lookup(c)
		if !ok {
			t.Errorf("%v of %s has no row", c, path)
		} else if !row.Made {
			t.Errorf("%v of %s is not marked as made here", c, path)
		}
	}
}

// producedByOf are the codes whose constants Of names.
func producedByOf(t *testing.T) map[wincode.Code]bool {
	t.Helper()
	of, err1 := os.ReadFile("of.go")
	codes, err2 := os.ReadFile("codes.go")
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	made := map[wincode.Code]bool{}
	for _, m := range regexp.MustCompile(`(\w+) +Code = (0x[0-9A-F]{8})`).FindAllStringSubmatch(string(codes), -1) {
		if regexp.MustCompile(`\b` + m[1] + `\b`).Match(of) {
			c, err := wincode.Parse(m[2])
			if err != nil {
				t.Fatal(err)
			}
			made[c] = true
		}
	}
	return made
}

func TestParse(t *testing.T) {
	for text, want := range map[string]wincode.Code{
		"0xC000006D": 0xC000006D, " c000006d ": 0xC000006D, "0x801C03F2": 0x801C03F2, "3399614476": 0xCAA2000C, "-2147024894": 0x80070002,
		"12029": 0x80072EFD,
	} {
		if got, err := wincode.Parse(text); err != nil || got != want {
			t.Errorf("%q is %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "50126", "AADSTS50126", "0x", "0x1000000000", "99999999999", "-5", "zzzzzzzz", "12345678", "0x0"} {
		if got, err := wincode.Parse(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

// Whatever an attempt ends with, there is a code for it, and a row for that.
func TestOBS03_EveryErrorHasAStatus(t *testing.T) {
	errs := []error{context.DeadlineExceeded, context.Canceled, errors.New("x"), fmt.Errorf("outer: %w", prterr.New(prterr.Denied, "x"))}
	for _, k := range prterr.Kinds() {
		errs = append(errs, prterr.New(k, "x"))
	}
	for _, row := range aadsts.Table() {
		errs = append(errs, prterr.AADSTS(row.Code, ""))
	}
	for _, e := range []uint32{0x80072ee2, 0x80072ee7, 0x80072efd, 0x80072efe, 0x80072f8f} {
		errs = append(errs, prterr.New(prterr.Unavailable, "x").WithWhere(prterr.Where{HTTPError: e}))
	}
	for _, err := range errs {
		if _, ok := wincode.Lookup(wincode.Of(err)); !ok {
			t.Errorf("%v: %v has no row", err, wincode.Of(err))
		}
	}
	if wincode.Of(nil) != 0 {
		t.Error("a good end has a code")
	}
	for code, want := range map[aadsts.Code]wincode.Code{
		aadsts.InvalidCredentials: 0xc000006d, aadsts.UserDisabled: 0xc0000072, aadsts.TenantNotFound: 0xc000005f, aadsts.AccountLocked: 0xc0000234, aadsts.DeviceDisabled: 0xc00000d0,
	} {
		if got := wincode.Of(prterr.AADSTS(code, "")); got != want {
			t.Errorf("%v is %v, want %v", code, got, want)
		}
	}
}

// TestFLT03_WhoAnswersDecides: what another component of the device does not know, take or
// answer sends nobody to the password, to the network or to a server. A server that
// throttles, or has a fault of its own, is a matter of the network, as Microsoft's page has
// it (HTTP above 400); and nobody says that what it does not find is the user.
func TestFLT03_WhoAnswersDecides(t *testing.T) {
	for kind, c := range map[prterr.Kind]struct{ us, cloud, local wincode.Code }{
		prterr.Unauthenticated: {wincode.LogonFailure, wincode.LogonFailure, wincode.InternalError},
		prterr.NotFound:        {wincode.NoSuchUser, wincode.RequestNotAccepted, wincode.InternalError},
		prterr.Unavailable:     {wincode.NetworkUnreachable, wincode.NetworkUnreachable, wincode.InternalError},
		prterr.Deadline:        {wincode.NetworkUnreachable, wincode.NetworkUnreachable, wincode.InternalError},
		prterr.Invalid:         {wincode.RequestNotAccepted, wincode.RequestNotAccepted, wincode.InternalError},
		prterr.Denied:          {wincode.RequestNotAccepted, wincode.RequestNotAccepted, wincode.InternalError},
		prterr.Conflict:        {wincode.RequestNotAccepted, wincode.RequestNotAccepted, wincode.InternalError},
		prterr.Exhausted:       {wincode.RequestNotAccepted, wincode.NetworkUnreachable, wincode.InternalError},
		prterr.Internal:        {wincode.InternalError, wincode.NetworkUnreachable, wincode.InternalError},
		prterr.KeysLost:        {wincode.BadKeyset, wincode.NetworkUnreachable, wincode.BadKeyset},
		prterr.TPMFailed:       {wincode.TPMInternal, wincode.NetworkUnreachable, wincode.TPMInternal},
		prterr.Interaction:     {wincode.InteractionRequired, wincode.InteractionRequired, wincode.InteractionRequired},
	} {
		for uri, want := range map[string]wincode.Code{
			"": c.us, "grpc://idp/prt.idp.v1.IssuanceService/RequestPRT": c.cloud, "https://tpm-agent/": c.cloud,
			"grpc://tpm-agent/prt.tpm.v1.PRTKeyService/SignPRTRequest": c.local, "grpc://dsreg/prt.dsreg.v1.DeviceStateService/GetDeviceState": c.local,
		} {
			if got := wincode.Of(prterr.New(kind, "x").WithWhere(prterr.Where{URI: uri})); got != want {
				t.Errorf("%s at %q is %v, want %v", kind, uri, got, want)
			}
		}
	}
	for code, want := range map[aadsts.Code]wincode.Code{aadsts.NoPassword: wincode.LogonFailure, aadsts.OnPremisesPasswordExpired: wincode.PasswordExpired,
		aadsts.Throttled: wincode.NetworkUnreachable, aadsts.ExternalRetryable: wincode.NetworkUnreachable, aadsts.InvalidClient: wincode.NetworkUnreachable, aadsts.InvalidDomain: wincode.NoSuchRealm} {
		if got := wincode.Of(prterr.AADSTS(code, "")); got != want {
			t.Errorf("%v is %v, want %v", code, got, want)
		}
	}
}
