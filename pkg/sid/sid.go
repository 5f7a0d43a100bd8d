// Package sid makes Windows security identifiers: who somebody is on one device.
//
// What lives here: the two forms that a device of ours needs, and their check. What
// never may: a decision about who may do what. lsa-cloudap gives them to logon
// sessions, wam-broker keeps accounts by them, and adfs names its users by them.
package sid

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/lockstep-sso/lockstep/pkg/ids"
)

// SID is a security identifier in its string form (MS-DTYP 2.4.2.1), such as
// S-1-12-1-1943430372-1249052806-2496021943-3034400218.
type SID string

const (
	// entra is identifier authority 12 with the one sub-authority 1: users and groups
	// of Microsoft Entra ID.
	entra = "S-1-12-1"
	// domain is identifier authority 5 with SECURITY_NT_NON_UNIQUE: accounts of a
	// computer or of a domain.
	domain = "S-1-5-21"
	// dwords is how many 32-bit numbers make a GUID, and machine how many a computer.
	dwords, machine = 4, 3
	// FirstRID is the lowest relative identifier that is given to an account which
	// somebody made (MS-SAMR 3.1.1.9.2.1); those below are the system's.
	FirstRID = 1000
)

// OfUser is the identifier of a user of Entra: the 16 bytes of the object id, as
// Windows stores a GUID, read as four little-endian numbers.
func OfUser(id ids.UserID) (SID, error) {
	g, err := uuid.Parse(string(id))
	if err != nil {
		return "", fmt.Errorf("user id is not a GUID")
	}
	// Windows keeps the first three parts of a GUID little-endian (MS-DTYP 2.3.4.2).
	raw := make([]byte, 0, len(g))
	raw = append(raw, g[3], g[2], g[1], g[0], g[5], g[4], g[7], g[6])
	raw = append(raw, g[8:]...)
	var b strings.Builder
	b.WriteString(entra)
	for i := range dwords {
		fmt.Fprintf(&b, "-%d", binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return SID(b.String()), nil
}

// Machine is the part of an identifier that names a computer or a domain.
type Machine [machine]uint32

// NewMachine draws one at random, as setup does for a computer.
func NewMachine() Machine {
	var raw [4 * machine]byte
	_, _ = rand.Read(raw[:]) // never fails: crypto/rand ends the process instead
	return MachineOf(raw)
}

// MachineOf makes one of 12 bytes, so that the same name can give the same one.
func MachineOf(raw [12]byte) Machine {
	var m Machine
	for i := range m {
		m[i] = binary.LittleEndian.Uint32(raw[4*i:])
	}
	return m
}

// Zero reports whether there is none.
func (m Machine) Zero() bool { return m == Machine{} }

// Account is the identifier of the account with a relative identifier.
func (m Machine) Account(rid uint32) SID {
	return SID(fmt.Sprintf("%s-%d-%d-%d-%d", domain, m[0], m[1], m[2], rid))
}

// Has reports whether an identifier is of an account of this computer or domain.
func (m Machine) Has(s SID) bool {
	return strings.HasPrefix(string(s), strings.TrimSuffix(string(m.Account(0)), "0"))
}

// Parse reads an identifier of one of the two forms: S-1-12-1 and four numbers, or
// S-1-5-21 and four. Each number is of 32 bits and has no zero in front.
func Parse(s string) (SID, error) {
	for _, prefix := range []string{entra, domain} {
		rest, ok := strings.CutPrefix(s, prefix+"-")
		if !ok {
			continue
		}
		parts := strings.Split(rest, "-")
		if len(parts) != dwords {
			return "", fmt.Errorf("security identifier does not have %d numbers after %s", dwords, prefix)
		}
		for _, p := range parts {
			n, err := strconv.ParseUint(p, 10, 32)
			if err != nil || strconv.FormatUint(n, 10) != p {
				return "", fmt.Errorf("security identifier has a part that is not a number of 32 bits")
			}
		}
		return SID(s), nil
	}
	return "", fmt.Errorf("security identifier is neither of a user of Entra (%s-...) nor of a computer or domain (%s-...)", entra, domain)
}

// Entra reports whether it is of a user of Entra.
func (s SID) Entra() bool { return strings.HasPrefix(string(s), entra+"-") }
