package store

import (
	"bytes"
	"context"
	"slices"
	"time"
)

// MaxPending bounds what waits; beyond that the one that would end first goes.
const MaxPending = 100_000

// AddPending implements Store.
func (m *Memory) AddPending(_ context.Context, p Pending) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := [2]string{p.Kind, p.Key}
	if _, taken := m.pending[key]; taken {
		return ErrExists
	}
	if len(m.pending) >= MaxPending {
		m.dropFirst()
	}
	p.Data = bytes.Clone(p.Data)
	m.pending[key] = p
	return nil
}

func (m *Memory) dropFirst() {
	var first [2]string
	var end time.Time
	for k, p := range m.pending {
		if end.IsZero() || p.Expires.Before(end) {
			first, end = k, p.Expires
		}
	}
	delete(m.pending, first)
}

// Pending implements Store.
func (m *Memory) Pending(_ context.Context, kind, key string, now time.Time) (Pending, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.waiting([2]string{kind, key}, now)
}

func (m *Memory) waiting(key [2]string, now time.Time) (Pending, error) {
	p, ok := m.pending[key]
	if !ok {
		return Pending{}, ErrNotFound
	}
	if now.After(p.Expires) {
		delete(m.pending, key)
		return Pending{}, ErrNotFound
	}
	p.Data = bytes.Clone(p.Data)
	return p, nil
}

// UpdatePending implements Store.
func (m *Memory) UpdatePending(_ context.Context, kind, key string, now time.Time, change func(*Pending) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	p, err := m.waiting([2]string{kind, key}, now)
	if err != nil {
		return err
	}
	if err := change(&p); err != nil {
		return err
	}
	next := m.pending[[2]string{kind, key}]
	next.User, next.Data = p.User, bytes.Clone(p.Data)
	m.pending[[2]string{kind, key}] = next
	return nil
}

// DeletePending implements Store.
func (m *Memory) DeletePending(_ context.Context, kind, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.pending[[2]string{kind, key}]; !ok {
		return ErrNotFound
	}
	delete(m.pending, [2]string{kind, key})
	return nil
}

// Pendings implements Store.
func (m *Memory) Pendings(_ context.Context, kind string, now time.Time) ([]Pending, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Pending
	for k := range m.pending {
		if k[0] != kind {
			continue
		}
		if p, err := m.waiting(k, now); err == nil {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b Pending) int { return a.Expires.Compare(b.Expires) })
	return out, nil
}
