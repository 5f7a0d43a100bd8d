// Package statefiles is the folder in which an authority of PRTs keeps its files: every
// write and removal of the cache goes through here, and so does every file that turns out
// to be unusable or old.
//
// What lives here: how files are written, listed and kept aside, and whether they are
// those that were written last, which the tpm-agent remembers. What never may: what is
// in them; stores (partitions, Hello records and local accounts of lsa-cloudap, work
// accounts of wam-broker) know that, and judge it. A file that cannot be used goes to
// quarantine, never away: it may be the one copy of a PRT that another release can use.
//
// A write stages the file and the manifest, which lists the digest of each file, has the
// tpm-agent remember the digest to come, puts both in place, and confirms. A crash in
// between leaves a state that the agent knows: the one before or the one after.
package statefiles

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

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
	// EventRolledBack is a cache that is not the one that was written last.
	EventRolledBack = 9002
	// EventAdopted is a cache that was taken as it is, because nobody has a record.
	EventAdopted = 9003
	// EventMissing is a file of the cache that is not there.
	EventMissing = 9004
)

// quarantineFolder is where unusable files go.
const quarantineFolder = "quarantine"

// Config is what the room needs.
type Config struct {
	// Dir is the state folder of the component.
	Dir string
	// Folders and Names are what the manifest covers: folders below Dir, and files in it.
	// Every write there goes through here, or the next start takes it for somebody else's.
	// Other files are written and put aside here all the same, and nobody remembers them.
	Folders, Names []string
	// Quarantine takes what is put aside; nil is the folder quarantine in Dir. Who has more
	// stores in Dir gives all of them the same.
	Quarantine *durable.Quarantine
	// Records is the tpm-agent's memory; nil verifies nothing, and keeps no manifest.
	Records Records
	// Clock dates what is found; nil is the machine's.
	Clock clock.Clock
	// Events gets findings; nil keeps none.
	Events *eventlog.Log
	// Log gets what has no event; nil discards.
	Log *slog.Logger
	// Points are told of each moment of a write at which a crash would matter.
	Points durable.Points
}

// Files is the folder. It is safe for use by many goroutines: one write is made at a
// time.
type Files struct {
	cfg Config

	mu    sync.Mutex
	state Verification
	// base is what was on disk at the start, listed what the manifest said then, nil
	// without one; current is what is on disk.
	base, listed, current manifest
	// refused are the files that this run found unusable, lost those that it found old, or
	// not at all.
	refused, lost map[string]bool
	// found are old files that nobody was told of yet.
	found []string
	// dirty says that current is not recorded, or not for certain.
	dirty      bool
	stillUntil time.Time
}

// Open opens the folder, which may be missing, and compares it with the record. That
// the tpm-agent cannot be asked is no error: see Settle.
func Open(cfg Config) (*Files, error) {
	if cfg.Dir == "" {
		return nil, errors.New("statefiles: Dir is missing")
	}
	cfg.Clock = clock.Or(cfg.Clock)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Quarantine == nil {
		var err error
		if cfg.Quarantine, err = durable.OpenQuarantine(filepath.Join(cfg.Dir, quarantineFolder), cfg.Clock.Now); err != nil {
			return nil, err
		}
	}
	f := &Files{cfg: cfg, refused: map[string]bool{}, lost: map[string]bool{}}
	f.sweep()
	if cfg.Records == nil {
		return f, nil
	}
	f.state = Pending
	var err error
	if f.base, err = f.scan(); err != nil {
		return nil, err
	}
	f.current = f.base
	if data, err := f.Read(manifestName); err == nil {
		if f.listed, err = decodeManifest(data); err != nil {
			cfg.Log.Warn("the manifest of the cache cannot be used", "error", err)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.settle()
	f.found = nil // nothing was read yet
	return f, nil
}

// sweep removes what a crash left of files in the folder itself.
func (f *Files) sweep() { _, _ = f.list(".") }

// Path of a file of the folder, named as in "partitions/x.json".
func (f *Files) Path(name string) string { return filepath.Join(f.cfg.Dir, filepath.FromSlash(name)) }

// List gives the names of the files in a folder below, such as "partitions/x.json", but
// for those that were found unusable. What a crash left of a write that was never
// finished is removed.
func (f *Files) List(folder string) ([]string, error) {
	names, err := f.list(folder)
	f.mu.Lock()
	defer f.mu.Unlock()
	usable := names[:0]
	for _, name := range names {
		if !f.refused[name] {
			usable = append(usable, name)
		}
	}
	return usable, err
}

func (f *Files) list(folder string) ([]string, error) {
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

// Read reads a file; a missing one, or one that was found unusable, is fs.ErrNotExist.
func (f *Files) Read(name string) ([]byte, error) {
	f.mu.Lock()
	refused := f.refused[name]
	f.mu.Unlock()
	if refused {
		return nil, fs.ErrNotExist
	}
	return durable.ReadFile(f.Path(name))
}

// sum is the digest of a file, zero when it cannot be read.
func (f *Files) sum(name string) (sum digest, there bool) {
	data, err := durable.ReadFile(f.Path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return sum, false
	}
	if err != nil {
		return sum, true
	}
	return sha256.Sum256(data), true
}
