// Package statefiles is the folder in which lsa-cloudap keeps its files: every write
// and removal of the cache goes through here, and so does every file that turns out
// to be unusable.
//
// What lives here: how files are written, listed and kept aside. What never may: what
// is in them; stores (internal/partition, internal/hello) know that, and judge it. A
// file that a store cannot use goes to quarantine, never away: it may be the one copy
// of a PRT that another release can use.
package statefiles

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/pkg/eventlog"
)

// Suffix of every file that is kept here.
const Suffix = ".json"

// Events of this room. Windows has none for it; ids from 9000 are Lockstep's own.
const (
	// EventQuarantined is a file that cannot be used and was moved aside.
	EventQuarantined = 9001
)

// quarantineFolder is where unusable files go.
const quarantineFolder = "quarantine"

// Config is what the room needs.
type Config struct {
	// Dir is the state folder of the component.
	Dir string
	// Clock dates what is found; nil is the machine's.
	Clock clock.Clock
	// Events gets findings; nil keeps none.
	Events *eventlog.Log
	// Log gets what has no event; nil discards.
	Log *slog.Logger
	// Points are told of each moment of a write at which a crash would matter.
	Points durable.Points
}

// Files is the folder. It is safe for use by many goroutines; who writes one file
// from several of them orders the writes.
type Files struct {
	cfg        Config
	quarantine *durable.Quarantine
}

// Open opens the folder, which may be missing.
func Open(cfg Config) (*Files, error) {
	if cfg.Dir == "" {
		return nil, errors.New("statefiles: Dir is missing")
	}
	cfg.Clock = clock.Or(cfg.Clock)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	q, err := durable.OpenQuarantine(filepath.Join(cfg.Dir, quarantineFolder), cfg.Clock.Now)
	if err != nil {
		return nil, err
	}
	return &Files{cfg: cfg, quarantine: q}, nil
}

// Path of a file of the folder, named as in "partitions/x.json".
func (f *Files) Path(name string) string { return filepath.Join(f.cfg.Dir, filepath.FromSlash(name)) }

// List gives the names of the files in a folder below, such as "partitions/x.json".
// What a crash left of a write that was never finished is removed.
func (f *Files) List(folder string) ([]string, error) {
	entries, err := os.ReadDir(f.Path(folder))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	var names []string
	for _, e := range entries {
		name := folder + "/" + e.Name()
		switch {
		case leftover(e.Name()):
			_ = durable.Remove(f.Path(name)) // it was never valid
		case strings.HasSuffix(e.Name(), Suffix):
			names = append(names, name)
		}
	}
	return names, nil
}

// leftover reports whether a file is an unfinished one of durable.WriteFile.
func leftover(name string) bool {
	return strings.HasPrefix(name, ".") && strings.Contains(name, Suffix+".")
}

// Read reads a file; a missing one is fs.ErrNotExist.
func (f *Files) Read(name string) ([]byte, error) { return durable.ReadFile(f.Path(name)) }

// Write replaces a file as a whole; when it returns nil, the content survives a crash,
// and when it does not, the old content is there.
func (f *Files) Write(name string, data []byte) error {
	return durable.WriteFile(f.Path(name), data, f.cfg.Points)
}

// Remove removes a file for good; that there is none is no error.
func (f *Files) Remove(name string) error { return durable.Remove(f.Path(name)) }

// Reject puts a file that cannot be used aside, and says so in log and events. The
// error it returns, never nil, names the file, the reason and where it is now.
func (f *Files) Reject(name, reason string) error {
	path := f.Path(name)
	found, err := f.quarantine.Take(path, reason)
	event := eventlog.Event{
		Channel: eventlog.AADOperational, ID: EventQuarantined, Level: eventlog.Warning,
		Message: "a file of the cache cannot be used and was put aside",
		Fields:  []eventlog.Field{{Name: "file", Value: path}, {Name: "reason", Value: reason}, {Name: "now", Value: found.Path}},
	}
	if err != nil {
		event.Message = "a file of the cache cannot be used and could not be put aside: the next one of its name takes its place"
		event.Fields[2] = eventlog.Field{Name: "why", Value: err.Error()}
	}
	f.cfg.Events.Add(context.Background(), event)
	if err != nil {
		return fmt.Errorf("file %s is not used: %s; it is still there: %w", path, reason, err)
	}
	return fmt.Errorf("file %s is not used: %s; it is now %s", path, reason, found.Path)
}

// Quarantined lists the files that were put aside, in this run and before.
func (f *Files) Quarantined() []durable.Quarantined { return f.quarantine.List() }
