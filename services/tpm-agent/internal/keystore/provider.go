package keystore

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/google/go-tpm/tpm2"

	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/tpmio"
)

// Provider is what the TPM says of itself.
type Provider struct {
	// Family such as "2.0", Manufacturer such as "IBM".
	Family, Manufacturer string
	// Firmware is the firmware version.
	Firmware uint64
}

// Describe asks the TPM what it is.
func (s *Store) Describe(ctx context.Context) (Provider, error) {
	var p Provider
	err := s.run(ctx, "describe the TPM", func(c *tpmio.Conn) error {
		family, err1 := property(c, tpm2.TPMPTFamilyIndicator)
		maker, err2 := property(c, tpm2.TPMPTManufacturer)
		high, err3 := property(c, tpm2.TPMPTFirmwareVersion1)
		low, err4 := property(c, tpm2.TPMPTFirmwareVersion2)
		for _, err := range []error{err1, err2, err3, err4} {
			if err != nil {
				return err
			}
		}
		p = Provider{Family: printable(family), Manufacturer: printable(maker), Firmware: uint64(high)<<32 | uint64(low)}
		return nil
	})
	return p, err
}

func property(c *tpmio.Conn, which tpm2.TPMPT) (uint32, error) {
	r, err := tpm2.GetCapability{Capability: tpm2.TPMCapTPMProperties, Property: uint32(which), PropertyCount: 1}.Execute(c)
	if err != nil {
		return 0, err
	}
	list, err := r.CapabilityData.Data.TPMProperties()
	if err != nil {
		return 0, err
	}
	for _, prop := range list.TPMProperty {
		if prop.Property == which {
			return prop.Value, nil
		}
	}
	return 0, fmt.Errorf("the TPM does not tell property %#x", uint32(which))
}

// printable reads four characters out of a property; a chip may put anything
// there, and it is shown to people.
func printable(v uint32) string {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], v)
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, string(b[:])))
}
