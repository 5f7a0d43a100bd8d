package account

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/pkg/eventlog"
)

const suffix = ".json"

// EventQuarantined is a file that cannot be used and was moved aside; ids from 9000
// are Lockstep's own.
const EventQuarantined = 9001

// Config is what a store needs.
type Config struct {
	// Dir holds one file an account, mode 0600.
	Dir string
	// Quarantine takes files of it that cannot be used.
	Quarantine *durable.Quarantine
	// Events gets findings; nil keeps none.
	Events *eventlog.Log
	// Points is told the moments of a write at which a crash would matter.
	Points durable.Points
}

// Store keeps one file per account in one folder. Each is replaced as a whole, so PRT
// and session key on disk always belong together. It does no locking: the authority
// writes an account from one goroutine at a time.
type Store struct{ cfg Config }

// Open reads all accounts of the folder, which may be missing. A file that cannot be
// used goes to quarantine, with an event that names it; the others are not affected.
func Open(cfg Config) (*Store, []Record, error) {
	s := &Store{cfg: cfg}
	if cfg.Dir == "" || cfg.Quarantine == nil {
		return nil, nil, errors.New("account store: Dir and Quarantine are both needed")
	}
	entries, err := os.ReadDir(cfg.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("account folder: %w", err)
	}
	var all []Record
	for _, e := range entries {
		path := filepath.Join(cfg.Dir, e.Name())
		switch {
		case strings.HasPrefix(e.Name(), ".") && strings.Contains(e.Name(), suffix+"."):
			// A crash between writing and renaming; it was never valid.
			_ = durable.Remove(path)
		case strings.HasSuffix(e.Name(), suffix):
			r, err := load(path)
			if err != nil {
				s.reject(path, err.Error())
				continue
			}
			all = append(all, r)
		}
	}
	return s, all, nil
}

func load(path string) (Record, error) {
	data, err := durable.ReadFile(path)
	if err != nil {
		return Record{}, err
	}
	defer clear(data)
	r, err := decode(data)
	if err != nil {
		return Record{}, err
	}
	if r.FileName() != filepath.Base(path) {
		return Record{}, errors.New("it holds another account than its name says")
	}
	return r, nil
}

// reject puts a file aside that cannot be used, and says so.
func (s *Store) reject(path, reason string) {
	found, err := s.cfg.Quarantine.Take(path, reason)
	e := eventlog.Event{
		Channel: eventlog.AADOperational, ID: EventQuarantined, Level: eventlog.Warning,
		Message: "the file of a work account cannot be used and was put aside: add the account again",
		Fields:  []eventlog.Field{{Name: "file", Value: path}, {Name: "reason", Value: reason}, {Name: "now", Value: found.Path}},
	}
	if err != nil {
		e.Message = "the file of a work account cannot be used and could not be put aside"
		e.Fields[2] = eventlog.Field{Name: "why", Value: err.Error()}
	}
	s.cfg.Events.Add(context.Background(), e)
}

// Save writes an account; when it returns nil, it survives a crash.
func (s *Store) Save(r Record) error {
	data, err := encode(r)
	if err != nil {
		return fmt.Errorf("work account: %w", err)
	}
	defer clear(data)
	return durable.WriteFile(filepath.Join(s.cfg.Dir, r.FileName()), data, s.cfg.Points)
}

// Remove forgets an account.
func (s *Store) Remove(id ID) error { return durable.Remove(filepath.Join(s.cfg.Dir, id.FileName())) }
