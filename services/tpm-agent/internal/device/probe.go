package device

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
)

// familyTwo is the family indicator of a TPM 2.0, "2.0" and a zero byte (TCG Part
// 2, TPM_PT_FAMILY_INDICATOR).
const familyTwo = 0x322e3000

// probe finds the condition of a TPM with the first two commands that it gets
// anyway. A TPM 1.2 does not know TPM2_Startup and answers in its own format. A
// link that broke just then is tried once more.
func probe(ctx context.Context, tpm transport.TPM) (Condition, error) {
	cond, err := ask(tpm)
	if cond == Failing && ctx.Err() == nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		cond, err = ask(tpm)
	}
	return cond, err
}

func ask(tpm transport.TPM) (Condition, error) {
	_, err := tpm2.Startup{StartupType: tpm2.TPMSUClear}.Execute(tpm)
	if err == nil || errors.Is(err, tpm2.TPMRCInitialize) { // the platform has started it
		err = family(tpm)
	}
	switch {
	case err == nil:
		return Usable, nil
	case errors.Is(err, ErrOldFamily):
		return OldFamily, err
	case absent(err):
		return Absent, err
	default:
		return Failing, err
	}
}

func family(tpm transport.TPM) error {
	r, err := tpm2.GetCapability{Capability: tpm2.TPMCapTPMProperties, Property: uint32(tpm2.TPMPTFamilyIndicator), PropertyCount: 1}.Execute(tpm)
	if err != nil {
		return err
	}
	list, err := r.CapabilityData.Data.TPMProperties()
	if err != nil {
		return err
	}
	for _, p := range list.TPMProperty {
		if p.Property == tpm2.TPMPTFamilyIndicator && p.Value == familyTwo {
			return nil
		}
	}
	return fmt.Errorf("%w (it reports another family)", ErrOldFamily)
}
