// Package ids holds the names of things: tenants, users, devices, applications.
// Each has a type of its own, so that a device id cannot be passed where a user
// id is meant. Text from outside becomes an id only through a Parse function.
package ids

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// TenantID names a directory, a lower-case GUID.
type TenantID string

// UserID is the object id of a user, a lower-case GUID.
type UserID string

// DeviceID names a device, a lower-case GUID.
type DeviceID string

// ClientID names an application, a lower-case GUID.
type ClientID string

// MembershipID names one membership of a device in a tenant, from a join to the leave, a
// lower-case GUID. It is the device's own and no tenant knows it: a device id may be another
// one after a recovery, and the same one after a hybrid join anew.
type MembershipID string

// UPN is a user principal name such as alice@contoso.test, in lower case.
type UPN string

// maxUPN is the longest user principal name Entra takes, in bytes.
const maxUPN = 113

// ParseTenant reads a tenant id.
func ParseTenant(s string) (TenantID, error) { return parse[TenantID]("tenant id", s) }

// ParseUser reads a user's object id.
func ParseUser(s string) (UserID, error) { return parse[UserID]("user id", s) }

// ParseDevice reads a device id.
func ParseDevice(s string) (DeviceID, error) { return parse[DeviceID]("device id", s) }

// ParseClient reads an application id.
func ParseClient(s string) (ClientID, error) { return parse[ClientID]("client id", s) }

// ParseMembership reads a membership id.
func ParseMembership(s string) (MembershipID, error) { return parse[MembershipID]("membership id", s) }

// NewTenant makes a fresh tenant id.
func NewTenant() TenantID { return TenantID(uuid.NewString()) }

// NewUser makes a fresh user id.
func NewUser() UserID { return UserID(uuid.NewString()) }

// NewDevice makes a fresh device id.
func NewDevice() DeviceID { return DeviceID(uuid.NewString()) }

// NewMembership makes a fresh membership id.
func NewMembership() MembershipID { return MembershipID(uuid.NewString()) }

// MembershipOf is the membership id of a device certificate, in DER, that was written down
// before memberships had names: the same one each time.
func MembershipOf(certificate []byte) MembershipID {
	return MembershipID(uuid.NewHash(sha256.New(), uuid.NameSpaceX500, certificate, 8).String())
}

func parse[T ~string](what, s string) (T, error) {
	// uuid.Parse also takes braces, urn: and bare hex; one spelling is enough here.
	if len(s) != 36 {
		return "", fmt.Errorf("%s is not a GUID of 36 characters", what)
	}
	id, err := uuid.Parse(s)
	if err != nil {
		return "", fmt.Errorf("%s is not a GUID", what)
	}
	return T(id.String()), nil
}

// ParseUPN reads a user principal name: one @, a domain with a dot or a single
// label, printable ASCII without blanks, at most 113 bytes. It folds to lower case.
func ParseUPN(s string) (UPN, error) {
	if len(s) > maxUPN {
		return "", fmt.Errorf("user principal name is longer than %d bytes", maxUPN)
	}
	user, domain, ok := strings.Cut(s, "@")
	if !ok || user == "" || domain == "" || strings.Contains(domain, "@") {
		return "", fmt.Errorf("user principal name is not of the form user@domain")
	}
	for _, r := range s {
		if r <= ' ' || r > '~' || strings.ContainsRune(`"<>\/:;,|`, r) {
			return "", fmt.Errorf("user principal name has a character that is not allowed")
		}
	}
	if strings.HasPrefix(domain, ".") || strings.HasSuffix(domain, ".") || strings.Contains(domain, "..") {
		return "", fmt.Errorf("user principal name has an empty domain label")
	}
	return UPN(strings.ToLower(s)), nil
}

// Domain is the part after the @.
func (u UPN) Domain() string {
	_, d, _ := strings.Cut(string(u), "@")
	return d
}

// GUIDBytesLE is a GUID as Windows lays it out in memory: the first three
// groups little-endian, the rest as written.
func GUIDBytesLE(s string) ([16]byte, error) {
	id, err := uuid.Parse(s)
	if err != nil || len(s) != 36 {
		return [16]byte{}, fmt.Errorf("not a GUID")
	}
	return swap(id), nil
}

// GUIDFromBytesLE is the reverse of GUIDBytesLE.
func GUIDFromBytesLE(b [16]byte) string { return uuid.UUID(swap(b)).String() }

func swap(b [16]byte) [16]byte {
	b[0], b[1], b[2], b[3] = b[3], b[2], b[1], b[0]
	b[4], b[5] = b[5], b[4]
	b[6], b[7] = b[7], b[6]
	return b
}
