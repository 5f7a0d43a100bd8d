package keystore

import (
	"context"
	"encoding/binary"
	"strings"

	"github.com/google/go-tpm/tpm2"

	"github.com/lockstep-sso/lockstep/pkg/tpmca"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/tpmio"
)

// Description is what holds the keys of the device, as it says of itself.
type Description struct {
	// Provider and Level are those of the installed keys, or of the keys that would
	// be made now.
	Provider Provider
	Level    string
	// Family such as "2.0", Manufacturer such as "IBM".
	Family, Manufacturer string
	// Firmware is the firmware version.
	Firmware uint64
	// Native is true when session keys can come wrapped for the TPM.
	Native  bool
	Lockout Lockout
	// Better is true when keys are in software though there is a TPM now.
	Better bool
}

// Describe asks what holds the keys.
func (s *Store) Describe(ctx context.Context) (Description, error) {
	p := s.best()
	if set, its, err := s.current(); err == nil {
		p = its
	} else if set != nil {
		return Description{}, err
	}
	d := Description{Provider: p.provider, Level: p.level, Better: p.provider == Software && s.chips[TPM] != nil}
	err := p.run(ctx, use{what: "describe the TPM"}, func(c *tpmio.Conn) (err error) {
		var family, maker, high, low uint32
		for _, f := range []struct {
			which tpm2.TPMPT
			into  *uint32
		}{
			{tpm2.TPMPTFamilyIndicator, &family}, {tpm2.TPMPTManufacturer, &maker},
			{tpm2.TPMPTFirmwareVersion1, &high}, {tpm2.TPMPTFirmwareVersion2, &low},
		} {
			if *f.into, err = tpmca.Property(c, f.which); err != nil {
				return err
			}
		}
		d.Family, d.Manufacturer, d.Firmware = printable(family), printable(maker), uint64(high)<<32|uint64(low)
		d.Lockout, err = readLockout(c)
		return err
	})
	if err != nil {
		return Description{}, err
	}
	d.Native, err = p.takesNative(ctx)
	return d, err
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
