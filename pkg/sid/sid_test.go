package sid_test

import (
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/sid"
)

// The known answers were worked out by hand from the definition: each number is one
// group of four bytes of the GUID in its Windows order.
func TestOfUser(t *testing.T) {
	for id, want := range map[ids.UserID]sid.SID{
		"00000000-0000-0000-0000-000000000000": "S-1-12-1-0-0-0-0",
		"00000001-0000-0000-0000-000000000000": "S-1-12-1-1-0-0-0",
		// 0x73d664e4, 0x4a73 above 0x0886, and the bytes b7 45 c6 94 and da 45 dd b4
		// little-endian; a pair that is well known.
		"73d664e4-0886-4a73-b745-c694da45ddb4": "S-1-12-1-1943430372-1249052806-2496021943-3034400218",
	} {
		if got, err := sid.OfUser(id); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", id, got, err, want)
		}
	}
	if _, err := sid.OfUser("alice"); err == nil {
		t.Error("a name became an identifier")
	}
}

func TestAccountsOfAMachine(t *testing.T) {
	m := sid.MachineOf([12]byte{1, 0, 0, 0, 2, 0, 0, 0, 0xff, 0xff, 0xff, 0xff})
	if got := m.Account(1001); got != "S-1-5-21-1-2-4294967295-1001" {
		t.Errorf("got %s", got)
	}
	if m.Zero() || !(sid.Machine{}).Zero() {
		t.Error("Zero is wrong")
	}
	if one, two := sid.NewMachine(), sid.NewMachine(); one == two {
		t.Error("two machines have one name")
	}
}

func TestParse(t *testing.T) {
	user, err := sid.OfUser("73d664e4-0886-4a73-b745-c694da45ddb4")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []sid.SID{user, sid.NewMachine().Account(sid.FirstRID)} {
		if got, err := sid.Parse(string(s)); err != nil || got != s {
			t.Errorf("%s: %s, %v", s, got, err)
		}
	}
	for _, s := range []string{
		"", "S-1-5-18", "S-1-12-1-1-2-3", "S-1-12-1-1-2-3-4-5", "S-1-12-1-01-2-3-4", "S-1-12-1-4294967296-2-3-4",
		"S-1-5-21-1-2-3-x", "s-1-5-21-1-2-3-4", "S-1-5-21-1-2-3-", "S-1-12-1-+1-2-3-4", strings.Repeat("S-1-12-1-", 1000),
	} {
		if _, err := sid.Parse(s); err == nil {
			t.Errorf("%.40q was taken", s)
		}
	}
}
