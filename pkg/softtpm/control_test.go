package softtpm_test

import (
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/lockstep-sso/lockstep/pkg/softtpm"
)

// hierarchyControl turns a hierarchy on or off.
func hierarchyControl(tpm *softtpm.TPM, by, which uint32, on byte) error {
	_, err := raw(tpm, 0x121, []uint32{by}, []byte{}, append(be.AppendUint32(nil, which), on)...)
	return err
}

// A hierarchy that is off looks lost and comes back whole.
func TestFLT04_HierarchyDisabled(t *testing.T) {
	const ownerH, platformH = 0x40000001, 0x4000000c
	tpm := newTPM(t, softtpm.Config{})
	root := srk(t, tpm)
	b := must[blob](t)(create(tpm, root, skTemplate(true), "", span(0, 32)))
	ok(t, evict(tpm, tpm2.TPMRHOwner, root, 0x81000001))
	ok(t, define(tpm, owner, nvPublic(0x01800001, tpm2.TPMNTOrdinary, 4), ""))
	wantRC(t, "the endorsement by the owner", hierarchyControl(tpm, ownerH, 0x4000000b, 0), 0x124)
	ok(t, hierarchyControl(tpm, ownerH, ownerH, 0))
	_, err := primary(tpm, tpm2.TPMRHOwner, tpm2.ECCSRKTemplate)
	wantRC(t, "CreatePrimary", err, 0x185)
	_, err = tpm2.ReadPublic{ObjectHandle: tpm2.TPMHandle(0x81000001)}.Execute(tpm)
	wantRC(t, "persistent object", err, 0x18b)
	_, err = tpm2.ReadPublic{ObjectHandle: root.Handle}.Execute(tpm)
	wantRC(t, "loaded object", err, 0x910)
	_, err = tpm2.NVReadPublic{NVIndex: tpm2.TPMHandle(0x01800001)}.Execute(tpm)
	wantRC(t, "NV index", err, 0x18b)
	wantRC(t, "on by the owner", hierarchyControl(tpm, ownerH, ownerH, 1), 0x185)
	ok(t, hierarchyControl(tpm, platformH, ownerH, 1))
	root.Handle = 0x81000001
	must[key](t)(load(tpm, root, b))
	if again := srk(t, tpm); !bytes.Equal(again.Name.Buffer, root.Name.Buffer) {
		t.Error("another SRK")
	}
	index(t, tpm, 0x01800001)

	// Off does not outlast a restart.
	ok(t, hierarchyControl(tpm, platformH, 0x4000000b, 0))
	_, err = primary(tpm, tpm2.TPMRHEndorsement, tpm2.ECCEKTemplate)
	wantRC(t, "endorsement off", err, 0x185)
	again := newTPM(t, softtpm.Config{State: must[[]byte](t)(tpm.Marshal())})
	must[key](t)(primary(again, tpm2.TPMRHEndorsement, tpm2.ECCEKTemplate))
	ok(t, hierarchyControl(again, platformH, platformH, 0))
	wantRC(t, "platform off for good", hierarchyControl(again, platformH, platformH, 1), 0x185)
}

func TestClearControl(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	control := func(by uint32, disable byte) error {
		_, err := raw(tpm, 0x127, []uint32{by}, []byte{}, disable)
		return err
	}
	ok(t, control(0x4000000a, 1))
	wantRC(t, "Clear while it is disabled", clearBy(tpm, tpm2.TPMRHLockout), 0x120)
	if f := property(t, tpm, tpm2.TPMPTPermanent); f&(1<<8) == 0 {
		t.Errorf("permanent flags %#x without disableClear", f)
	}
	tpm = newTPM(t, softtpm.Config{State: must[[]byte](t)(tpm.Marshal())})
	wantRC(t, "after a restart", clearBy(tpm, tpm2.TPMRHPlatform), 0x120)
	wantRC(t, "allowed by the lockout", control(0x4000000a, 0), 0x08e)
	ok(t, control(0x4000000c, 0))
	ok(t, clearBy(tpm, tpm2.TPMRHLockout))
}

// A state that version 1 of the format holds (testdata/state-v1.bin, with what
// was in it beside it) opens, works and is saved as the present version.
func TestStateVersion1(t *testing.T) {
	want := map[string][]byte{}
	for line := range strings.Lines(string(must[[]byte](t)(os.ReadFile("testdata/state-v1.txt")))) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		want[name] = must[[]byte](t)(hex.DecodeString(value))
	}
	tpm := newTPM(t, softtpm.Config{State: must[[]byte](t)(os.ReadFile("testdata/state-v1.bin"))})
	_, err := primary(tpm, tpm2.TPMRHOwner, tpm2.ECCSRKTemplate)
	wantRC(t, "owner auth was kept", err, 0x9a2)
	ok(t, changeAuth(tpm, tpm2.TPMRHOwner, "own", ""))
	root := srk(t, tpm)
	if !bytes.Equal(root.Name.Buffer, want["srk"]) {
		t.Error("another SRK")
	}
	if ek := must[key](t)(primary(tpm, tpm2.TPMRHEndorsement, tpm2.ECCEKTemplate)); !bytes.Equal(ek.Name.Buffer, want["ek"]) {
		t.Error("another EK")
	}
	if n := property(t, tpm, tpm2.TPMPTMaxAuthFail); n != 7 {
		t.Errorf("%d tries, want 7", n)
	}
	flush(t, tpm, root.Handle)
	root.Handle = 0x81000001
	sk := must[key](t)(load(tpm, root, blob{
		*must[*tpm2.TPM2BPublic](t)(tpm2.Unmarshal[tpm2.TPM2BPublic](want["pub"])),
		*must[*tpm2.TPM2BPrivate](t)(tpm2.Unmarshal[tpm2.TPM2BPrivate](want["priv"])),
	}))
	must[[]byte](t)(hmacOf(tpm, sk.pw("pin"), nil))
	ok(t, define(tpm, owner, nvPublic(0x01800001, tpm2.TPMNTOrdinary, 4), ""))

	state := must[[]byte](t)(tpm.Marshal())
	if state[9] != 2 {
		t.Errorf("saved as version %d", state[9])
	}
	again := newTPM(t, softtpm.Config{State: state})
	index(t, again, 0x01800001)
	if _, err := (tpm2.ReadPublic{ObjectHandle: tpm2.TPMHandle(0x81000001)}).Execute(again); err != nil {
		t.Error(err)
	}
}
