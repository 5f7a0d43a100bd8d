package state

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// Versions of the file. One of a later version is not read: guessing at it could
// lose a registration that another release can still use. The first version knew
// neither protection nor administrators nor hybrid joins, the second no enrolment that is
// not done, the third no membership.
const (
	version = 4
	before4 = 3
	before3 = 2
	first   = 1
)

// Bounds of a record's texts, in bytes.
const (
	maxKeySet      = 128
	maxDisplayName = 64 * utf8.UTFMax
)

// file is the form on disk. It holds public data only, and what a certificate says
// is not said twice.
type file struct {
	Version   int            `json:"version"`
	Current   *fileIdentity  `json:"current,omitempty"`
	Pending   *fileIdentity  `json:"pending,omitempty"`
	Leaving   bool           `json:"leaving,omitempty"`
	KeysLost  bool           `json:"keys_lost,omitempty"`
	Waiting   *fileWaiting   `json:"waiting,omitempty"`
	Replacing *fileReplacing `json:"replacing,omitempty"`
	Enrolling *fileEnrolling `json:"enrolling,omitempty"`
}

type fileEnrolling struct {
	Keys        fileKeys `json:"keys"`
	Kind        string   `json:"join_type"`
	User        string   `json:"user"`
	DisplayName string   `json:"display_name"`
	Since       int64    `json:"since"` // seconds since 1970
}

type fileIdentity struct {
	KeySet         string        `json:"key_set_id"`
	Membership     string        `json:"membership_id,omitempty"`
	Certificate    []byte        `json:"certificate"`
	DisplayName    string        `json:"display_name"`
	JoinedBy       string        `json:"joined_by,omitempty"`
	Protection     string        `json:"key_protection,omitempty"`
	Administrators []string      `json:"administrators,omitempty"`
	Computer       *fileComputer `json:"computer,omitempty"`
	Account        []byte        `json:"computer_certificate,omitempty"`
}

type fileComputer struct {
	ID           string `json:"computer_id"`
	SID          string `json:"computer_sid"`
	TargetDomain string `json:"target_domain"`
}

type fileKeys struct {
	ID        string `json:"key_set_id"`
	Device    []byte `json:"device_key"`
	Transport []byte `json:"transport_key"`
}

type fileWaiting struct {
	Computer    *fileComputer `json:"computer"`
	TenantID    string        `json:"tenant_id"`
	DisplayName string        `json:"display_name"`
	Keys        fileKeys      `json:"keys"`
	Certificate []byte        `json:"certificate"`
	Asked       bool          `json:"asked,omitempty"`
}

type fileReplacing struct {
	Keys     fileKeys      `json:"keys"`
	Identity *fileIdentity `json:"identity,omitempty"`
	Native   bool          `json:"native_session_keys,omitempty"`
}

func encode(r Record) ([]byte, error) {
	f := file{Version: version, Current: flat(r.Current), Pending: flat(r.Pending), Leaving: r.Leaving, KeysLost: r.KeysLost}
	if w := r.Waiting; w != nil {
		f.Waiting = &fileWaiting{
			Computer: flatComputer(&w.Computer), TenantID: string(w.TenantID), DisplayName: w.DisplayName, Keys: fileKeys(w.Keys),
			Certificate: w.Certificate.Raw, Asked: w.Asked,
		}
	}
	if p := r.Replacing; p != nil {
		f.Replacing = &fileReplacing{Keys: fileKeys(p.Keys), Identity: flat(p.Identity), Native: p.Native}
	}
	if p := r.Enrolling; p != nil {
		f.Enrolling = &fileEnrolling{Keys: fileKeys(p.Keys), Kind: string(p.Kind), User: string(p.User), DisplayName: p.DisplayName, Since: p.Since.Unix()}
	}
	data, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("device state: %w", err)
	}
	return data, nil
}

func flat(i *Identity) *fileIdentity {
	if i == nil {
		return nil
	}
	return &fileIdentity{
		KeySet: i.KeySet, Membership: string(i.Membership), Certificate: i.Certificate.Raw, DisplayName: i.DisplayName, JoinedBy: string(i.JoinedBy),
		Protection: string(i.Protection), Administrators: i.Administrators,
		Computer: flatComputer(i.Computer), Account: i.ComputerCertificate,
	}
}

func flatComputer(c *Computer) *fileComputer {
	if c == nil {
		return nil
	}
	return &fileComputer{ID: string(c.ID), SID: c.SID, TargetDomain: c.TargetDomain}
}
