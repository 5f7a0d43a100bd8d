package lockout_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/lockout"
)

// A flood of names that nobody has costs its sender nothing, such as those of
// authenticators and passes: it must not free a name that is locked.
func TestAttackAFloodOfNamesFreesNone(t *testing.T) {
	lab := clock.NewLab()
	c := lockout.New(lab)
	for range lockout.Limit {
		if err := c.Try(t.Context(), "victim"); err != nil {
			t.Fatal(err)
		}
	}
	lab.Advance(time.Second)
	for i := range 100_010 {
		if err := c.Try(t.Context(), "flood "+strconv.Itoa(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Try(t.Context(), "victim"); prterr.CodeOf(err) != aadsts.AccountLocked {
		t.Errorf("a flood freed the name: %v", err)
	}
}
