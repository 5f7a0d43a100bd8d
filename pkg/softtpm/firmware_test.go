package softtpm_test

import (
	"testing"

	"github.com/google/go-tpm/tpm2"

	"github.com/lockstep-sso/lockstep/pkg/softtpm"
)

// TestWhatFirmwareDoes: keys under the owner end with a clear, and not with another
// measurement; a TPM that runs may be started again.
func TestWhatFirmwareDoes(t *testing.T) {
	tpm, err := softtpm.New(softtpm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := tpm.StartUp(); err != nil {
			t.Fatal(err)
		}
	}
	primary := func() tpm2.TPM2BName {
		t.Helper()
		p, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute(tpm)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := (tpm2.FlushContext{FlushHandle: p.ObjectHandle}).Execute(tpm); err != nil {
			t.Fatal(err)
		}
		return p.Name
	}
	read := func() string {
		t.Helper()
		r, err := tpm2.PCRRead{PCRSelectionIn: tpm2.TPMLPCRSelection{PCRSelections: []tpm2.TPMSPCRSelection{{Hash: tpm2.TPMAlgSHA256, PCRSelect: tpm2.PCClientCompatible.PCRs(7)}}}}.Execute(tpm)
		if err != nil {
			t.Fatal(err)
		}
		return string(r.PCRValues.Digests[0].Buffer)
	}
	before, pcr := primary(), read()
	if err := tpm.Measure(7, [32]byte{1}); err != nil {
		t.Fatal(err)
	}
	if read() == pcr || string(primary().Buffer) != string(before.Buffer) {
		t.Error("a measurement changes the PCR, and no key")
	}
	if err := tpm.Clear(); err != nil {
		t.Fatal(err)
	}
	if string(primary().Buffer) == string(before.Buffer) {
		t.Error("the keys of before a clear are there")
	}
}
