package softtpm_test

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"slices"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/lockstep-sso/lockstep/pkg/softtpm"
)

// What a caller sees of NV, policies, audit and PCRs by GetCapability.
func TestCapabilityLists(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	ask := func(c tpm2.TPMCap, first uint32) *tpm2.TPMUCapabilities {
		r, err := tpm2.GetCapability{Capability: c, Property: first, PropertyCount: 100}.Execute(tpm)
		ok(t, err)
		return &r.CapabilityData.Data
	}
	for _, h := range []tpm2.TPMHandle{0x01800002, 0x01800001} {
		ok(t, define(tpm, owner, nvPublic(h, tpm2.TPMNTCounter, 8), ""))
	}
	if h := must[*tpm2.TPMLHandle](t)(ask(tpm2.TPMCapHandles, 0x01000000).Handles()); !slices.Equal(h.Handle, []tpm2.TPMHandle{0x01800001, 0x01800002}) {
		t.Errorf("NV handles %x", h.Handle)
	}
	if n := property(t, tpm, tpm2.TPMPTNVCounters); n != 2 {
		t.Errorf("%d counters", n)
	}
	s, end, err := tpm2.PolicySession(tpm, tpm2.TPMAlgSHA256, 16)
	ok(t, err)
	if h := must[*tpm2.TPMLHandle](t)(ask(tpm2.TPMCapHandles, 0x02000000).Handles()); !slices.Equal(h.Handle, []tpm2.TPMHandle{tpm2.TPMHandle(s.Handle().HandleValue())}) {
		t.Errorf("loaded sessions %x", h.Handle)
	}
	ok(t, end())
	if c := must[*tpm2.TPMLCC](t)(ask(tpm2.TPMCapAuditCommands, 0).AuditCommands()); !slices.Equal(c.CommandCodes, []tpm2.TPMCC{tpm2.TPMCCSetCommandCodeAuditStatus}) {
		t.Errorf("audited %v", c.CommandCodes)
	}
	if p := must[*tpm2.TPMLPCRSelection](t)(ask(tpm2.TPMCapPCRs, 0).AssignedPCR()); len(p.PCRSelections) != 3 {
		t.Errorf("%d banks", len(p.PCRSelections))
	}
	_, err = raw(tpm, 0x17a, nil, nil, u32(1, 0x55000000, 1)...)
	wantRC(t, "handles of no kind", err, 0x2cb)
	if r := must[[]byte](t)(raw(tpm, 0x17a, nil, nil, u32(9, hOwner, 10)...)); be.Uint32(r[5:]) != 4 || len(r) != 9+4*6 {
		t.Errorf("policies %x", r)
	}
	if r := must[[]byte](t)(raw(tpm, 0x17a, nil, nil, u32(7, 0, 10)...)); !bytes.Equal(r[9:], cat(u32(1), []byte{3, 0xff, 0xff, 0x81}, u32(2), []byte{3, 0, 0, 0x81}, u32(0x11), []byte{3, 0, 0, 0xe1})) {
		t.Errorf("PCR properties %x", r[9:])
	}
	if f := property(t, tpm, tpm2.TPMPTStartupClear); f != 0x8000000f {
		t.Errorf("startup flags %#x", f)
	}
}

// The clock runs, is set forward alone, and starts anew with a Clear.
func TestClock(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	tpm := newTPM(t, softtpm.Config{Now: func() time.Time { return now }})
	read := func() (run, clock uint64) {
		r := must[[]byte](t)(raw(tpm, 0x181, nil, nil))
		return be.Uint64(r), be.Uint64(r[8:])
	}
	now = now.Add(5 * time.Second)
	if run, clock := read(); run != 5000 || clock != 5000 {
		t.Errorf("time %d, clock %d", run, clock)
	}
	set := func(ms uint64) error {
		_, err := raw(tpm, 0x128, []uint32{hOwner}, []byte{}, be.AppendUint64(nil, ms)...)
		return err
	}
	wantRC(t, "back", set(4999), 0x1c4)
	ok(t, set(60_000))
	now = now.Add(time.Second)
	if run, clock := read(); run != 6000 || clock != 61_000 {
		t.Errorf("time %d, clock %d", run, clock)
	}
	state := must[[]byte](t)(tpm.Marshal())
	ok(t, clearBy(tpm, tpm2.TPMRHLockout))
	if run, clock := read(); run != 6000 || clock != 0 {
		t.Errorf("after Clear: time %d, clock %d", run, clock)
	}
	tpm = newTPM(t, softtpm.Config{State: state, Now: func() time.Time { return now }})
	if run, clock := read(); run != 0 || clock != 61_000 {
		t.Errorf("after a restart: time %d, clock %d", run, clock)
	}
}

// An event extends every bank by its own hash.
func TestPCREvent(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	data := []byte("event")
	a, b, c := sha1.Sum(data), sha256.Sum256(data), sha512.Sum384(data)
	want := cat(u32(3), u16(4), a[:], u16(0xb), b[:], u16(0xc), c[:])
	r := must[[]byte](t)(raw(tpm, 0x13c, []uint32{16}, []byte{}, sized(data)...))
	if !bytes.Equal(r[4:4+len(want)], want) {
		t.Errorf("digests %x, want %x", r[4:], want)
	}
	// The same by a sequence, extending nothing.
	h := be.Uint32(must[[]byte](t)(raw(tpm, 0x186, nil, nil, 0, 0, 0, 0x10)))
	_, err := raw(tpm, 0x15c, []uint32{h}, []byte{}, sized(data[:2])...)
	ok(t, err)
	r, err = twice(tpm, 0x185, []uint32{hNull, h}, sized(data[2:])...)
	ok(t, err)
	if !bytes.Equal(r[4:4+len(want)], want) {
		t.Errorf("digests of the sequence %x", r[4:])
	}
	e1, e2, e3 := sha1.Sum(cat(make([]byte, 20), a[:])), sha256.Sum256(cat(make([]byte, 32), b[:])), sha512.Sum384(cat(make([]byte, 48), c[:]))
	sel := []byte{3, 0, 0, 1}
	r = must[[]byte](t)(raw(tpm, 0x17e, nil, nil, cat(u32(3), u16(4), sel, u16(0xb), sel, u16(0xc), sel)...))
	if values := cat(u32(3), sized(e1[:]), sized(e2[:]), sized(e3[:])); !bytes.HasSuffix(r, values) {
		t.Errorf("PCR 16 is %x, want %x", r, values)
	}
}

// RSA_Encrypt is undone by RSA_Decrypt with the same label only.
func TestRSAEncrypt(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	k := made(t, tpm, srk(t, tpm), tkTemplate(tpm2.TPMAlgSHA256), "", nil)
	label := []byte("label\x00")
	c := must[[]byte](t)(raw(tpm, 0x174, []uint32{uint32(k.Handle)}, nil, cat(sized([]byte("secret")), u16(0x10), sized(label))...))
	open := func(label []byte) ([]byte, error) {
		return raw(tpm, 0x159, []uint32{uint32(k.Handle)}, []byte{}, cat(c, u16(0x10), sized(label))...)
	}
	if m := must[[]byte](t)(open(label)); !bytes.HasPrefix(m[4:], sized([]byte("secret"))) {
		t.Errorf("decrypted %x", m)
	}
	_, err := open(nil)
	wantRC(t, "another label", err, 0x084)
	_, err = open(label[:5])
	wantRC(t, "a label without its end", err, 0x3c4)
	_, err = raw(tpm, 0x174, []uint32{uint32(k.Handle)}, nil, cat(sized(make([]byte, 200)), u16(0x10), sized(nil))...)
	wantRC(t, "too long", err, 0x084)
}

func TestTestParms(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	for _, v := range []struct {
		name  string
		parms []byte
		want  uint32
	}{
		{"RSA-2048", cat(u16(1, 0x10, 0x10, 2048), u32(0)), 0},
		{"RSA-3072 is not made here", cat(u16(1, 0x10, 0x10, 3072), u32(0)), 0x1c4},
		{"P-521", u16(0x23, 0x10, 0x10, 5, 0x10), 0},
		{"unknown curve", u16(0x23, 0x10, 0x10, 0x77, 0x10), 0x1e6},
		{"AES-256-CTR", u16(0x25, 6, 256, 0x40), 0},
		{"AES-512", u16(0x25, 6, 512, 0x40), 0x1c4},
	} {
		if _, err := raw(tpm, 0x18a, nil, nil, v.parms...); v.want == 0 {
			ok(t, err)
		} else {
			wantRC(t, v.name, err, v.want)
		}
	}
}
