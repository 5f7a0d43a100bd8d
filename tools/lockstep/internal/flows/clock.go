package flows

import (
	"context"
	"errors"
	"slices"

	"time"

	"google.golang.org/protobuf/proto"

	"github.com/lockstep-sso/lockstep/pkg/step"
	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

func (r *Runner) advance(ctx context.Context, arg map[string]string) string {
	by, err := lab.ParseDuration(arg["by"])
	if err == nil {
		err = r.Advance(ctx, by)
	}
	return outcome("it is "+arg["by"]+" later", err)
}

// clock stops clocks, lets them go on, and sets one wrong.
func (r *Runner) clock(ctx context.Context, arg map[string]string) string {
	whose := "the clock of " + arg["component"]
	if arg["component"] == "" {
		whose = "every clock"
	}
	var err error
	switch {
	case arg["freeze"] != "":
		_, err = r.lab.Freeze(ctx, arg["component"])
		return outcome(whose+" stands", err)
	case arg["resume"] != "":
		_, err = r.lab.Resume(ctx, arg["component"])
		return outcome(whose+" goes on", err)
	case arg["skew"] != "":
		by, err := lab.ParseSkew(arg["skew"])
		if err == nil {
			_, err = r.lab.Skew(ctx, arg["component"], by)
		}
		return outcome(whose+" is wrong by "+arg["skew"], err)
	default:
		return failure(errors.New("use clock freeze, clock resume, or clock skew=-10m component=lsa-cloudap"))
	}
}

// Advance moves the clocks of the whole lab, and waits until the renewals that fell
// due on any device have ended.
func (r *Runner) Advance(ctx context.Context, by time.Duration) error {
	ctx = step.Outside(ctx)
	if r.moving != nil {
		if err := r.moving(by); err != nil {
			return err
		}
	}
	before := map[*seat][]*lsav1.PartitionState{}
	for _, s := range r.seats {
		if !s.device.Runs("lsa-cloudap") {
			continue
		}
		parts, err := s.device.Operator.SSOState(ctx)
		if err != nil {
			return err
		}
		before[s] = parts
	}
	if err := r.lab.Advance(ctx, by); err != nil {
		return err
	}
	for s, parts := range before {
		if err := errors.Join(s.woken(ctx, parts, time.Now().Add(r.lab.Ahead()), by), s.device.Operator.AwaitSSOState(ctx, nil)); err != nil {
			return err
		}
	}
	return nil
}

// woken waits until the renewal clock of who is signed in has noticed that the
// time was moved past a renewal: it runs behind the command that moved it. Nothing
// to notice is no error: the renewal may have failed as it did before.
func (s *seat) woken(ctx context.Context, before []*lsav1.PartitionState, now time.Time, by time.Duration) error {
	if !slices.ContainsFunc(before, func(p *lsav1.PartitionState) bool { return wakes(p, now, by) }) {
		return nil
	}
	for until := time.Now().Add(wakeTime); time.Now().Before(until); time.Sleep(time.Millisecond) {
		after, err := s.device.Operator.SSOState(ctx)
		if err != nil {
			return err
		}
		if !slices.EqualFunc(before, after, untouched) {
			return nil
		}
	}
	return nil
}

// wakes reports whether a move of the clock to now wakes the renewal clock of a
// partition: its renewal fell due, or was due and has been tried in vain, and the move
// is longer than the longest wait between two tries.
func wakes(p *lsav1.PartitionState, now time.Time, by time.Duration) bool {
	age := now.Sub(p.GetPrtUpdateTime().AsTime())
	return p.GetSessions() > 0 && age >= renewalCycle && (age-by < renewalCycle || by >= longestRetry)
}

// untouched says that no renewal was tried between two looks at a partition.
func untouched(a, b *lsav1.PartitionState) bool {
	return a.GetPrtDigest() == b.GetPrtDigest() && a.GetRenewalRunning() == b.GetRenewalRunning() && a.GetLastError() == b.GetLastError() &&
		proto.Equal(a.GetPrtUpdateTime(), b.GetPrtUpdateTime()) && proto.Equal(a.GetLastRefresh().GetTime(), b.GetLastRefresh().GetTime())
}
