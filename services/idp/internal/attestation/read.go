package attestation

import (
	"bytes"

	"github.com/google/go-tpm/tpm2"
)

// read decodes one TPM structure that must be all of the bytes, in the one form a
// TPM writes: names and signatures are over bytes, so there may be no second way to
// write what they are over. The decoder is for a TPM's own words and may panic at a
// stranger's; that is a structure that is not right, and no more.
func read[T tpm2.Marshallable, P interface {
	*T
	tpm2.Unmarshallable
}](b []byte) (out *T, why error) {
	defer func() {
		if recover() != nil {
			out, why = nil, Reason("is not a TPM structure")
		}
	}()
	if len(b) == 0 || len(b) > maxStructure {
		return nil, reason("is not 1 to %d bytes", maxStructure)
	}
	out, err := tpm2.Unmarshal[T, P](b)
	if err != nil {
		return nil, Reason("is not a TPM structure")
	}
	if !bytes.Equal(tpm2.Marshal(*out), b) {
		return nil, Reason("is not written as a TPM writes it")
	}
	return out, nil
}
