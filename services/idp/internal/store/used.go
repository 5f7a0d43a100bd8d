package store

import (
	"context"
	"crypto/sha256"
	"slices"
	"time"
)

// Digest names a thing or a person; it holds nothing of it.
type Digest [sha256.Size]byte

// Uses are what was used already, over every process that shares the store: nonces,
// requests, codes, assertions.
type Uses interface {
	// Use remembers d until the given time and reports whether it was new at now. Of
	// many who use one digest at once, wherever they are, exactly one is told so.
	Use(ctx context.Context, d Digest, now, until time.Time) (first bool, err error)
	// SweepUses forgets what has ended before now and reports how many are left.
	SweepUses(ctx context.Context, now time.Time) (left int, err error)
}

// TryRule says how many wrong tries are taken.
type TryRule struct {
	// Limit is how many in a row; then nothing is taken for Pause, and one more each
	// Pause after it.
	Limit int
	Pause time.Duration
	// Forget is after how long without a try the count begins again.
	Forget time.Duration
}

// Tries are counters of tries that were not right yet, over every process that shares
// the store.
type Tries interface {
	// Try counts a try of a name at now and reports whether it may be made.
	Try(ctx context.Context, name Digest, now time.Time, r TryRule) (taken bool, err error)
	// Right forgets the tries of a name.
	Right(ctx context.Context, name Digest) error
	// SweepTries forgets those of before a time, and, beyond most of them, those with
	// the fewest tries, the oldest first.
	SweepTries(ctx context.Context, before time.Time, most int) error
}

type tries struct {
	wrong int
	last  time.Time
}

// Use implements Store.
func (m *Memory) Use(_ context.Context, d Digest, now, until time.Time) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if end, used := m.uses[d]; used && !end.Before(now) {
		return false, nil
	}
	m.uses[d] = until
	return true, nil
}

// SweepUses implements Store.
func (m *Memory) SweepUses(_ context.Context, now time.Time) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for d, end := range m.uses {
		if end.Before(now) {
			delete(m.uses, d)
		}
	}
	return len(m.uses), nil
}

// Try implements Store.
func (m *Memory) Try(_ context.Context, name Digest, now time.Time, r TryRule) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.tries[name]
	switch idle := now.Sub(n.last); {
	case idle > r.Forget:
		n.wrong = 0
	case n.wrong >= r.Limit && idle < r.Pause:
		return false, nil
	}
	m.tries[name] = tries{n.wrong + 1, now}
	return true, nil
}

// Right implements Store.
func (m *Memory) Right(_ context.Context, name Digest) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.tries, name)
	return nil
}

// SweepTries implements Store.
func (m *Memory) SweepTries(_ context.Context, before time.Time, most int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var names []Digest
	for name, n := range m.tries {
		if n.last.Before(before) {
			delete(m.tries, name)
		} else {
			names = append(names, name)
		}
	}
	if len(names) <= most {
		return nil
	}
	slices.SortFunc(names, func(a, b Digest) int {
		if d := m.tries[a].wrong - m.tries[b].wrong; d != 0 {
			return d
		}
		return m.tries[a].last.Compare(m.tries[b].last)
	})
	for _, name := range names[:len(names)-most] {
		delete(m.tries, name)
	}
	return nil
}
