package postgres

import (
	"context"
	"sync"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// most bounds the users, and the devices, in memory: some 3 KB each.
const most = 10_000

// cache has records that were read, until the feed says that they changed. What is
// missing is asked for each time, so that nobody fills it with names that nobody has.
type cache struct {
	mu      sync.RWMutex
	users   map[ids.UserID]store.User
	names   map[ids.UPN]ids.UserID
	devices map[ids.DeviceID]store.Device
	// drops counts what was dropped: a record that was read before may be an old one.
	drops uint64
}

func newCache() *cache {
	return &cache{users: map[ids.UserID]store.User{}, names: map[ids.UPN]ids.UserID{}, devices: map[ids.DeviceID]store.Device{}}
}

func (c *cache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drops++
	clear(c.users)
	clear(c.names)
	clear(c.devices)
}

func (c *cache) drop(kind, key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drops++
	if kind == usersTable {
		delete(c.names, c.users[ids.UserID(key)].UPN)
		delete(c.users, ids.UserID(key))
	} else {
		delete(c.devices, ids.DeviceID(key))
	}
}

// user finds a user by id, or by name when that is given, and tells what to hand to put.
func (c *cache) user(id ids.UserID, upn ids.UPN) (u store.User, ok bool, drops uint64) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if upn != "" {
		id = c.names[upn]
	}
	u, ok = c.users[id]
	return u.Clone(), ok, c.drops
}

func (c *cache) putUser(u store.User, drops uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.drops != drops {
		return
	}
	for id, one := range c.users { // any: which one hardly matters
		if len(c.users) < most {
			break
		}
		delete(c.names, one.UPN)
		delete(c.users, id)
	}
	c.users[u.ID], c.names[u.UPN] = u.Clone(), u.ID
}

func (c *cache) device(id ids.DeviceID) (d store.Device, ok bool, drops uint64) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	d, ok = c.devices[id]
	return d.Clone(), ok, c.drops
}

func (c *cache) putDevice(d store.Device, drops uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.drops != drops {
		return
	}
	for id := range c.devices {
		if len(c.devices) < most {
			break
		}
		delete(c.devices, id)
	}
	c.devices[d.ID] = d.Clone()
}

// User implements Store.
func (s *Store) User(ctx context.Context, t ids.TenantID, id ids.UserID) (store.User, error) {
	u, ok, drops := s.cache.user(id, "")
	if ok && u.Tenant != t {
		return store.User{}, store.ErrNotFound
	}
	if ok {
		return u, nil
	}
	u, err := s.Store.User(ctx, t, id)
	if err == nil {
		s.cache.putUser(u, drops)
	}
	return u, err
}

// UserByUPN implements Store.
func (s *Store) UserByUPN(ctx context.Context, upn ids.UPN) (store.User, error) {
	u, ok, drops := s.cache.user("", upn)
	if ok && upn != "" {
		return u, nil
	}
	u, err := s.Store.UserByUPN(ctx, upn)
	if err == nil {
		s.cache.putUser(u, drops)
	}
	return u, err
}

// Device implements Store.
func (s *Store) Device(ctx context.Context, id ids.DeviceID) (store.Device, error) {
	d, ok, drops := s.cache.device(id)
	if ok {
		return d, nil
	}
	d, err := s.Store.Device(ctx, id)
	if err == nil {
		s.cache.putDevice(d, drops)
	}
	return d, err
}

// UpdateUser implements Store.
func (s *Store) UpdateUser(ctx context.Context, t ids.TenantID, id ids.UserID, change func(*store.User) error) error {
	defer s.cache.drop(usersTable, string(id)) // also after an error: it may have been done
	return s.Store.UpdateUser(ctx, t, id, change)
}

// DeleteUser implements Store.
func (s *Store) DeleteUser(ctx context.Context, t ids.TenantID, id ids.UserID) error {
	defer s.cache.drop(usersTable, string(id))
	return s.Store.DeleteUser(ctx, t, id)
}

// UpdateDevice implements Store.
func (s *Store) UpdateDevice(ctx context.Context, id ids.DeviceID, change func(*store.Device) error) error {
	defer s.cache.drop(devicesTable, string(id))
	return s.Store.UpdateDevice(ctx, id, change)
}

// DeleteDevice implements Store.
func (s *Store) DeleteDevice(ctx context.Context, id ids.DeviceID) error {
	defer s.cache.drop(devicesTable, string(id))
	return s.Store.DeleteDevice(ctx, id)
}
