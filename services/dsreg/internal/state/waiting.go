package state

import (
	"crypto/x509"
	"regexp"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
)

// Keys are the public halves of a key set that is not installed yet.
type Keys struct {
	// ID names the set at the tpm-agent.
	ID string
	// Device is a DER SubjectPublicKeyInfo, Transport an RSA1 blob.
	Device, Transport []byte
}

// Computer is the account of this computer in an on-premises domain.
type Computer struct {
	// ID is the object GUID in the domain, and the device id in the tenant.
	ID ids.DeviceID
	// SID is the security identifier in the domain.
	SID string
	// TargetDomain is the domain of the tenant that the computer is told of.
	TargetDomain string
}

// Waiting is a hybrid join that waits until the domain's sync has brought the
// computer to the tenant.
type Waiting struct {
	Computer    Computer
	TenantID    ids.TenantID
	DisplayName string
	Keys        Keys
	// Certificate is what the sync reads: self-signed by the device key of Keys.
	Certificate *x509.Certificate
	// Asked says that the tenant was asked to complete the join and its answer is not
	// known: it may have done so.
	Asked bool
}

// Replacing is an exchange of the device's keys under the same device id. The
// tenant may take the new ones already.
type Replacing struct {
	Keys Keys
	// Identity is the one with the new keys, nil until the tenant has answered; Native
	// says in which form session keys will come to it.
	Identity *Identity
	Native   bool
}

// Enrolling is a join or a registration for which the tenant may have made a device: who
// asks again with the same keys is given the same one.
type Enrolling struct {
	Keys Keys
	Kind entrawire.JoinType
	User ids.UPN
	// DisplayName is that of the request.
	DisplayName string
	// Since is when the tenant was first asked, in seconds.
	Since time.Time
}

// Bounds of what is kept, in bytes and in entries.
const (
	maxSID            = 184 // SECURITY_MAX_SID_STRING_CHARACTERS without its end
	maxDomain         = 255
	MaxAdministrators = 64
)

var sid = regexp.MustCompile(`^S-1(-[0-9]{1,15}){2,16}$`)

// IsSID reports whether a text is a security identifier.
func IsSID(s string) bool { return len(s) <= maxSID && sid.MatchString(s) }

// IsDomain reports whether a text may be the name of a domain.
func IsDomain(s string) bool {
	for _, r := range s {
		if r <= ' ' || r > '~' {
			return false
		}
	}
	return s != "" && len(s) <= maxDomain
}

// Registrant is the security identifier of the user that the certificate names: who
// registered a device administers it.
func (i *Identity) Registrant() string {
	who, err := entrawire.ParseDeviceCertificate(i.Certificate)
	if err != nil {
		return ""
	}
	s, err := ids.SID(string(who.UserID))
	if err != nil {
		return ""
	}
	return s
}
