// Package state is what the device knows about its own registration.
//
// What lives here: the record and its one file. What never may: a private key, a
// password, a token (the certificate is public), or a call to anybody. Enrolment
// writes it; everybody else reads what enrolment answers.
package state

import (
	"bytes"
	"crypto/sha1"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
)

// maxCertificate is the size of the largest device certificate, in bytes.
const maxCertificate = 8 << 10

// Identity is one identity of the device: a key set in the TPM and the
// certificate for it.
type Identity struct {
	// KeySet names the keys at the tpm-agent.
	KeySet      string
	Certificate *x509.Certificate
	// Membership that the identity is of. A recovery, a migration and any other exchange of
	// keys go on with it; a join begins another one.
	Membership  ids.MembershipID
	DeviceID    ids.DeviceID
	TenantID    ids.TenantID
	DisplayName string
	// Kind of registration.
	Kind entrawire.JoinType
	// JoinedBy is the user who joined or registered the device; empty when it is
	// hybrid joined, which no user does.
	JoinedBy ids.UPN
	// Protection is what the tenant knows of the keys.
	Protection Protection
	// Administrators are the security identifiers of who administers this device.
	Administrators []string
	// Computer is the account in an on-premises domain; nil when the device is not
	// hybrid joined. ComputerCertificate is what the sync of the domain reads, DER.
	Computer            *Computer
	ComputerCertificate []byte
}

// Protection is how far a tenant knows keys to be protected.
type Protection string

// What a tenant may know. Software says that nothing was proven.
const (
	Software Protection = "software"
	Emulated Protection = "emulated"
	Hardware Protection = "hardware"
)

// Joined reports whether the device is a member of the tenant, and not only
// registered for a work account.
func (i *Identity) Joined() bool { return i.Kind == entrawire.JoinJoined }

// Hybrid reports whether the device is hybrid joined.
func (i *Identity) Hybrid() bool { return i.Computer != nil }

// NewIdentity reads device, tenant and kind out of a certificate, so that they
// cannot come to differ from it. It is of a membership of its own until somebody knows
// that it goes on with another.
func NewIdentity(keySet string, der []byte, displayName string, joinedBy ids.UPN) (*Identity, error) {
	if len(der) > maxCertificate {
		return nil, fmt.Errorf("%w: longer than %d bytes", entrawire.ErrDeviceCertificate, maxCertificate)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("%w: not one DER certificate", entrawire.ErrDeviceCertificate)
	}
	id, err := entrawire.ParseDeviceCertificate(cert)
	if err != nil {
		return nil, err
	}
	return &Identity{
		KeySet: keySet, Certificate: cert, Membership: ids.NewMembership(), DeviceID: id.DeviceID, TenantID: id.TenantID,
		Kind: id.JoinType, DisplayName: displayName, JoinedBy: joinedBy, Protection: Software,
	}, nil
}

// Thumbprint is the SHA-1 of the certificate, upper-case hex, the name under
// which Windows and Entra show it.
func (i *Identity) Thumbprint() string { return Thumbprint(i.Certificate.Raw) }

// Thumbprint of a DER certificate.
func Thumbprint(der []byte) string {
	sum := sha1.Sum(der)
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

// HasKey reports whether a DER SubjectPublicKeyInfo is the certificate's.
func (i *Identity) HasKey(spki []byte) bool {
	return bytes.Equal(i.Certificate.RawSubjectPublicKeyInfo, spki)
}

// Record is the registration of the device. Its zero value is "not registered".
type Record struct {
	// Current is the identity in use, nil when there is none.
	Current *Identity
	// Pending is an identity that was about to be installed. Whether it was is
	// known to the TPM alone.
	Pending *Identity
	// Leaving says that the end of Current was begun; the tenant may have
	// forgotten the device already.
	Leaving bool
	// KeysLost says that a self-test found keys of Current lost, so that the next
	// sign-in starts recovery.
	KeysLost bool
	// Waiting is a hybrid join that waits for the sync of the domain, nil when there
	// is none.
	Waiting *Waiting
	// Replacing is an exchange of the keys of Current that was begun, nil when there
	// is none.
	Replacing *Replacing
	// Enrolling is a join or a registration that the tenant was asked for and that is not
	// done, nil when there is none.
	Enrolling *Enrolling
}

// Settled reports whether nothing was interrupted.
func (r Record) Settled() bool { return r.Pending == nil && !r.Leaving }
