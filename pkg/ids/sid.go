package ids

import (
	"encoding/binary"
	"fmt"
)

// SID is the Windows security identifier of a directory object: S-1-12-1 and the
// object's GUID as four little-endian numbers.
func SID(guid string) (string, error) {
	b, err := GUIDBytesLE(guid)
	if err != nil {
		return "", err
	}
	n := func(at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }
	return fmt.Sprintf("S-1-12-1-%d-%d-%d-%d", n(0), n(4), n(8), n(12)), nil
}
