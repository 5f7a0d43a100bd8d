package partition

import (
	"errors"
	"slices"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/sid"
)

// Validity is what the identity provider last said of a PRT. Whether it has expired by
// its own time, and whether its key is lost, are not kept: others know that.
type Validity string

// The validities. Good is the zero value.
const (
	Good Validity = ""
	// Revoked is refused for good: the user has to sign in.
	Revoked Validity = "revoked"
	// Ended was refused as expired.
	Ended Validity = "ended"
	// DeviceInvalid: it is the device that is refused. That may pass.
	DeviceInvalid Validity = "device_invalid"
)

// Over reports whether nothing can be got with the PRT any more.
func (v Validity) Over() bool { return v == Revoked || v == Ended }

// MFA is what the identity provider said about a second factor behind a PRT.
type MFA string

// The values. The zero value is: it did not say.
const (
	MFAUnknown MFA = ""
	MFANo      MFA = "no"
	MFAYes     MFA = "yes"
)

// Standing is what this device learnt of a user and of a PRT. It is on disk, so that a
// restart does not forget that somebody is to be kept out.
type Standing struct {
	// SID is who the user is on this device, where the domain gave it; empty where it
	// is made of the object id.
	SID sid.SID
	// LastOnlineAt is when the identity provider last accepted this user here.
	LastOnlineAt time.Time
	// Validity of the PRT.
	Validity Validity
	// BlockedCode is why the identity provider wants no sign-in of the user, 0 when it
	// does not say so. BlockedAt is when it was learnt.
	BlockedCode aadsts.Code
	BlockedAt   time.Time
	// MFA and, when it is known, the time of the second factor.
	MFA     MFA
	MFATime time.Time
	// Membership of the device in its tenant that the PRT was obtained under; empty where
	// nobody said, as in a file of an earlier release: then it is taken for the present one.
	Membership ids.MembershipID
}

// standing is its form on disk, since version 2; the membership since version 3.
type standing struct {
	SID          string    `json:"sid,omitempty"`
	LastOnlineAt time.Time `json:"last_online_at,omitzero"`
	Validity     Validity  `json:"validity,omitempty"`
	BlockedCode  int       `json:"blocked_code,omitempty"`
	BlockedAt    time.Time `json:"blocked_at,omitzero"`
	MFA          MFA       `json:"mfa,omitempty"`
	MFATime      time.Time `json:"mfa_time,omitzero"`
	Membership   string    `json:"membership_id,omitempty"`
}

func (s Standing) form() standing {
	return standing{
		SID: string(s.SID), LastOnlineAt: s.LastOnlineAt.UTC(), Validity: s.Validity, BlockedCode: int(s.BlockedCode),
		BlockedAt: s.BlockedAt.UTC(), MFA: s.MFA, MFATime: s.MFATime.UTC(), Membership: string(s.Membership),
	}
}

func (s standing) read() (Standing, error) {
	out := Standing{
		LastOnlineAt: s.LastOnlineAt, Validity: s.Validity, BlockedCode: aadsts.Code(s.BlockedCode), BlockedAt: s.BlockedAt,
		MFA: s.MFA, MFATime: s.MFATime,
	}
	var err error
	if s.SID != "" {
		out.SID, err = sid.Parse(s.SID)
	}
	if s.Membership != "" && err == nil {
		out.Membership, err = ids.ParseMembership(s.Membership)
	}
	switch {
	case err != nil:
		return Standing{}, err
	case !slices.Contains([]Validity{Good, Revoked, Ended, DeviceInvalid}, s.Validity):
		return Standing{}, errors.New("validity is not known")
	case !slices.Contains([]MFA{MFAUnknown, MFANo, MFAYes}, s.MFA):
		return Standing{}, errors.New("mfa is not known")
	case s.BlockedCode < 0:
		return Standing{}, errors.New("blocked_code is negative")
	}
	return out, nil
}
