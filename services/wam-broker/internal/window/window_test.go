package window_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/window"
)

func session(name string) secret.Text { return secret.NewText(name) }

func TestAWindowWaitsAtMostAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, began := window.New(window.Config{}), time.Now()
		if i, _, err := d.Await(t.Context(), session("a")); i != nil || err != nil || time.Since(began) > time.Minute {
			t.Errorf("%v, %v after %v", i, err, time.Since(began))
		}
	})
}

// TestPagesAreHandedOutOnceInTheirSession: to a window that waits already as to one
// that comes later, and to no second one.
func TestPagesAreHandedOutOnceInTheirSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := window.New(window.Config{})
		got := make(chan string, 8)
		await := func(name string) {
			i, client, err := d.Await(t.Context(), session(name))
			got <- fmt.Sprint(name, " ", i.GetInteractionId(), " ", client, " ", err)
		}
		go await("a")
		go await("b")
		synctest.Wait()
		turn, err := d.Take(t.Context(), session("a"))
		if err != nil || turn.Waited {
			t.Fatal(turn, err)
		}
		end := make(chan string, 1)
		go func() {
			final, err := turn.Show(t.Context(), &authorityv1.Interaction{InteractionId: "p1"}, "app")
			end <- fmt.Sprint(final.Reveal(), " ", err)
		}()
		synctest.Wait()
		go await("a") // the page is shown already
		if line := <-got; line != "a p1 app <nil>" {
			t.Errorf("%s", line)
		}
		if err := d.Finish(session("a"), "p1", "final"); err != nil {
			t.Error(err)
		}
		if line := <-end; line != "final <nil>" {
			t.Errorf("%s", line)
		}
		turn.End()
		for range 2 {
			if line := <-got; !strings.HasSuffix(line, "   <nil>") {
				t.Errorf("%s", line)
			}
		}
	})
}

// TestAClosedWindowTakesNoPage: a window that closes in the moment in which a page is put
// up leaves it to the next one, however the two are met.
func TestAClosedWindowTakesNoPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := window.New(window.Config{})
		turn, err := d.Take(t.Context(), session("a"))
		if err != nil {
			t.Fatal(err)
		}
		show, hide := context.WithCancel(t.Context())
		defer hide()
		go func() {
			_, _ = turn.Show(show, &authorityv1.Interaction{InteractionId: "p1"}, "app") // nobody ends it
		}()
		synctest.Wait()
		closed, closeIt := context.WithCancel(t.Context())
		closeIt()
		if i, _, err := d.Await(closed, session("a")); i != nil || err != nil {
			t.Errorf("a closed window got %v, %v", i, err)
		}
		if i, _, err := d.Await(t.Context(), session("a")); i.GetInteractionId() != "p1" || err != nil {
			t.Errorf("the next one got %v, %v", i, err)
		}
	})
}

func TestQueuesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := window.New(window.Config{})
		turn, err := d.Take(t.Context(), session("a"))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ends := make(chan error, 16)
		for range 9 {
			go func() { _, err := d.Take(ctx, session("a")); ends <- err }()
		}
		if err := <-ends; prterr.KindOf(err) != prterr.Exhausted {
			t.Errorf("the ninth who waits: %v", err)
		}
		cancel()
		for range 8 {
			if err := <-ends; prterr.KindOf(err) != prterr.Deadline {
				t.Errorf("%v", err)
			}
		}
		for i := range 63 {
			go func() { _, _, _ = d.Await(t.Context(), session(fmt.Sprint("w", i))) }()
		}
		synctest.Wait()
		if _, _, err := d.Await(t.Context(), session("one more")); prterr.KindOf(err) != prterr.Exhausted {
			t.Errorf("%v", err)
		}
		turn.End()
		time.Sleep(time.Minute) // nobody waits any more: there is room again
		if again, err := d.Take(t.Context(), session("one more")); err != nil || again.Waited {
			t.Errorf("%v, %v", again, err)
		}
	})
}

func TestEndsAreBounded(t *testing.T) {
	d := window.New(window.Config{})
	for id, final := range map[string]string{"": "x", strings.Repeat("i", 257): "x", "p": strings.Repeat("x", 64<<10+1)} {
		if err := d.Finish(session("a"), id, final); prterr.KindOf(err) != prterr.Invalid {
			t.Errorf("%v", err)
		}
	}
	if err := d.Finish(session("a"), "p", "x"); prterr.KindOf(err) != prterr.NotFound {
		t.Errorf("%v", err)
	}
}
