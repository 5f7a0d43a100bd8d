package faults_test

import (
	"context"
	"slices"
	"sync"
	"time"

	faultv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/fault/v1"
)

// cue is a context whose deadline passes when it is told so, and not by a clock: a machine
// that has much to do is late for a deadline of seconds, and never for this one.
type cue struct {
	context.Context
	once sync.Once
	done chan struct{}
}

func newCue(ctx context.Context) *cue {
	c := &cue{Context: ctx, done: make(chan struct{})}
	context.AfterFunc(ctx, c.pass)
	return c
}

func (c *cue) pass() { c.once.Do(func() { close(c.done) }) }

func (c *cue) Done() <-chan struct{} { return c.done }

func (c *cue) Err() error {
	select {
	case <-c.done:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// watching is how often the stand-in is asked whether its rule has struck.
const watching = 5 * time.Millisecond

// whenStruck does something once a rule of a stand-in has struck. The function that
// it returns gives up, and has returned when nothing is done any more.
func (s *scene) whenStruck(ctx context.Context, key string, do func()) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			if s.struck(ctx, key) {
				do()
				return
			}
			select {
			case <-ctx.Done():
			case <-time.After(watching):
			}
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

// struck says whether a rule of a stand-in has struck.
func (s *scene) struck(ctx context.Context, key string) bool {
	state, err := s.lab.Rules(ctx, key)
	return err == nil && slices.ContainsFunc(state.GetRules(), func(r *faultv1.RuleState) bool { return r.GetStruck() > 0 })
}
