package softtpm_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/lockstep-sso/lockstep/pkg/softtpm"
)

func property(t testing.TB, tpm transport.TPM, p tpm2.TPMPT) uint32 {
	t.Helper()
	r, err := tpm2.GetCapability{Capability: tpm2.TPMCapTPMProperties, Property: uint32(p), PropertyCount: 1}.Execute(tpm)
	ok(t, err)
	l := must[*tpm2.TPMLTaggedTPMProperty](t)(r.CapabilityData.Data.TPMProperties())
	if len(l.TPMProperty) != 1 || l.TPMProperty[0].Property != p {
		t.Fatalf("property %#x: got %+v", p, l)
	}
	return l.TPMProperty[0].Value
}

func changeAuth(tpm transport.TPM, h tpm2.TPMHandle, from, to string) error {
	_, err := tpm2.HierarchyChangeAuth{AuthHandle: tpm2.AuthHandle{Handle: h, Name: tpm2.HandleName(h), Auth: tpm2.PasswordAuth([]byte(from))},
		NewAuth: tpm2.TPM2BAuth{Buffer: []byte(to)}}.Execute(tpm)
	return err
}

// REG04 needs the family to tell 2.0 from 1.2.
func TestREG04_Capabilities(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	if v := property(t, tpm, tpm2.TPMPTFamilyIndicator); v != 0x322e3000 {
		t.Errorf("family %#x, want \"2.0\"", v)
	}
	if v := property(t, tpm, tpm2.TPMPTManufacturer); v != 0x534f4654 {
		t.Errorf("manufacturer %#x, want \"SOFT\"", v)
	}
	ask := func(c tpm2.TPMCap, first, n uint32) *tpm2.GetCapabilityResponse {
		r, err := tpm2.GetCapability{Capability: c, Property: first, PropertyCount: n}.Execute(tpm)
		ok(t, err)
		return r
	}
	r := ask(tpm2.TPMCapCommands, 0, 3)
	cmds := must[*tpm2.TPMLCCA](t)(r.CapabilityData.Data.Command())
	if len(cmds.CommandAttributes) != 3 || !r.MoreData {
		t.Errorf("3 commands asked: %d, more %v", len(cmds.CommandAttributes), r.MoreData)
	}
	r = ask(tpm2.TPMCapCommands, 0, 1000)
	cmds = must[*tpm2.TPMLCCA](t)(r.CapabilityData.Data.Command())
	if n := property(t, tpm, tpm2.TPMPTTotalCommands); int(n) != len(cmds.CommandAttributes) || r.MoreData {
		t.Errorf("%d commands listed, %d counted", len(cmds.CommandAttributes), n)
	}
	algs := must[*tpm2.TPMLAlgProperty](t)(ask(tpm2.TPMCapAlgs, 0, 100).CapabilityData.Data.Algorithms())
	if len(algs.AlgProperties) < 10 {
		t.Errorf("%d algorithms", len(algs.AlgProperties))
	}
	root := srk(t, tpm)
	handles := must[*tpm2.TPMLHandle](t)(ask(tpm2.TPMCapHandles, 0x80000000, 10).CapabilityData.Data.Handles())
	if len(handles.Handle) != 1 || handles.Handle[0] != root.Handle {
		t.Errorf("transient handles %v", handles.Handle)
	}
	if free := property(t, tpm, tpm2.TPMPTHRTransientAvail); free != 2 {
		t.Errorf("%d slots free, want 2", free)
	}
	_, err := tpm2.GetCapability{Capability: 0x100, PropertyCount: 1}.Execute(tpm)
	wantRC(t, "capability that is not offered", err, 0x1c4)
}

func TestRandomAndSelfTest(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	a, err := tpm2.GetRandom{BytesRequested: 32}.Execute(tpm)
	ok(t, err)
	b, err := tpm2.GetRandom{BytesRequested: 1000}.Execute(tpm)
	ok(t, err)
	if len(a.RandomBytes.Buffer) != 32 || len(b.RandomBytes.Buffer) != 64 || bytes.Equal(a.RandomBytes.Buffer, b.RandomBytes.Buffer[:32]) {
		t.Errorf("random %x %x", a.RandomBytes.Buffer, b.RandomBytes.Buffer)
	}
	_, err = raw(tpm, 0x143, nil, nil, 1)
	ok(t, err)
	if r := must[[]byte](t)(raw(tpm, 0x17c, nil, nil)); !bytes.Equal(r, make([]byte, 6)) {
		t.Errorf("test result %x", r)
	}
	_, err = tpm2.Shutdown{ShutdownType: tpm2.TPMSUClear}.Execute(tpm)
	ok(t, err)
}

func TestPCR(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	sel := tpm2.TPMLPCRSelection{PCRSelections: []tpm2.TPMSPCRSelection{{Hash: tpm2.TPMAlgSHA256, PCRSelect: tpm2.PCClientCompatible.PCRs(7, 17)}}}
	read := func() [][]byte {
		r, err := tpm2.PCRRead{PCRSelectionIn: sel}.Execute(tpm)
		ok(t, err)
		var v [][]byte
		for _, d := range r.PCRValues.Digests {
			v = append(v, d.Buffer)
		}
		return v
	}
	v := read()
	if len(v) != 2 || !bytes.Equal(v[0], make([]byte, 32)) || !bytes.Equal(v[1], bytes.Repeat([]byte{0xff}, 32)) {
		t.Fatalf("PCRs at start %x", v)
	}
	event := sha256.Sum256([]byte("event"))
	_, err := tpm2.PCRExtend{PCRHandle: tpm2.AuthHandle{Handle: tpm2.TPMHandle(7), Name: tpm2.HandleName(tpm2.TPMHandle(7)), Auth: tpm2.PasswordAuth(nil)},
		Digests: tpm2.TPMLDigestValues{Digests: []tpm2.TPMTHA{{HashAlg: tpm2.TPMAlgSHA256, Digest: event[:]}}}}.Execute(tpm)
	ok(t, err)
	if want := sha256.Sum256(append(make([]byte, 32), event[:]...)); !bytes.Equal(read()[0], want[:]) {
		t.Error("PCR 7 was extended wrongly")
	}
}

func TestContextSaveLoad(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	root := srk(t, tpm)
	k := made(t, tpm, root, skTemplate(true), "pw", span(0, 32))
	saved, err := tpm2.ContextSave{SaveHandle: k.Handle}.Execute(tpm)
	ok(t, err)
	flush(t, tpm, k.Handle)
	r, err := tpm2.ContextLoad{Context: saved.Context}.Execute(tpm)
	ok(t, err)
	k.Handle = r.LoadedHandle
	if got := must[[]byte](t)(hmacOf(tpm, k.pw("pw"), []byte("x"))); !bytes.Equal(got, mac(span(0, 32), []byte("x"))) {
		t.Error("another key came back")
	}
	flush(t, tpm, k.Handle)
	ok(t, clearBy(tpm, tpm2.TPMRHLockout))
	_, err = tpm2.ContextLoad{Context: saved.Context}.Execute(tpm)
	wantRC(t, "context after Clear", err, 0x1df)
}

func clearBy(tpm transport.TPM, h tpm2.TPMHandle) error {
	_, err := tpm2.Clear{AuthHandle: tpm2.AuthHandle{Handle: h, Name: tpm2.HandleName(h), Auth: tpm2.PasswordAuth(nil)}}.Execute(tpm)
	return err
}

func evict(tpm transport.TPM, h tpm2.TPMHandle, k key, to tpm2.TPMHandle) error {
	_, err := tpm2.EvictControl{Auth: tpm2.AuthHandle{Handle: h, Name: tpm2.HandleName(h), Auth: tpm2.PasswordAuth(nil)},
		ObjectHandle: &tpm2.NamedHandle{Handle: k.Handle, Name: k.Name}, PersistentHandle: to}.Execute(tpm)
	return err
}

// Clear kills owner keys, blobs and persistent objects; the endorsement key
// stays.
func TestClear(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	ek := must[key](t)(primary(tpm, tpm2.TPMRHEndorsement, tpm2.ECCEKTemplate))
	flush(t, tpm, ek.Handle)
	root := srk(t, tpm)
	ok(t, evict(tpm, tpm2.TPMRHOwner, root, 0x81000001))
	b := must[blob](t)(create(tpm, root, skTemplate(true), "", span(0, 32)))
	ok(t, changeAuth(tpm, tpm2.TPMRHOwner, "", "owned"))
	_, err := primary(tpm, tpm2.TPMRHOwner, tpm2.ECCSRKTemplate)
	wantRC(t, "owner auth is set", err, 0x9a2)
	ok(t, clearBy(tpm, tpm2.TPMRHLockout))
	_, err = load(tpm, root, b)
	wantRC(t, "old handle", err, 0x910)
	after := srk(t, tpm) // the owner auth is gone too
	if bytes.Equal(after.Name.Buffer, root.Name.Buffer) {
		t.Error("the SRK survived Clear")
	}
	_, err = load(tpm, after, b)
	wantRC(t, "old blob", err, 0x1df)
	_, err = tpm2.ReadPublic{ObjectHandle: tpm2.TPMHandle(0x81000001)}.Execute(tpm)
	wantRC(t, "old persistent handle", err, 0x18b)
	again := must[key](t)(primary(tpm, tpm2.TPMRHEndorsement, tpm2.ECCEKTemplate))
	if !bytes.Equal(again.Name.Buffer, ek.Name.Buffer) {
		t.Error("the endorsement key changed")
	}
}

func TestEvictControl(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	root := srk(t, tpm)
	ok(t, evict(tpm, tpm2.TPMRHOwner, root, 0x81000001))
	wantRC(t, "place is taken", evict(tpm, tpm2.TPMRHOwner, root, 0x81000001), 0x14c)
	wantRC(t, "half of the platform", evict(tpm, tpm2.TPMRHOwner, root, 0x81800001), 0x1cd)
	wantRC(t, "owner key by the platform", evict(tpm, tpm2.TPMRHPlatform, root, 0x81800001), 0x285)
	flush(t, tpm, root.Handle)
	// A persistent key takes a slot while a command uses it, and what Create
	// makes takes another, as on a chip.
	persistent := root
	persistent.Handle = 0x81000001
	for i := range 2 {
		_, err := create(tpm, persistent, skTemplate(true), "", []byte(fmt.Sprint("key", i)))
		ok(t, err)
		must[key](t)(primary(tpm, tpm2.TPMRHNull, tpm2.ECCSRKTemplate))
	}
	_, err := create(tpm, persistent, skTemplate(true), "", span(0, 32))
	wantRC(t, "no slot for what is made", err, 0x902)
	_, err = tpm2.ReadPublic{ObjectHandle: persistent.Handle}.Execute(tpm)
	ok(t, err)
	must[key](t)(primary(tpm, tpm2.TPMRHNull, tpm2.ECCSRKTemplate))
	_, err = tpm2.ReadPublic{ObjectHandle: persistent.Handle}.Execute(tpm)
	wantRC(t, "no slot to use it", err, 0x902)
	flush(t, tpm, 0x80000002)
	ok(t, evict(tpm, tpm2.TPMRHOwner, persistent, 0x81000001))
	_, err = tpm2.ReadPublic{ObjectHandle: tpm2.TPMHandle(0x81000001)}.Execute(tpm)
	wantRC(t, "removed", err, 0x18b)
	flush(t, tpm, 0x80000000)
	root = srk(t, tpm)
	for i := range 64 {
		ok(t, evict(tpm, tpm2.TPMRHOwner, root, tpm2.TPMHandle(0x81000100)+tpm2.TPMHandle(i)))
	}
	wantRC(t, "full", evict(tpm, tpm2.TPMRHOwner, root, 0x81000200), 0x14b)
}

func TestFailureMode(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	root := srk(t, tpm)
	tpm.Fail(true)
	_, err := tpm2.GetRandom{BytesRequested: 4}.Execute(tpm)
	wantRC(t, "GetRandom", err, 0x101)
	_, err = raw(tpm, 0x17c, nil, nil)
	wantRC(t, "GetTestResult", err, 0x101)
	tpm.Fail(false)
	_, err = tpm2.ReadPublic{ObjectHandle: root.Handle}.Execute(tpm)
	ok(t, err)
}
