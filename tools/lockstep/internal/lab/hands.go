package lab

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	labv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lab/v1"
)

// hands is what was done to the clocks of a lab beside moving them forward.
type hands struct {
	// stopped is where all of them stand; zero are clocks that go.
	stopped time.Time
	// frozen has single components whose clock stands, skew how wrong a clock is set, both
	// by key.
	frozen map[string]bool
	skew   map[string]time.Duration
}

// clocked are the components that have a clock, the cloud's first. In a deployment they are
// those of all its devices, whichever are acted on.
func (l *Lab) clocked() []string {
	var devices []string
	for _, d := range l.devices {
		devices = append(devices, d.Name)
	}
	if l.Elsewhere() {
		devices = nil
		for _, d := range l.cfg.Deployment.Devices {
			devices = append(devices, d.Name)
		}
	}
	keys := append(l.idpKeys(), "adfs")
	for _, device := range devices {
		for _, component := range []string{"tpm-agent", "dsreg", "wam-broker", "lsa-cloudap"} {
			keys = append(keys, device+"/"+component)
		}
	}
	return keys
}

// eachClock does something with the clock of each component that runs.
func (l *Lab) eachClock(ctx context.Context, do func(key string, c labv1.ClockServiceClient) error) error {
	for _, key := range l.clocked() {
		if !l.runs(key) {
			continue
		}
		c, err := l.clockOf(ctx, key)
		if err != nil {
			return err
		}
		if err := do(key, c); err != nil {
			return fmt.Errorf("the clock of %s: %w", key, err)
		}
	}
	return nil
}

func (l *Lab) clockOf(ctx context.Context, key string) (labv1.ClockServiceClient, error) {
	conn, err := l.Dial(ctx, "operator", key)
	if err != nil {
		return nil, err
	}
	return labv1.NewClockServiceClient(conn), nil
}

// running is the key of a component that runs, by its key or, on the first device, by
// its name.
func (l *Lab) running(component string) (string, error) {
	keys := l.clocked()
	for _, key := range []string{component, "device-1/" + component} {
		switch {
		case !slices.Contains(keys, key):
		case !l.runs(key):
			return "", prterr.New(prterr.Conflict, "%s does not run, so it has no clock: start it", key)
		default:
			return key, nil
		}
	}
	return "", prterr.New(prterr.Invalid, "there is no component %.80q: use one of %s", component, strings.Join(keys, ", "))
}

// theClock is the clock that a component is named for, and that component's key.
func (l *Lab) theClock(ctx context.Context, component string) (string, labv1.ClockServiceClient, error) {
	key, err := l.running(component)
	if err != nil {
		return "", nil, err
	}
	c, err := l.clockOf(ctx, key)
	return key, c, err
}

// Freeze stops the clocks of the whole lab, or that of one component. They can still be
// moved.
func (l *Lab) Freeze(ctx context.Context, component string) (time.Time, error) {
	if component != "" {
		return l.freezeOne(ctx, component)
	}
	stood := map[string]time.Time{}
	err := l.eachClock(ctx, func(key string, c labv1.ClockServiceClient) error {
		_, err := c.FreezeClock(ctx, &labv1.FreezeClockRequest{})
		if err != nil {
			return err
		}
		stood[key], err = shown(ctx, c)
		return err
	})
	if err != nil {
		return time.Time{}, err
	}
	l.mu.Lock()
	if l.hands.stopped.IsZero() {
		l.hands.stopped = time.Now().Add(l.ahead)
	}
	now := l.hands.stopped
	l.mu.Unlock()
	// They stopped one after the other: now all are moved to where the last one stands.
	return now, l.eachClock(ctx, func(key string, c labv1.ClockServiceClient) error {
		return catchUp(ctx, c, now.Sub(stood[key]))
	})
}

// shown is the time of a clock without what it was set wrong on purpose.
func shown(ctx context.Context, c labv1.ClockServiceClient) (time.Time, error) {
	at, err := c.DescribeClock(ctx, &labv1.DescribeClockRequest{})
	return at.GetNow().AsTime().Add(-at.GetSkew().AsDuration()), err
}

// catchUp moves a clock forward, if that is the way.
func catchUp(ctx context.Context, c labv1.ClockServiceClient, by time.Duration) error {
	if by <= 0 {
		return nil
	}
	_, err := c.AdvanceClock(ctx, &labv1.AdvanceClockRequest{By: durationpb.New(by)})
	return err
}

func (l *Lab) freezeOne(ctx context.Context, component string) (time.Time, error) {
	key, c, err := l.theClock(ctx, component)
	if err != nil {
		return time.Time{}, err
	}
	at, err := c.FreezeClock(ctx, &labv1.FreezeClockRequest{})
	if err == nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.hands.frozen == nil {
			l.hands.frozen = map[string]bool{}
		}
		l.hands.frozen[key] = true
	}
	return at.GetNow().AsTime(), err
}

// Resume lets the clocks of the whole lab go on from where they stand, or that of one
// component, which has the time of the others again.
func (l *Lab) Resume(ctx context.Context, component string) (time.Time, error) {
	if component != "" {
		return l.resumeOne(ctx, component)
	}
	l.mu.Lock()
	if !l.hands.stopped.IsZero() {
		l.ahead, l.hands.stopped = time.Until(l.hands.stopped), time.Time{}
	}
	l.mu.Unlock()
	err := l.eachClock(ctx, func(key string, c labv1.ClockServiceClient) error {
		if l.stands(key) {
			return nil
		}
		_, err := c.ResumeClock(ctx, &labv1.ResumeClockRequest{})
		return err
	})
	return time.Now().Add(l.Ahead()), err
}

func (l *Lab) stands(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.hands.frozen[key]
}

func (l *Lab) resumeOne(ctx context.Context, component string) (time.Time, error) {
	key, c, err := l.theClock(ctx, component)
	if err != nil {
		return time.Time{}, err
	}
	l.mu.Lock()
	delete(l.hands.frozen, key)
	all := !l.hands.stopped.IsZero()
	l.mu.Unlock()
	if all {
		return time.Time{}, prterr.New(prterr.Conflict, "all clocks of this lab stand: resume them, without a component")
	}
	if _, err := c.ResumeClock(ctx, &labv1.ResumeClockRequest{}); err != nil {
		return time.Time{}, err
	}
	at, err := c.DescribeClock(ctx, &labv1.DescribeClockRequest{})
	if err != nil {
		return time.Time{}, err
	}
	late := time.Now().Add(l.Ahead()).Sub(at.GetNow().AsTime().Add(-at.GetSkew().AsDuration()))
	return at.GetNow().AsTime().Add(max(late, 0)), catchUp(ctx, c, late)
}

// Skew sets the clock of one component wrong, below zero for one that is slow; zero sets
// it right. A component that starts again is as wrong as before.
func (l *Lab) Skew(ctx context.Context, component string, by time.Duration) (time.Time, error) {
	key, c, err := l.theClock(ctx, component)
	if err != nil {
		return time.Time{}, err
	}
	at, err := c.SkewClock(ctx, &labv1.SkewClockRequest{Skew: durationpb.New(by)})
	if err == nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.hands.skew == nil {
			l.hands.skew = map[string]time.Duration{}
		}
		l.hands.skew[key] = by
	}
	return at.GetNow().AsTime(), err
}

// handsAgain gives a component that has started the clock that it had before.
func (l *Lab) handsAgain(ctx context.Context, key string) error {
	l.mu.Lock()
	frozen, skew := l.hands.frozen[key] || !l.hands.stopped.IsZero(), l.hands.skew[key]
	l.mu.Unlock()
	if !frozen && skew == 0 {
		return nil
	}
	c, err := l.clockOf(ctx, key)
	if err != nil {
		return err
	}
	_, err = c.SkewClock(ctx, &labv1.SkewClockRequest{Skew: durationpb.New(skew)})
	if frozen {
		_, failed := c.FreezeClock(ctx, &labv1.FreezeClockRequest{})
		err = errors.Join(err, failed)
	}
	return err
}
