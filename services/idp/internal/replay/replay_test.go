package replay_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/replay"
)

func use(t *testing.T, c *replay.Cache, n byte, until time.Time) bool {
	t.Helper()
	fresh, err := c.Use(t.Context(), replay.Digest{n}, until)
	if err != nil {
		t.Fatal(err)
	}
	return fresh
}

func TestOnceUntilTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := replay.New(clock.Real(), 0)
		end := time.Now().Add(time.Minute)
		if !use(t, c, 1, end) || use(t, c, 1, end) || !use(t, c, 2, end.Add(time.Minute)) {
			t.Error("not once")
		}
		time.Sleep(time.Minute)
		if use(t, c, 1, end) {
			t.Error("forgotten at its very end, when its nonce is still good")
		}
		time.Sleep(time.Nanosecond)
		if !use(t, c, 1, time.Now().Add(time.Minute)) || use(t, c, 2, end) || c.Len() != 2 {
			t.Errorf("%d remembered", c.Len())
		}
	})
}

func TestFullRefusesAndForgetsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := replay.New(clock.Real(), 2)
		end := time.Now().Add(time.Minute)
		use(t, c, 1, end)
		use(t, c, 2, end)
		if _, err := c.Use(t.Context(), replay.Digest{3}, end); prterr.KindOf(err) != prterr.Exhausted {
			t.Errorf("%v", err)
		}
		if use(t, c, 1, end) {
			t.Error("an old one was forgotten for a new one")
		}
		time.Sleep(time.Minute + 1)
		if !use(t, c, 3, end.Add(time.Hour)) {
			t.Error("still full")
		}
	})
}

func TestOfManyAtOnceExactlyOne(t *testing.T) {
	c := replay.New(clock.Real(), 0)
	var passed atomic.Int32
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			if fresh, err := c.Use(t.Context(), replay.Digest{1}, time.Now().Add(time.Hour)); err == nil && fresh {
				passed.Add(1)
			}
		})
	}
	wg.Wait()
	if passed.Load() != 1 {
		t.Errorf("%d passed", passed.Load())
	}
}

func TestWhatWasMadeBeforeTheCacheBeganIsNeverNew(t *testing.T) {
	lab := clock.NewLab()
	old := lab.Now()
	lab.Advance(2 * time.Second)
	c := replay.New(lab, 0)
	until := lab.Now().Add(time.Hour)
	for _, u := range []struct {
		name string
		made time.Time
		want bool
	}{{"before", old, false}, {"in its second", lab.Now().Truncate(time.Second), true}, {"no time", time.Time{}, false}} {
		fresh, err := c.UseOnce(t.Context(), replay.Digest{byte(len(u.name))}, u.made, until)
		if err != nil || fresh != u.want {
			t.Errorf("%s: %v, %v", u.name, fresh, err)
		}
		if again, _ := c.UseOnce(t.Context(), replay.Digest{byte(len(u.name))}, u.made, until); again {
			t.Errorf("%s: twice", u.name)
		}
	}
}
