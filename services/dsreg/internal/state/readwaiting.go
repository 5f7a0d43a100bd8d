package state

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
)

func (f *fileComputer) computer() (*Computer, error) {
	if f == nil {
		return nil, nil
	}
	id, err := ids.ParseDevice(f.ID)
	switch {
	case err != nil:
		return nil, errors.New("computer_id is not a GUID")
	case !IsSID(f.SID):
		return nil, errors.New("computer_sid is not a security identifier")
	case !IsDomain(f.TargetDomain):
		return nil, errors.New("target_domain is not the name of a domain")
	}
	return &Computer{ID: id, SID: f.SID, TargetDomain: f.TargetDomain}, nil
}

func (f fileKeys) keys() (Keys, error) {
	if f.ID == "" || len(f.ID) > maxKeySet {
		return Keys{}, fmt.Errorf("key_set_id is not 1 to %d bytes", maxKeySet)
	}
	if _, err := x509.ParsePKIXPublicKey(f.Device); err != nil {
		return Keys{}, errors.New("device_key is not a public key")
	}
	if _, err := entrawire.ParseRSA1(f.Transport); err != nil {
		return Keys{}, errors.New("transport_key is not an RSA1 blob")
	}
	return Keys(f), nil
}

func (f *fileWaiting) waiting() (*Waiting, error) {
	if f == nil {
		return nil, nil
	}
	computer, err := f.Computer.computer()
	if err != nil {
		return nil, err
	}
	if computer == nil {
		return nil, errors.New("computer is missing")
	}
	tenant, err := ids.ParseTenant(f.TenantID)
	if err != nil {
		return nil, errors.New("tenant_id is not a GUID")
	}
	keys, err := f.Keys.keys()
	if err != nil {
		return nil, err
	}
	if f.DisplayName == "" || len(f.DisplayName) > maxDisplayName {
		return nil, fmt.Errorf("display_name is not 1 to %d bytes", maxDisplayName)
	}
	cert, err := x509.ParseCertificate(f.Certificate)
	if err != nil || len(f.Certificate) > maxCertificate || !bytes.Equal(cert.RawSubjectPublicKeyInfo, keys.Device) {
		return nil, errors.New("certificate is not one for the device key")
	}
	return &Waiting{Computer: *computer, TenantID: tenant, DisplayName: f.DisplayName, Keys: keys, Certificate: cert, Asked: f.Asked}, nil
}

func (f *fileReplacing) replacing(v int) (*Replacing, error) {
	if f == nil {
		return nil, nil
	}
	keys, err := f.Keys.keys()
	if err != nil {
		return nil, err
	}
	id, err := f.Identity.identity(v)
	if err != nil {
		return nil, err
	}
	if id != nil && !id.HasKey(keys.Device) {
		return nil, errors.New("identity has another key")
	}
	return &Replacing{Keys: keys, Identity: id, Native: f.Native}, nil
}

func (f *fileEnrolling) enrolling() (*Enrolling, error) {
	if f == nil {
		return nil, nil
	}
	keys, err := f.Keys.keys()
	if err != nil {
		return nil, err
	}
	user, err := ids.ParseUPN(f.User)
	kind := entrawire.JoinType(f.Kind)
	switch {
	case err != nil:
		return nil, fmt.Errorf("user: %w", err)
	case kind != entrawire.JoinJoined && kind != entrawire.JoinRegistered:
		return nil, errors.New("join_type is neither that of a join nor of a registration")
	case f.DisplayName == "" || len(f.DisplayName) > maxDisplayName:
		return nil, fmt.Errorf("display_name is not 1 to %d bytes", maxDisplayName)
	}
	return &Enrolling{Keys: keys, Kind: kind, User: user, DisplayName: f.DisplayName, Since: time.Unix(f.Since, 0).UTC()}, nil
}
