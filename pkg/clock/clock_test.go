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

// quiet fails if a timer has fired.
func quiet(t *testing.T, tm clock.Timer, when string) {
	t.Helper()
	synctest.Wait()
	select {
	case <-tm.C():
		t.Errorf("the timer fired %s", when)
	default:
	}
}

func TestFLT05_AFrozenClockStandsAndCanBeMoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lab := clock.NewLab()
		tm := lab.NewTimer(time.Hour)
		time.Sleep(10 * time.Minute)
		at := lab.Freeze()
		later := lab.NewTimer(2 * time.Hour)
		time.Sleep(24 * time.Hour)
		if !lab.Frozen() || !lab.Now().Equal(at) || !lab.Freeze().Equal(at) {
			t.Errorf("the clock went on to %v", lab.Now())
		}
		quiet(t, tm, "while the clock stood")
		if got := lab.Advance(50 * time.Minute).Sub(at); got != 50*time.Minute {
			t.Errorf("it was moved by %v", got)
		}
		<-tm.C()
		time.Sleep(time.Hour)
		if got := lab.Resume().Sub(at); got != 50*time.Minute || lab.Frozen() {
			t.Errorf("it goes on from %v", got)
		}
		time.Sleep(69 * time.Minute)
		quiet(t, later, "a minute early")
		time.Sleep(time.Minute)
		<-later.C()
		lab.Resume()
		if got := lab.Now().Sub(at); got != 2*time.Hour {
			t.Errorf("it shows %v", got)
		}
	})
}

func TestFLT05_ASkewedClockIsWrongAndItsTimersAreNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lab := clock.NewLab()
		right := lab.Now()
		tm := lab.NewTimer(time.Hour)
		if got := lab.SetSkew(-10 * time.Minute).Sub(right); got != -10*time.Minute || lab.Skew() != got {
			t.Errorf("wrong by %v", got)
		}
		lab.SetSkew(48 * time.Hour)
		quiet(t, tm, "because the hands were moved")
		late := lab.NewTimer(2 * time.Hour)
		time.Sleep(time.Hour)
		if at := (<-tm.C()).Sub(right); at != 49*time.Hour {
			t.Errorf("fired at %v by the hands", at)
		}
		quiet(t, late, "early")
		lab.Freeze()
		if got := lab.SetSkew(0).Sub(right); got != time.Hour {
			t.Errorf("set right it shows %v", got)
		}
	})
}
