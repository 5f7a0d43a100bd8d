package softtpm

import (
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"
)

// What the firmware of a machine does with its TPM, beside the commands of who uses it.

// StartUp is TPM2_Startup(CLEAR) at power on. A TPM that runs already is no error.
func (t *TPM) StartUp() error {
	_, err := tpm2.Startup{StartupType: tpm2.TPMSUClear}.Execute(t)
	if err != nil && !errors.Is(err, tpm2.TPMRCInitialize) {
		return fmt.Errorf("softtpm: startup: %w", err)
	}
	return nil
}

// Clear is what the firmware's menu offers (TPM2_Clear by the platform, Part 3, 24.6):
// every key of owner and endorsement is gone for good.
func (t *TPM) Clear() error {
	_, err := tpm2.Clear{AuthHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHPlatform, Auth: tpm2.PasswordAuth(nil)}}.Execute(t)
	if err != nil {
		return fmt.Errorf("softtpm: clear: %w", err)
	}
	return nil
}

// Measure extends a PCR of the SHA-256 bank, as other firmware or another list of
// secure boot does.
func (t *TPM) Measure(pcr uint32, digest [32]byte) error {
	_, err := tpm2.PCRExtend{
		PCRHandle: tpm2.AuthHandle{Handle: tpm2.TPMHandle(pcr), Auth: tpm2.PasswordAuth(nil)},
		Digests:   tpm2.TPMLDigestValues{Digests: []tpm2.TPMTHA{{HashAlg: tpm2.TPMAlgSHA256, Digest: digest[:]}}},
	}.Execute(t)
	if err != nil {
		return fmt.Errorf("softtpm: measure: %w", err)
	}
	return nil
}
