// Package newdevice has a request made again when a tenant does not know a device that it
// registered just now.
//
// What makes requests for a device calls it, and says whether the device is new; it decides
// nothing else.
package newdevice

import (
	"context"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

const (
	// knownTries is how often a tenant is asked that does not know a new device yet, as
	// often as ROADtools' own pipeline asks.
	knownTries = 5
	// knownPause is the wait before the second time, twice as long before each further one:
	// 15 seconds in all.
	knownPause = time.Second
)

// UntilKnown asks for something that only a device gets whom its tenant knows. A directory
// of many replicas does not know a device everywhere in the moment in which it was
// registered, and answers AADSTS50155 as for one that was deleted; so while isNew says that
// the device is new it is asked up to five times. The last answer stands. When ctx ends, or
// would end before the next time, it stands too.
func UntilKnown[T any](ctx context.Context, clk clock.Clock, isNew func() bool, ask func() (T, error)) (T, error) {
	pause := knownPause
	for try := 1; ; try++ {
		got, err := ask()
		if prterr.CodeOf(err) != aadsts.DeviceAuthenticationFailed || try == knownTries || !isNew() {
			return got, err
		}
		if until, ok := ctx.Deadline(); ok && time.Until(until) < pause {
			return got, err
		}
		if clock.Sleep(ctx, clk, pause) != nil {
			return got, err
		}
		pause *= 2
	}
}
