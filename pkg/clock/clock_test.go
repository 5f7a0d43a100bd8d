package clock_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/clock"
)

func TestLabTimerFiresWhenTheClockIsMoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lab := clock.NewLab()
		start := lab.Now()
		far, near := lab.NewTimer(8*time.Hour), lab.NewTimer(4*time.Hour)
		lab.Advance(4 * time.Hour)
		synctest.Wait()
		if at := (<-near.C()).Sub(start); at != 4*time.Hour {
			t.Errorf("fired at %v", at)
		}
		select {
		case <-far.C():
			t.Error("the timer of 8 hours fired after 4")
		default:
		}
		time.Sleep(4 * time.Hour) // the lab's clock also runs by itself
		<-far.C()
		if got := lab.Now().Sub(start); got != 8*time.Hour {
			t.Errorf("the clock shows %v", got)
		}
	})
}

func TestLabTimerStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lab := clock.NewLab()
		tm := lab.NewTimer(time.Hour)
		if !tm.Stop() || tm.Stop() {
			t.Error("Stop should answer true once")
		}
		lab.Advance(2 * time.Hour)
		synctest.Wait()
		select {
		case <-tm.C():
			t.Error("a stopped timer fired")
		default:
		}
		lab.Advance(-time.Hour)
		if d := lab.NewTimer(0); (<-d.C()).IsZero() {
			t.Error("a timer of zero should fire at once")
		}
	})
}
