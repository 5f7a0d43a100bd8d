package storetest

import (
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

func noon() time.Time { return time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC) }

func digest(n int) (d store.Digest) {
	binary.BigEndian.PutUint32(d[:], uint32(n))
	return d
}

// uses: once until its end, and then as if it had never been.
func uses(t *testing.T, s store.Store) {
	use := func(n int, now, until time.Duration) bool {
		first, err := s.Use(ctx(), digest(n), noon().Add(now), noon().Add(until))
		must(t, err)
		return first
	}
	same(t, []bool{use(1, 0, time.Minute), use(1, 0, time.Minute), use(2, 0, time.Hour), use(1, time.Minute, 2*time.Minute)}, []bool{true, false, true, false})
	same(t, []bool{use(1, time.Minute+1, 3*time.Minute), use(1, 2*time.Minute, 3*time.Minute)}, []bool{true, false})
	left, err := s.SweepUses(ctx(), noon().Add(3*time.Minute+1))
	must(t, err)
	same(t, left, 1)
	same(t, []bool{use(2, 4*time.Minute, time.Hour), use(1, 4*time.Minute, time.Hour)}, []bool{false, true})
}

// usesAtOnce: of many who use one thing, one is the first.
func usesAtOnce(t *testing.T, s store.Store) {
	for round := range 5 {
		var first atomic.Int32
		var wg sync.WaitGroup
		for range 40 {
			wg.Go(func() {
				ok, err := s.Use(ctx(), digest(round), noon(), noon().Add(time.Minute))
				if err != nil {
					t.Error(err)
				}
				if ok {
					first.Add(1)
				}
			})
		}
		wg.Wait()
		if first.Load() != 1 {
			t.Errorf("%d of 40 were the first", first.Load())
		}
	}
}

func rule() store.TryRule {
	return store.TryRule{Limit: 3, Pause: time.Minute, Forget: time.Hour}
}

func tries(t *testing.T, s store.Store) {
	try := func(n int, at time.Duration) bool {
		ok, err := s.Try(ctx(), digest(n), noon().Add(at), rule())
		must(t, err)
		return ok
	}
	same(t, []bool{try(1, 0), try(1, 1), try(1, 2), try(1, 3), try(1, 3), try(2, 3)}, []bool{true, true, true, false, false, true})
	// After the pause one, and then another pause; after long, all of them.
	same(t, []bool{try(1, time.Minute+1), try(1, time.Minute+2), try(1, time.Minute+3)}, []bool{false, true, false})
	late := 2 * time.Hour
	same(t, []bool{try(1, late), try(1, late), try(1, late), try(1, late)}, []bool{true, true, true, false})
	must(t, s.Right(ctx(), digest(1)))
	must(t, s.Right(ctx(), digest(9)))
	same(t, try(1, late), true)

	// The sweep: what is old goes, and then those with the fewest.
	for range 3 {
		try(3, late)
	}
	try(4, late+1)
	must(t, s.SweepTries(ctx(), noon().Add(time.Hour), 2))
	same(t, []bool{try(3, late+2), try(4, late+2), try(4, late+2), try(4, late+2)}, []bool{false, true, true, false})
}

// triesAtOnce: many at once are not more than the limit.
func triesAtOnce(t *testing.T, s store.Store) {
	var taken atomic.Int32
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			ok, err := s.Try(ctx(), digest(1), noon(), rule())
			if err != nil {
				t.Error(err)
			}
			if ok {
				taken.Add(1)
			}
		})
	}
	wg.Wait()
	if int(taken.Load()) != rule().Limit {
		t.Errorf("%d of %d were taken", taken.Load(), rule().Limit)
	}
}

// swaps: whoever knows what stands changes it.
func swaps(t *testing.T, s store.Store) {
	swap := func(old, data string) string {
		var before []byte
		if old != "" {
			before = []byte(old)
		}
		got, err := s.SwapDocument(ctx(), "k", "1", before, []byte(data))
		must(t, err)
		return string(got)
	}
	want(t, second(s.SwapDocument(ctx(), "k", "1", []byte("x"), []byte("y"))), store.ErrNotFound)
	same(t, []string{swap("", "a"), swap("", "b"), swap("b", "c"), swap("a", "d"), swap("a", "e")}, []string{"a", "a", "a", "d", "d"})
	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			got, err := s.SwapDocument(ctx(), "k", "2", nil, []byte{byte(i)})
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				t.Error(err)
			}
			if len(got) == 1 && got[0] == byte(i) {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d of 20 made the first", won.Load())
	}
}

// strangeNames: a name that cannot be is the name of nobody.
func strangeNames(t *testing.T, s store.Store) {
	for _, name := range []string{"\x00", "a\x00b", "\xff"} {
		_, err := s.Pending(ctx(), "k", name, noon())
		want(t, err, store.ErrNotFound)
		want(t, s.DeletePending(ctx(), "k", name), store.ErrNotFound)
		_, err = s.Document(ctx(), "k", name)
		want(t, err, store.ErrNotFound)
	}
}
