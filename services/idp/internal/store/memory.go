package store

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/ids"
)

// Memory is a store that lives as long as the process.
type Memory struct {
	mu      sync.RWMutex
	users   map[ids.UserID]User
	names   map[ids.UPN]ids.UserID
	devices map[ids.DeviceID]Device
	order   []ids.DeviceID
	pending map[[2]string]Pending
	docs    map[[2]string][]byte

	dataKeys map[dataKeyOf][]byte
	uses     map[Digest]time.Time
	tries    map[Digest]tries
}

var _ Store = (*Memory)(nil)

// NewMemory makes an empty store.
func NewMemory() *Memory {
	return &Memory{
		users: map[ids.UserID]User{}, names: map[ids.UPN]ids.UserID{}, devices: map[ids.DeviceID]Device{},
		pending: map[[2]string]Pending{}, docs: map[[2]string][]byte{}, dataKeys: map[dataKeyOf][]byte{},
		uses: map[Digest]time.Time{}, tries: map[Digest]tries{},
	}
}

// AddUser implements Store.
func (m *Memory) AddUser(_ context.Context, u User) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, taken := m.users[u.ID]; taken {
		return ErrExists
	}
	if _, taken := m.names[u.UPN]; taken {
		return ErrExists
	}
	m.users[u.ID], m.names[u.UPN] = u.Clone(), u.ID
	return nil
}

// User implements Store.
func (m *Memory) User(_ context.Context, t ids.TenantID, id ids.UserID) (User, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	u, ok := m.users[id]
	if !ok || u.Tenant != t {
		return User{}, ErrNotFound
	}
	return u.Clone(), nil
}

// UserByUPN implements Store.
func (m *Memory) UserByUPN(_ context.Context, upn ids.UPN) (User, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	id, ok := m.names[upn]
	if !ok {
		return User{}, ErrNotFound
	}
	return m.users[id].Clone(), nil
}

// UserByImmutableID implements Store. It is asked at a federated sign-in only,
// so it looks at every user.
func (m *Memory) UserByImmutableID(_ context.Context, t ids.TenantID, immutable string) (User, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, u := range m.users {
		if u.Tenant == t && u.ImmutableID == immutable && immutable != "" {
			return u.Clone(), nil
		}
	}
	return User{}, ErrNotFound
}

// UpdateUser implements Store.
func (m *Memory) UpdateUser(_ context.Context, t ids.TenantID, id ids.UserID, change func(*User) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	u, ok := m.users[id]
	if !ok || u.Tenant != t {
		return ErrNotFound
	}
	next := u.Clone()
	if err := change(&next); err != nil {
		return err
	}
	next.ID, next.Tenant, next.UPN = u.ID, u.Tenant, u.UPN
	m.users[id] = next.Clone()
	return nil
}

// Users implements Store.
func (m *Memory) Users(_ context.Context, t ids.TenantID) ([]User, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var out []User
	for _, u := range m.users {
		if u.Tenant == t {
			out = append(out, u.Clone())
		}
	}
	slices.SortFunc(out, func(a, b User) int { return strings.Compare(string(a.UPN), string(b.UPN)) })
	return out, nil
}

// DeleteUser implements Store.
func (m *Memory) DeleteUser(_ context.Context, t ids.TenantID, id ids.UserID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	u, ok := m.users[id]
	if !ok || u.Tenant != t {
		return ErrNotFound
	}
	delete(m.users, id)
	delete(m.names, u.UPN)
	m.dropDataKeys(func(of dataKeyOf) bool { return of.user == id })
	return nil
}

// AddDevice implements Store.
func (m *Memory) AddDevice(_ context.Context, d Device, quota int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.addDevice(d, quota)
}

// AddDeviceOnce implements Store.
func (m *Memory) AddDeviceOnce(_ context.Context, d Device, quota int, look func([]Device) (int, error)) (Device, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var recent []Device
	for _, id := range slices.Backward(m.order) {
		other := m.devices[id]
		if other.Tenant != d.Tenant || other.RegisteredBy != d.RegisteredBy {
			continue
		}
		if recent = append(recent, other.Clone()); len(recent) == Recent {
			break
		}
	}
	switch i, err := look(recent); {
	case err != nil:
		return d, err
	case i >= 0:
		return recent[i], nil
	default:
		return d, m.addDevice(d, quota)
	}
}

// addDevice is AddDevice; m.mu is held.
func (m *Memory) addDevice(d Device, quota int) error {
	if _, taken := m.devices[d.ID]; taken {
		return ErrExists
	}
	owned := 0
	for _, other := range m.devices {
		if other.Tenant == d.Tenant && other.RegisteredBy == d.RegisteredBy && d.RegisteredBy != "" {
			owned++
		}
	}
	if d.RegisteredBy != "" && owned >= quota {
		return ErrQuota
	}
	m.devices[d.ID] = d.Clone()
	m.order = append(m.order, d.ID)
	return nil
}

// Device implements Store.
func (m *Memory) Device(_ context.Context, id ids.DeviceID) (Device, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	d, ok := m.devices[id]
	if !ok {
		return Device{}, ErrNotFound
	}
	return d.Clone(), nil
}

// Devices implements Store.
func (m *Memory) Devices(_ context.Context, t ids.TenantID) ([]Device, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var out []Device
	for _, id := range m.order {
		if d := m.devices[id]; d.Tenant == t {
			out = append(out, d.Clone())
		}
	}
	return out, nil
}

// UpdateDevice implements Store.
func (m *Memory) UpdateDevice(_ context.Context, id ids.DeviceID, change func(*Device) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, ok := m.devices[id]
	if !ok {
		return ErrNotFound
	}
	next := d.Clone()
	if err := change(&next); err != nil {
		return err
	}
	next.ID, next.Tenant = d.ID, d.Tenant
	m.devices[id] = next.Clone()
	return nil
}

// DeleteDevice implements Store.
func (m *Memory) DeleteDevice(_ context.Context, id ids.DeviceID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.devices[id]; !ok {
		return ErrNotFound
	}
	delete(m.devices, id)
	m.dropDataKeys(func(of dataKeyOf) bool { return of.device == id })
	m.order = slices.DeleteFunc(m.order, func(other ids.DeviceID) bool { return other == id })
	return nil
}

// Close implements Store.
func (m *Memory) Close() error { return nil }

// Clone keeps the store's bytes apart from the caller's.
func (d Device) Clone() Device {
	d.Certificate = bytes.Clone(d.Certificate)
	d.DeviceKey = bytes.Clone(d.DeviceKey)
	d.TransportKey = bytes.Clone(d.TransportKey)
	d.TransportJWK = bytes.Clone(d.TransportJWK)
	d.StorageKey = bytes.Clone(d.StorageKey)
	d.AuthMethods = slices.Clone(d.AuthMethods)
	d.OnPremises.Certificate = bytes.Clone(d.OnPremises.Certificate)
	return d
}

// Clone keeps the store's bytes apart from the caller's.
func (u User) Clone() User {
	u.HelloKeys = slices.Clone(u.HelloKeys)
	for i := range u.HelloKeys {
		u.HelloKeys[i].Key = bytes.Clone(u.HelloKeys[i].Key)
	}
	u.Push = slices.Clone(u.Push)
	u.AccessPass.Hash = bytes.Clone(u.AccessPass.Hash)
	u.Passkeys = slices.Clone(u.Passkeys)
	for i := range u.Passkeys {
		k := &u.Passkeys[i]
		k.ID, k.PublicKey, k.AAGUID, k.Transports = bytes.Clone(k.ID), bytes.Clone(k.PublicKey), bytes.Clone(k.AAGUID), slices.Clone(k.Transports)
	}
	return u
}
