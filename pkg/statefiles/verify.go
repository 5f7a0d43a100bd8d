package statefiles

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/eventlog"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

// Outcome is what the record of the tpm-agent says of a digest.
type Outcome int

// The outcomes.
const (
	// Current is the state that was written last.
	Current Outcome = iota + 1
	// NoRecord: the first start, or a TPM that was cleared.
	NoRecord
	// Stale: an older state, or one that somebody else wrote.
	Stale
)

// Records is the tpm-agent's memory of this component's state. Each call bounds its
// own time.
type Records interface {
	// Begin announces a digest, Confirm makes it the current one, Check compares.
	Begin(digest [32]byte) error
	Confirm(digest [32]byte) error
	Check(digest [32]byte) (Outcome, error)
}

// Verification is whether the files are those that were written last.
type Verification int

// The states of it.
const (
	// Unverified: nobody keeps a record.
	Unverified Verification = iota
	// Pending: the tpm-agent could not be asked yet.
	Pending
	// Verified: the files are those that were written last.
	Verified
	// RolledBack: files were not, and are in quarantine. The others are.
	RolledBack
)

// stillFor is how long an agent that did not answer in time is not asked again.
const stillFor = 30 * time.Second

// Settle does what is left to do with the record: the check of the start, when the
// tpm-agent could not be asked then, and the record of what was written while it could
// not. It returns the files that turned out to be old ones since the last call: they
// are in quarantine, and what was read of them is not to be used any more. Who is about
// to rely on the cache calls it; when nothing is left to do it costs nothing.
func (f *Files) Settle() (old []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.settle()
	old, f.found = f.found, nil
	return old
}

// Lost reports whether a file that was written last is not the one that was found: an old
// one, or none. Who takes a missing file for a first start asks.
func (f *Files) Lost(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lost[name]
}

// Verification tells how the files were found.
func (f *Files) Verification() Verification {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state
}

func (f *Files) settle() {
	if f.cfg.Records == nil || f.cfg.Clock.Now().Before(f.stillUntil) {
		return
	}
	if f.state == Pending {
		f.failed(f.verify(), "the cache could not be checked against the record of the tpm-agent: it is used, and checked later")
	}
	if f.state != Pending && f.dirty {
		f.failed(f.record(), "the state of the cache could not be recorded by the tpm-agent: later")
	}
}

// failed remembers an agent that keeps its callers waiting.
func (f *Files) failed(err error, what string) {
	if err == nil {
		return
	}
	f.cfg.Log.Warn("record of the cache", "outcome", what, "error", err)
	if prterr.KindOf(err) == prterr.Deadline {
		f.stillUntil = f.cfg.Clock.Now().Add(stillFor)
	}
}

// record makes the state on disk the recorded one.
func (f *Files) record() error {
	d := f.current.digest()
	if err := f.cfg.Records.Begin(d); err != nil {
		return err
	}
	if err := f.cfg.Records.Confirm(d); err != nil {
		return err
	}
	f.dirty = false
	return nil
}

// verify compares what was on disk at the start with the record, and sorts out what is
// not the newest. An error leaves everything as it is.
func (f *Files) verify() error {
	outcome, err := f.cfg.Records.Check(f.base.digest())
	if err != nil {
		return err
	}
	switch outcome {
	case Current:
	case NoRecord:
		f.dirty = len(f.current) > 0
		if len(f.base) > 0 {
			f.event(EventAdopted, "the tpm-agent has no record of the cache, as after the TPM was cleared: its files are taken as they are")
		}
	default:
		if err := f.sortOut(); err != nil {
			return err
		}
	}
	if f.state == Pending {
		f.state = Verified
	}
	if f.listed == nil && len(f.current) > 0 || f.listed != nil && f.listed.digest() != f.current.digest() {
		f.keepManifest()
	}
	return nil
}

// sortOut puts old files aside. With a manifest that is the recorded one, those are the
// files that differ from it; with none, nobody can tell which are the newest, and all
// are. What was written in this run in the place of an old file goes with it: it was made
// of what was read there, and a wrong password must not make an old file a new one. What
// this run wrote where nothing was is ours.
func (f *Files) sortOut() error {
	good := false
	if f.listed != nil {
		outcome, err := f.cfg.Records.Check(f.listed.digest())
		if err != nil {
			return err
		}
		good = outcome == Current
	}
	reason := "neither it nor the manifest is what was written last: an older copy of the whole cache"
	if good {
		reason = "it is not what was written last: an older copy, or changed by somebody else"
	}
	for _, name := range slices.Sorted(maps.Keys(f.base)) {
		if _, there := f.current[name]; !there || good && f.base[name] == f.listed[name] {
			continue
		}
		_ = f.putAside(name, reason) // it says itself what became of it
		f.current = f.current.without(name)
		f.found, f.state = append(f.found, name), RolledBack
		f.lost[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(f.listed)) {
		if _, there := f.base[name]; good && !there {
			f.lost[name] = true
			f.event(EventMissing, "a file of the cache is missing: its user signs in as for the first time", eventlog.Field{Name: "file", Value: f.Path(name)})
		}
	}
	if f.state == RolledBack {
		f.event(EventRolledBack, "the cache is not the one that was written last: older files were put aside, and their users sign in as for the first time")
	}
	f.dirty = true
	return nil
}

func (f *Files) event(id uint32, message string, fields ...eventlog.Field) {
	f.cfg.Events.Add(context.Background(), eventlog.Event{
		Channel: eventlog.AADOperational, ID: id, Level: eventlog.Warning, Message: message, Fields: fields,
	})
}
