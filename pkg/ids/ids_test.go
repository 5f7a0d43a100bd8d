package ids_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/ids"
)

func TestParseUPN(t *testing.T) {
	good := map[string]string{"Alice@Contoso.Test": "alice@contoso.test", "a@b": "a@b", "o'neil+x@sub.contoso.test": "o'neil+x@sub.contoso.test"}
	for in, want := range good {
		if got, err := ids.ParseUPN(in); err != nil || string(got) != want {
			t.Errorf("%q: got %q, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "alice", "@contoso.test", "alice@", "a@b@c", "a b@c.test", "a\n@c.test", "a@.test", "a@c..test", "a@c.", "ä@c.test", strings.Repeat("a", 120) + "@c.test"} {
		if got, err := ids.ParseUPN(in); err == nil {
			t.Errorf("%q was taken as %q", in, got)
		}
	}
}

func TestParseIDs(t *testing.T) {
	const guid = "6F9619FF-8B86-D011-B42D-00C04FC964FF"
	got, err := ids.ParseDevice(guid)
	if err != nil || string(got) != strings.ToLower(guid) {
		t.Fatalf("got %q, %v", got, err)
	}
	for _, in := range []string{"", "x", "{" + guid + "}", strings.ReplaceAll(guid, "-", ""), guid[:35] + "g", "urn:uuid:" + guid} {
		if got, err := ids.ParseTenant(in); err == nil {
			t.Errorf("%q was taken as %q", in, got)
		}
	}
}

func TestGUIDBytesLE(t *testing.T) {
	b, err := ids.GUIDBytesLE("00112233-4455-6677-8899-aabbccddeeff")
	if err != nil || hex.EncodeToString(b[:]) != "33221100554477668899aabbccddeeff" {
		t.Fatalf("got %x, %v", b, err)
	}
	if s := ids.GUIDFromBytesLE(b); s != "00112233-4455-6677-8899-aabbccddeeff" {
		t.Errorf("back to %s", s)
	}
}

func TestSID(t *testing.T) {
	got, err := ids.SID("73d664e4-0886-4a73-b745-c694da45ddb4") // the example of Microsoft's documentation
	if err != nil || got != "S-1-12-1-1943430372-1249052806-2496021943-3034400218" {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := ids.SID("x"); err == nil {
		t.Error("not a GUID, and taken")
	}
}
