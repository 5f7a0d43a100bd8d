package statefiles

import (
	"crypto/sha256"
	"fmt"
	"path"
	"slices"

	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/pkg/eventlog"
)

// Write replaces a file as a whole; when it returns nil, the content survives a crash,
// and when it does not, the old content is there.
//
// While the tpm-agent cannot be asked, the file is written all the same, and recorded
// later: what is written then is a wrong password that has to count. When the process
// ends before that, the next start takes the file for somebody else's, and its user
// signs in as for the first time: on the safe side, and nothing is lost for good.
func (f *Files) Write(name string, data []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.covered(name) {
		delete(f.refused, name)
		return durable.WriteFile(f.Path(name), data, f.cfg.Points)
	}
	staged, err := durable.Stage(f.Path(name), data, f.cfg.Points)
	if err != nil {
		return err
	}
	next := f.current.with(name, sha256.Sum256(data))
	return f.change(name, next, staged.Commit, staged.Discard)
}

// covered reports whether the manifest lists a file of this name.
func (f *Files) covered(name string) bool {
	return f.cfg.Records != nil && (slices.Contains(f.cfg.Names, name) || slices.Contains(f.cfg.Folders, path.Dir(name)))
}

// Remove removes a file for good; that there is none is no error.
func (f *Files) Remove(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	remove := func() error { return durable.Remove(f.Path(name)) }
	if _, known := f.current[name]; !known || !f.covered(name) {
		return remove()
	}
	return f.change(name, f.current.without(name), remove, func() {})
}

// change makes one change to the files and to what is remembered of them. do makes it
// in one step, undo gives it up.
func (f *Files) change(name string, next manifest, do func() error, undo func()) error {
	staged, err := f.stageManifest(next)
	if err != nil {
		undo()
		return err
	}
	begun := f.begin(next)
	f.cfg.Points.Reached("state-begun")
	if err := do(); err != nil {
		staged.Discard()
		f.look(name)
		return err
	}
	f.current, f.dirty = next, true
	delete(f.refused, name)
	if err := staged.Commit(); err != nil {
		f.cfg.Log.Warn("the manifest of the cache was not written", "error", err)
	}
	if !begun {
		return nil
	}
	if err := f.cfg.Records.Confirm(next.digest()); err != nil {
		f.failed(err, "a write could not be confirmed: later")
		return nil
	}
	f.dirty = false
	f.cfg.Points.Reached("state-confirmed")
	return nil
}

// begin announces the state to come; false when it has to be recorded later.
func (f *Files) begin(next manifest) bool {
	// While the check of the start is due, the record is what it is about.
	if f.state == Pending || f.cfg.Clock.Now().Before(f.stillUntil) {
		return false
	}
	if f.settle(); f.dirty {
		return false
	}
	err := f.cfg.Records.Begin(next.digest())
	f.failed(err, "a write could not be announced: it is recorded later")
	return err == nil
}

// look finds out what is there after a change that failed: mostly the old file.
func (f *Files) look(name string) {
	sum, there := f.sum(name)
	if was, known := f.current[name]; known == there && was == sum {
		return
	}
	f.dirty = true
	if f.current = f.current.without(name); there {
		f.current[name] = sum
	}
}

// Reject puts a file that cannot be used aside, and says so in log and events. The
// error it returns, never nil, names the file, the reason and where it is now.
func (f *Files) Reject(name, reason string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, known := f.current[name]; !known || !f.covered(name) {
		return f.putAside(name, reason)
	}
	var rejected error
	err := f.change(name, f.current.without(name), func() error { rejected = f.putAside(name, reason); return nil }, func() {})
	if rejected == nil { // the disk is full: the record follows later
		rejected = f.putAside(name, reason)
		f.cfg.Log.Warn("record of the cache", "outcome", "a file was put aside, and the manifest not written", "error", err)
	}
	f.look(name) // it is still there when the quarantine is full
	f.refused[name] = true
	return rejected
}

func (f *Files) putAside(name, reason string) error {
	full := f.Path(name)
	found, err := f.cfg.Quarantine.Take(full, reason)
	f.refused[name] = err != nil
	if err != nil {
		f.event(EventQuarantined, "a file of the cache cannot be used and could not be put aside: the next one of its name takes its place",
			eventlog.Field{Name: "file", Value: full}, eventlog.Field{Name: "reason", Value: reason}, eventlog.Field{Name: "why", Value: err.Error()})
		return fmt.Errorf("file %s is not used: %s; it is still there: %w", full, reason, err)
	}
	f.event(EventQuarantined, "a file of the cache cannot be used and was put aside",
		eventlog.Field{Name: "file", Value: full}, eventlog.Field{Name: "reason", Value: reason}, eventlog.Field{Name: "now", Value: found.Path})
	return fmt.Errorf("file %s is not used: %s; it is now %s", full, reason, found.Path)
}

// Quarantined lists the files that were put aside, in this run and before.
func (f *Files) Quarantined() []durable.Quarantined { return f.cfg.Quarantine.List() }
