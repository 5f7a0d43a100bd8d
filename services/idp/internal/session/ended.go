package session

import (
	"context"
	"errors"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

const endedKind = "ended_session"

// Waiting is the part of the store that ended sessions are kept in.
type Waiting interface {
	AddPending(ctx context.Context, p store.Pending) error
	Pending(ctx context.Context, kind, key string, now time.Time) (store.Pending, error)
}

// Ended remembers sessions that somebody signed out of, until their cookies would
// expire anyway: cookies are sealed and nobody can take them back.
type Ended struct{ Waiting Waiting }

// End ends the session of a cookie.
func (e Ended) End(ctx context.Context, cookie sealed.Artefact) error {
	err := e.Waiting.AddPending(ctx, store.Pending{Kind: endedKind, Key: cookie.SessionID, User: cookie.User, Expires: cookie.Expires})
	if err != nil && !errors.Is(err, store.ErrExists) {
		return prterr.Wrap(prterr.Internal, err, "the session cannot be ended")
	}
	return nil
}

// Is reports whether the session was ended.
func (e Ended) Is(ctx context.Context, sessionID string, now time.Time) (bool, error) {
	_, err := e.Waiting.Pending(ctx, endedKind, sessionID, now)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return false, nil
	case err != nil:
		return false, prterr.Wrap(prterr.Internal, err, "the directory cannot be read")
	}
	return true, nil
}
