package softtpm_test

import (
	"bytes"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/lockstep-sso/lockstep/pkg/softtpm"
)

// What other TPMs were seen to do, and the specification leaves to notes.

// An orderly index forgets at a reset; a counter does not.
func TestNVOrderly(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	p := nvPublic(0x01800001, tpm2.TPMNTOrdinary, 4)
	p.Attributes.Orderly = true
	ok(t, define(tpm, owner, p, ""))
	ok(t, nvWrite(t, tpm, owner, p.NVIndex, "", []byte{7}, 1))
	if got := must[[]byte](t)(nvRead(t, tpm, owner, p.NVIndex, "", 4, 0)); !bytes.Equal(got, []byte{0, 7, 0, 0}) {
		t.Errorf("the part that was never written reads as %x", got)
	}
	n := nvPublic(0x01800002, tpm2.TPMNTCounter, 8)
	n.Attributes.Orderly = true
	ok(t, define(tpm, owner, n, ""))
	_, err := raw(tpm, 0x134, []uint32{hOwner, uint32(n.NVIndex)}, []byte{})
	ok(t, err)
	want := must[[]byte](t)(nvRead(t, tpm, owner, n.NVIndex, "", 8, 0))
	ok(t, tpm.PowerCycle())
	start(t, tpm)
	_, err = nvRead(t, tpm, owner, p.NVIndex, "", 4, 0)
	wantRC(t, "after a reset", err, 0x14a)
	if got := must[[]byte](t)(nvRead(t, tpm, owner, n.NVIndex, "", 8, 0)); !bytes.Equal(got, want) {
		t.Errorf("the counter is %x, was %x", got, want)
	}
}

// The orderly bit tells whether Shutdown was the last thing before the start,
// also over a saved state.
func TestOrderlyShutdown(t *testing.T) {
	orderly := func(tpm *softtpm.TPM) bool { return property(t, tpm, tpm2.TPMPTStartupClear)>>31 == 1 }
	tpm := newTPM(t, softtpm.Config{})
	tpm = newTPM(t, softtpm.Config{State: must[[]byte](t)(tpm.Marshal())})
	if orderly(tpm) {
		t.Error("orderly without Shutdown")
	}
	_, err := tpm2.Shutdown{ShutdownType: tpm2.TPMSUClear}.Execute(tpm)
	ok(t, err)
	again := newTPM(t, softtpm.Config{State: must[[]byte](t)(tpm.Marshal())})
	if !orderly(again) {
		t.Error("not orderly after Shutdown")
	}
	ok(t, define(tpm, owner, nvPublic(0x01800001, tpm2.TPMNTOrdinary, 4), ""))
	ok(t, tpm.PowerCycle())
	start(t, tpm)
	if orderly(tpm) {
		t.Error("orderly though something changed after Shutdown")
	}
}

// Clear brings back the limits of the lockout that a new TPM has.
func TestClearResetsLimits(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	limits := func() [3]uint32 {
		return [3]uint32{property(t, tpm, tpm2.TPMPTMaxAuthFail), property(t, tpm, tpm2.TPMPTLockoutInterval), property(t, tpm, tpm2.TPMPTLockoutRecovery)}
	}
	first := limits()
	_, err := raw(tpm, 0x13a, []uint32{uint32(tpm2.TPMRHLockout)}, []byte{}, u32(5, 6, 7)...)
	ok(t, err)
	if l := limits(); l != [3]uint32{5, 6, 7} {
		t.Errorf("limits %v", l)
	}
	ok(t, clearBy(tpm, tpm2.TPMRHLockout))
	if l := limits(); l != first {
		t.Errorf("after Clear %v, of a new TPM %v", l, first)
	}
}

// Data too short to be an attestation gets a ticket of Hash, which sees all of
// it, and none of a sequence, whose first block might be any start.
func TestTicketOfShortData(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	hierarchy := func(r []byte) uint32 { return be.Uint32(r[2+32+2:]) }
	for data, want := range map[string]uint32{"": hOwner, "abc": hOwner, "\xffTCG": hNull, "\xffTCG...": hNull, "longer": hOwner} {
		r := must[[]byte](t)(raw(tpm, 0x17d, nil, nil, cat(sized([]byte(data)), u16(0xb), u32(hOwner))...))
		if h := hierarchy(r); h != want {
			t.Errorf("Hash of %q: a ticket of %#x", data, h)
		}
	}
	for first, want := range map[string]uint32{"": hNull, "\xffTC": hNull, "\xffTCG": hNull, "four": hOwner} {
		h := be.Uint32(must[[]byte](t)(raw(tpm, 0x186, nil, nil, 0, 0, 0, 0xb)))
		_, err := raw(tpm, 0x15c, []uint32{h}, []byte{}, sized([]byte(first))...)
		ok(t, err)
		r := must[[]byte](t)(raw(tpm, 0x13e, []uint32{h}, []byte{}, cat(sized([]byte("G and more")), u32(hOwner))...))
		if h := hierarchy(r[4:]); h != want {
			t.Errorf("a sequence that begins with %q: a ticket of %#x", first, h)
		}
	}
}

// The platform removes the owner's persistent keys, and makes none for it.
func TestPlatformEvicts(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	root := srk(t, tpm)
	ok(t, evict(tpm, tpm2.TPMRHOwner, root, 0x81000001))
	wantRC(t, "a key of the owner", evict(tpm, platform, root, 0x81800001), 0x285)
	root.Handle = 0x81000001
	ok(t, evict(tpm, platform, root, 0x81000001))
	_, err := tpm2.ReadPublic{ObjectHandle: root.Handle}.Execute(tpm)
	wantRC(t, "removed", err, 0x18b)
}

// A duplicate does not tell how long the authValue is.
func TestDuplicateIsPadded(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	root := srk(t, tpm)
	tmpl := skTemplate(false)
	tmpl.AuthPolicy = trialDigest(t, tpm, func(h tpm2.TPMISHPolicy) error {
		_, err := tpm2.PolicyCommandCode{PolicySession: h, Code: tpm2.TPMCCDuplicate}.Execute(tpm)
		return err
	})
	var sizes []int
	for _, auth := range []string{"", "pin", "a longer one"} {
		k := made(t, tpm, root, tmpl, auth, span(0, 32))
		d, err := duplicateOf(tpm, k, allowDuplicate(), nil)
		ok(t, err)
		sizes = append(sizes, len(d.Duplicate.Buffer))
		flush(t, tpm, k.Handle)
	}
	if sizes[0] != sizes[1] || sizes[1] != sizes[2] {
		t.Errorf("sizes %v", sizes)
	}
}

// What is loaded under a parent that does not outlive a reset does not either.
func TestStClearIsInherited(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	tmpl := tpm2.ECCSRKTemplate
	tmpl.ObjectAttributes.STClear = true
	root := must[key](t)(primary(tpm, tpm2.TPMRHOwner, tmpl))
	k := made(t, tpm, root, skTemplate(true), "", span(0, 32))
	for _, o := range []key{root, k} {
		wantRC(t, "made persistent", evict(tpm, owner, o, 0x81000001), 0x282)
	}
}
