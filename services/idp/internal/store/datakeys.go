package store

import (
	"bytes"
	"context"

	"github.com/lockstep-sso/lockstep/pkg/ids"
)

// DataKey is what is kept for a user on a device, sealed by whoever puts it.
type DataKey struct {
	Tenant ids.TenantID
	User   ids.UserID
	Device ids.DeviceID
	// Sealed is the key, at most 4 KiB.
	Sealed []byte
}

// DataKeys are the keys under which the data-protection keys of devices rest. They go
// with their user and with their device.
type DataKeys interface {
	// DataKey finds the sealed key of a user on a device.
	DataKey(ctx context.Context, t ids.TenantID, user ids.UserID, device ids.DeviceID) ([]byte, error)
	// PutDataKey puts k in the place of old, nil for of nothing, and gives back what
	// stands then: k, or what another call has put there before. ErrNotFound when the
	// tenant has no such user or no such device, so that none outlives them.
	PutDataKey(ctx context.Context, k DataKey, old []byte) ([]byte, error)
}

// dataKeyOf names a record.
type dataKeyOf struct {
	tenant ids.TenantID
	user   ids.UserID
	device ids.DeviceID
}

// DataKey implements Store.
func (m *Memory) DataKey(_ context.Context, t ids.TenantID, user ids.UserID, device ids.DeviceID) ([]byte, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	k, ok := m.dataKeys[dataKeyOf{t, user, device}]
	if !ok {
		return nil, ErrNotFound
	}
	return bytes.Clone(k), nil
}

// PutDataKey implements Store.
func (m *Memory) PutDataKey(_ context.Context, k DataKey, old []byte) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.users[k.User].Tenant != k.Tenant || m.devices[k.Device].Tenant != k.Tenant || k.Tenant == "" {
		return nil, ErrNotFound
	}
	of := dataKeyOf{k.Tenant, k.User, k.Device}
	if stands, there := m.dataKeys[of]; there != (old != nil) || !bytes.Equal(stands, old) {
		if !there {
			return nil, ErrNotFound // what it should replace is gone
		}
		return bytes.Clone(stands), nil
	}
	m.dataKeys[of] = bytes.Clone(k.Sealed)
	return bytes.Clone(k.Sealed), nil
}

// dropDataKeys forgets those that drop says; mu is held.
func (m *Memory) dropDataKeys(drop func(dataKeyOf) bool) {
	for of := range m.dataKeys {
		if drop(of) {
			delete(m.dataKeys, of)
		}
	}
}
