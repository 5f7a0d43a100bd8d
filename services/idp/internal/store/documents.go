package store

import (
	"bytes"
	"context"
	"slices"
)

// Document implements Store.
func (m *Memory) Document(_ context.Context, kind, key string) ([]byte, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	d, ok := m.docs[[2]string{kind, key}]
	if !ok {
		return nil, ErrNotFound
	}
	return bytes.Clone(d), nil
}

// PutDocument implements Store.
func (m *Memory) PutDocument(_ context.Context, kind, key string, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.docs[[2]string{kind, key}] = bytes.Clone(data)
	return nil
}

// SwapDocument implements Store.
func (m *Memory) SwapDocument(_ context.Context, kind, key string, old, data []byte) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	stands, there := m.docs[[2]string{kind, key}]
	if there != (old != nil) || !bytes.Equal(stands, old) {
		if !there {
			return nil, ErrNotFound // what it should replace is not there
		}
		return bytes.Clone(stands), nil
	}
	m.docs[[2]string{kind, key}] = bytes.Clone(data)
	return bytes.Clone(data), nil
}

// DocumentKeys implements Store.
func (m *Memory) DocumentKeys(_ context.Context, kind string) ([]string, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var out []string
	for k := range m.docs {
		if k[0] == kind {
			out = append(out, k[1])
		}
	}
	slices.Sort(out)
	return out, nil
}
