package state

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/pkg/ids"
)

// decode reads a file as from a stranger. Errors name the member and never quote
// its value.
func decode(data []byte) (Record, error) {
	var head struct {
		Version *int `json:"version"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return Record{}, fmt.Errorf("%w: it is not whole JSON of the expected form", ErrDamaged)
	}
	if head.Version == nil {
		return Record{}, fmt.Errorf("%w: it has no version", ErrDamaged)
	}
	if *head.Version < first || *head.Version > version {
		return Record{}, fmt.Errorf("%w: version %d is not one of %d to %d", ErrVersion, *head.Version, first, version)
	}
	var f file
	if err := durable.DecodeJSON(data, &f); err != nil {
		return Record{}, fmt.Errorf("%w: it has a member of the wrong type or with an unknown name", ErrDamaged)
	}
	return f.record()
}

func (f file) record() (Record, error) {
	r := Record{Leaving: f.Leaving, KeysLost: f.KeysLost}
	var err error
	if r.Current, err = f.Current.identity(f.Version); err != nil {
		return Record{}, fmt.Errorf("%w: current: %w", ErrDamaged, err)
	}
	if r.Pending, err = f.Pending.identity(f.Version); err != nil {
		return Record{}, fmt.Errorf("%w: pending: %w", ErrDamaged, err)
	}
	if r.Waiting, err = f.Waiting.waiting(); err != nil {
		return Record{}, fmt.Errorf("%w: waiting: %w", ErrDamaged, err)
	}
	if r.Replacing, err = f.Replacing.replacing(f.Version); err != nil {
		return Record{}, fmt.Errorf("%w: replacing: %w", ErrDamaged, err)
	}
	if r.Enrolling, err = f.Enrolling.enrolling(); err != nil {
		return Record{}, fmt.Errorf("%w: enrolling: %w", ErrDamaged, err)
	}
	switch {
	case f.Version <= before3 && r.Enrolling != nil, f.Version == first && (r.KeysLost || r.Waiting != nil || r.Replacing != nil):
		return Record{}, fmt.Errorf("%w: it has a member that its version does not know", ErrDamaged)
	case r.Current == nil && (r.Leaving || r.KeysLost || r.Replacing != nil || r.Pending == nil && r.Waiting == nil && r.Enrolling == nil):
		return Record{}, fmt.Errorf("%w: it names no identity", ErrDamaged)
	}
	return r, nil
}

func (f *fileIdentity) identity(v int) (*Identity, error) {
	if f == nil {
		return nil, nil
	}
	computer, err := f.Computer.computer()
	if err != nil {
		return nil, err
	}
	var upn ids.UPN
	if computer == nil || f.JoinedBy != "" {
		if upn, err = ids.ParseUPN(f.JoinedBy); err != nil {
			return nil, fmt.Errorf("joined_by: %w", err)
		}
	}
	if f.KeySet == "" || len(f.KeySet) > maxKeySet {
		return nil, fmt.Errorf("key_set_id is not 1 to %d bytes", maxKeySet)
	}
	if f.DisplayName == "" || len(f.DisplayName) > maxDisplayName {
		return nil, fmt.Errorf("display_name is not 1 to %d bytes", maxDisplayName)
	}
	id, err := NewIdentity(f.KeySet, f.Certificate, f.DisplayName, upn)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	if id.Membership, err = f.membership(v); err != nil {
		return nil, err
	}
	if v == first {
		return id, id.older(f)
	}
	id.Protection, id.Administrators, id.Computer, id.ComputerCertificate = Protection(f.Protection), f.Administrators, computer, f.Account
	return id, id.check()
}

// membership is named in every file of this release. In one of before it is made of the
// certificate: the same at each start, also while the disk is full, until the file is
// written anew.
func (f *fileIdentity) membership(v int) (ids.MembershipID, error) {
	if v > before4 {
		return ids.ParseMembership(f.Membership)
	}
	if f.Membership != "" {
		return "", errors.New("it has a member that its version does not know")
	}
	return ids.MembershipOf(f.Certificate), nil
}

// older fills in what the first version did not know: nothing was proven of the
// keys, and who registered the device administers it.
func (i *Identity) older(f *fileIdentity) error {
	if f.Protection != "" || f.Administrators != nil || f.Computer != nil || f.Account != nil {
		return errors.New("it has a member that its version does not know")
	}
	i.Administrators = []string{i.Registrant()}
	return i.check()
}

func (i *Identity) check() error {
	if p := i.Protection; p != Software && p != Emulated && p != Hardware {
		return errors.New("key_protection is not one of software, emulated and hardware")
	}
	if len(i.Administrators) > MaxAdministrators {
		return fmt.Errorf("administrators are more than %d", MaxAdministrators)
	}
	for _, a := range i.Administrators {
		if !IsSID(a) {
			return errors.New("administrators has one that is not a security identifier")
		}
	}
	if (i.Computer == nil) != (i.ComputerCertificate == nil) || len(i.ComputerCertificate) > maxCertificate {
		return errors.New("computer_certificate is missing or too long, or without a computer")
	}
	if i.Computer != nil && (i.Computer.ID != i.DeviceID || !i.Joined()) {
		return errors.New("computer is another than the device of the certificate")
	}
	return nil
}
