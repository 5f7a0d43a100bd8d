// Package lastattempt remembers the last failure to obtain, renew or use each PRT, over a
// restart of the component too, for the diagnostics of dsregcmd /status.
//
// What lives here: the failures and their file. What never may: a secret, and a decision;
// nothing is decided by them. So a file that is damaged is put aside, and one that cannot
// be written costs what a restart would show and nothing else. Whoever is the authority of
// a PRT uses it: lsa-cloudap on joined devices, wam-broker on registered ones.
package lastattempt

import (
	"cmp"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/authority"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/pkg/statefiles"
)

const (
	// FileName is what the file is called in the state folder of a component.
	FileName = "attempts.json"
	// Max bounds how many failures are kept of each kind of work: with one more, the oldest
	// is forgotten. Anybody at the lock screen can make up names.
	Max = 64
	// again is how long the same failure under the same name is not written once more: an
	// app that tries all the time must not wear out the disk.
	again = time.Minute
	// KeptFor is how long a failure is of use to anybody; a name that somebody made up at
	// the lock screen must not stay for good.
	KeptFor = 30 * 24 * time.Hour
)

// Name is what a failure is kept under.
type Name struct {
	// What was tried: Obtain, Renew or Use.
	What What
	// Of says whose PRT, in a form of the component's own.
	Of string
}

// What was tried.
type What string

// The kinds of work with a PRT.
const (
	Obtain What = "obtain"
	Renew  What = "renew"
	Use    What = "use"
)

// Config is what a book may have.
type Config struct {
	// Clock tells how old failures are; nil is the real one.
	Clock clock.Clock
	// Log gets what could not be read or written; nil discards.
	Log *slog.Logger
	// Points are told of each moment of a write at which a crash would matter, as
	// attempts-renamed.
	Points durable.Points
}

// Book has the failures. It is safe for concurrent use.
type Book struct {
	cfg  Config
	path string
	mu   sync.Mutex
	all  map[Name]authority.Attempt
	// written is what the file says.
	written map[Name]authority.Attempt
}

// Open reads the file in the state folder of a component, which may be missing. One that
// cannot be used is put aside, with the event of that folder, and the book begins empty.
func Open(files *statefiles.Files, cfg Config) *Book {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	cfg.Clock = clock.Or(cfg.Clock)
	b := &Book{cfg: cfg, path: files.Path(FileName), all: map[Name]authority.Attempt{}, written: map[Name]authority.Attempt{}}
	data, err := files.Read(FileName)
	if errors.Is(err, fs.ErrNotExist) {
		return b
	}
	var found map[Name]authority.Attempt
	if err == nil {
		found, err = decode(data)
	}
	if err != nil {
		cfg.Log.Error("the last failed attempts are not shown", "error", files.Reject(FileName, err.Error()))
		return b
	}
	b.all, b.written = found, maps.Clone(found)
	b.forgetOld()
	return b
}

// Get is the last failure under a name, zero when there is none.
func (b *Book) Get(n Name) authority.Attempt {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all[n]
}

// All are the failures of one kind of work.
func (b *Book) All(w What) map[Name]authority.Attempt {
	b.mu.Lock()
	defer b.mu.Unlock()
	found := map[Name]authority.Attempt{}
	for n, a := range b.all {
		if n.What == w {
			found[n] = a
		}
	}
	return found
}

// Set keeps a failure.
func (b *Book) Set(n Name, a authority.Attempt) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all[n] = a
	b.forgetOld()
	b.forgetOldest(n.What)
	if old, known := b.written[n]; known && a.At.Sub(old.At).Abs() < again && alike(a, old) {
		return
	}
	b.write()
}

// Drop forgets a failure: it went well since, or its account has gone.
func (b *Book) Drop(n Name) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, known := b.all[n]; known {
		delete(b.all, n)
		b.write()
	}
}

// forgetOld drops what is of no use any more; b.mu is held, or nobody knows the book yet.
func (b *Book) forgetOld() {
	now := b.cfg.Clock.Now()
	maps.DeleteFunc(b.all, func(_ Name, a authority.Attempt) bool { return now.Sub(a.At) > KeptFor })
}

// forgetOldest keeps a kind of work within its bound; b.mu is held.
func (b *Book) forgetOldest(w What) {
	var names []Name
	for n := range b.all {
		if n.What == w {
			names = append(names, n)
		}
	}
	if len(names) <= Max {
		return
	}
	delete(b.all, slices.MinFunc(names, func(x, y Name) int {
		return cmp.Or(b.all[x].At.Compare(b.all[y].At), cmp.Compare(x.Of, y.Of))
	}))
}

// alike reports whether two failures differ in nothing but time and trace.
func alike(a, b authority.Attempt) bool {
	a.At, a.Correlation = b.At, b.Correlation
	return a == b
}

// write replaces the file; b.mu is held.
func (b *Book) write() {
	data, err := encode(b.all)
	if err == nil {
		err = durable.WriteFile(b.path, data, func(point string) { b.cfg.Points.Reached("attempts-" + point) })
	}
	if err != nil {
		b.cfg.Log.Warn("the last failed attempts are not kept over a restart: check the disk", "error", err)
		return
	}
	b.written = maps.Clone(b.all)
}
