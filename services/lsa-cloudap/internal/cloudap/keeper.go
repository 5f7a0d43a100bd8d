package cloudap

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/lockstep-sso/lockstep/pkg/step"
	stepv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/step/v1"
)

// keep is the renewal clock of one partition. It runs while somebody is signed
// in: a device that nobody uses lets its PRTs age and renews at the next sign-in.
func (c *CloudAP) keep(e *entry, stop <-chan struct{}) {
	defer c.running.Done()
	for {
		if !c.awaitRenewal(e, stop) {
			return
		}
		flight, mine := c.claim(e, true)
		switch {
		case mine:
			c.renewOnClock(e)
		case flight != nil:
			select {
			case <-flight:
			case <-stop:
				return
			}
		}
	}
}

// awaitRenewal waits until a renewal is due; it is false when the keeper is to stop.
func (c *CloudAP) awaitRenewal(e *entry, stop <-chan struct{}) bool {
	timer := c.cfg.Clock.NewTimer(e.nextRenewal(c.cfg.Clock.Now(), c.cfg.RenewEvery))
	defer timer.Stop()
	due := timer.C()
	if e.nextRenewal(c.cfg.Clock.Now(), c.cfg.RenewEvery) <= 0 {
		// The clock of a laboratory was moved before there was a timer to move with it.
		now := make(chan time.Time)
		close(now)
		due = now
	}
	select {
	case <-stop:
		return false
	case <-due:
		return true
	case <-e.renewed:
		return true
	}
}

// renewOnClock begins a trace of its own: row B is this room's decision, no user
// is there, and nothing holds the credential any more.
func (c *CloudAP) renewOnClock(e *entry) {
	ctx, root := c.tracer.Start(context.Background(), "renewal clock", trace.WithNewRoot())
	defer root.End()
	ctx = step.In(ctx, step.Renewal)
	_, row := step.Start(ctx, stepv1.Step_STEP_RENEWAL_B)
	row.End()
	c.runRenewal(ctx, e, proof{})
}
