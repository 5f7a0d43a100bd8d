package enrol

import (
	"context"
	"time"

	"github.com/lockstep-sso/lockstep/services/dsreg/internal/state"
)

// afterwards bounds the work that follows when the caller may have gone.
const afterwards = 10 * time.Second

// unfinished says that the device stayed what it was.
type unfinished struct{ cause error }

func (u *unfinished) Error() string { return u.cause.Error() }
func (u *unfinished) Unwrap() error { return u.cause }

// become makes id the device's identity: it is written down as pending, the TPM
// installs its certificate, it is written down as current. From the first to the
// last only the TPM knows who the device is, so whoever asks in between waits. An
// error is *unfinished when the device stayed what it was.
func (e *Enroller) become(ctx context.Context, id *state.Identity, native bool, old state.Record) error {
	release, err := e.take(ctx)
	if err != nil {
		return &unfinished{err}
	}
	defer release()
	e.known.Store(false)
	pending := old
	pending.Pending = id
	if err := e.put(pending); err != nil {
		return &unfinished{err}
	}
	e.points.Reached("pending-written")
	failed := e.keys.install(ctx, id.KeySet, id.Certificate.Raw, native)
	e.points.Reached("installed")
	// Whether or not it failed, the TPM knows what it holds: an answer that got
	// lost is not a failure, and a failure must not stay written down as pending.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), afterwards)
	defer cancel()
	if failed != nil {
		return e.undecided(ctx, id, failed)
	}
	if err := e.put(state.Record{Current: id}); err != nil {
		return err // pending on disk and installed: settle will find the new identity
	}
	e.changed()
	e.became.Store(e.clock.Now().UnixNano())
	e.known.Store(true)
	e.points.Reached("current-written")
	return nil
}

// undecided asks the TPM whether an installation that failed took place.
func (e *Enroller) undecided(ctx context.Context, id *state.Identity, failed error) error {
	if err := e.settle(ctx); err != nil {
		return err
	}
	if e.store.Get().Current == id {
		return nil
	}
	return &unfinished{failed}
}

// changed forgets what was known of the keys that were the device's.
func (e *Enroller) changed() {
	e.provider.forget()
	e.tested.Store(nil)
}
