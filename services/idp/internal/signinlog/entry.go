package signinlog

import (
	"context"
	"errors"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

// Record ends an event with the outcome that err stands for and adds it. An
// error that was not written for the caller is ours, and its text stays out.
func (l *Log) Record(ctx context.Context, now time.Time, e Event, err error) {
	e.Time = now
	var more *detailed
	if errors.As(err, &more) && e.Hidden == "" {
		e.Hidden = more.hidden
	}
	var known *prterr.Error
	switch {
	case err == nil:
		e.Outcome = Success
	case errors.As(err, &known) && known.Kind != prterr.Internal:
		e.Outcome, e.Code, e.Reason = Refused, known.Code, known.Msg
	default:
		e.Outcome, e.Reason = Failed, "internal error"
	}
	l.Add(ctx, e)
}

// detailed is an error with words for the log alone.
type detailed struct {
	error
	hidden string
}

func (d *detailed) Unwrap() error { return d.error }

// WithHidden adds to an error what the log says of it beyond its own text: what the
// caller must not learn. It never crosses a border.
func WithHidden(err *prterr.Error, hidden string) error { return &detailed{err, hidden} }
