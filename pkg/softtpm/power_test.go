package softtpm_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/lockstep-sso/lockstep/pkg/softtpm"
)

func TestPowerCycle(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	before := srk(t, tpm)
	blob := must[blob](t)(create(tpm, before, tpm2.ECCSRKTemplate, "", nil))
	platform := tpm2.AuthHandle{Handle: tpm2.TPMRHPlatform, Auth: tpm2.PasswordAuth(nil)}
	_, err := tpm2.HierarchyChangeAuth{AuthHandle: platform, NewAuth: tpm2.TPM2BAuth{Buffer: []byte("closed")}}.Execute(tpm)
	ok(t, err)

	ok(t, tpm.PowerCycle())
	_, err = tpm2.GetRandom{BytesRequested: 8}.Execute(tpm)
	wantRC(t, "a command before Startup", err, 0x100)
	start(t, tpm)
	_, err = tpm2.ReadPublic{ObjectHandle: before.Handle}.Execute(tpm)
	wantRC(t, "a transient handle from before", err, 0x910)
	after := srk(t, tpm)
	if !bytes.Equal(before.Name.Buffer, after.Name.Buffer) {
		t.Error("the storage root key is another one after a power cycle")
	}
	_, err = load(tpm, after, blob)
	ok(t, err)
	_, err = tpm2.HierarchyChangeAuth{AuthHandle: platform}.Execute(tpm)
	ok(t, err) // the platform's authorization is volatile (Part 1, 14.4)

	ok(t, tpm.Close())
	if err := tpm.PowerCycle(); !errors.Is(err, softtpm.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}
