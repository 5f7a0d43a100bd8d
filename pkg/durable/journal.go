package durable

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

const (
	// MaxRecord bounds one record of a journal, in bytes.
	MaxRecord = 64 << 10
	// olderSuffix is what the file of the records before goes by.
	olderSuffix = ".old"
)

// JournalConfig is what a journal needs.
type JournalConfig struct {
	// Path of the file of the newest records; those before are beside it, in Path.old.
	Path string
	// MaxBytes bounds each of the two files; 0 is MaxFile, and so is more.
	MaxBytes int64
	// Take reads the records of one file, in their order, or says why it cannot be used.
	Take func(records [][]byte) error
	// Quarantine gets a file that cannot be used.
	Quarantine *Quarantine
	// Points are told of each moment between two effects, for tests.
	Points Points
}

// Journal keeps records that are written one by one, for what people want to see after a
// restart and nothing is decided by. Each record is with the operating system when Append
// returns, so it outlives the process; what the machine had not written yet when its power
// went is lost. It is bounded: with a full file the one before is forgotten. Calls of one
// journal must not overlap.
type Journal struct{ cfg JournalConfig }

// Damage is a file of a journal that is not used.
type Damage struct {
	Path, Reason string
	// Now is where it is kept; empty when it could not be put aside (Err), and then the
	// next record begins it anew.
	Now string
	Err error
}

// OpenJournal gives what is on disk to Take, the older file first. A record without its
// end, as a crash leaves it, is cut off. A file that cannot be used is put aside, and the
// journal goes on without it.
func OpenJournal(cfg JournalConfig) (*Journal, []Damage, error) {
	if cfg.Path == "" || cfg.Take == nil || cfg.Quarantine == nil {
		return nil, nil, errors.New("journal: Path, Take and Quarantine are all needed")
	}
	if cfg.MaxBytes <= 0 || cfg.MaxBytes > MaxFile {
		cfg.MaxBytes = MaxFile
	}
	j := &Journal{cfg: cfg}
	var damaged []Damage
	for _, path := range []string{cfg.Path + olderSuffix, cfg.Path} {
		if err := j.read(path); err != nil {
			damaged = append(damaged, j.putAside(path, err.Error()))
		}
	}
	return j, damaged, nil
}

// read gives the records of a file to Take.
func (j *Journal) read(path string) error {
	data, err := ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	whole := bytes.LastIndexByte(data, '\n') + 1
	if whole < len(data) {
		if err := os.Truncate(path, int64(whole)); err != nil {
			return fmt.Errorf("its last record has no end, and stays: %w", err)
		}
	}
	if whole == 0 {
		return nil
	}
	return j.cfg.Take(bytes.Split(data[:whole-1], []byte("\n")))
}

func (j *Journal) putAside(path, reason string) Damage {
	found, err := j.cfg.Quarantine.Take(path, reason)
	if err != nil && found.Path == "" {
		// Nothing can be appended to what cannot be read.
		err = errors.Join(err, os.Remove(path))
	}
	return Damage{Path: path, Reason: reason, Now: found.Path, Err: err}
}

// Append writes a record, which must not hold a line break. When it returns an error, as
// with a full disk, the journal is as it was and the record is not there.
func (j *Journal) Append(record []byte) error {
	if len(record) == 0 || len(record) > MaxRecord || bytes.IndexByte(record, '\n') >= 0 {
		return fmt.Errorf("journal: a record is one line of 1 to %d bytes", MaxRecord)
	}
	if err := os.MkdirAll(filepath.Dir(j.cfg.Path), 0o700); err != nil {
		return fmt.Errorf("journal folder: %w", err)
	}
	f, size, err := j.open(int64(len(record)) + 1)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	if _, err = f.Write(slices.Concat(record, []byte("\n"))); err != nil {
		// What was written of it would spoil the next one.
		err = errors.Join(err, f.Truncate(size))
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	j.cfg.Points.Reached("record-written")
	return nil
}

// open is the file for a record of n bytes, and its size: a new one when the record does
// not fit any more.
func (j *Journal) open(n int64) (*os.File, int64, error) {
	for {
		f, err := os.OpenFile(j.cfg.Path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
		if err != nil {
			return nil, 0, err
		}
		info, err := f.Stat()
		if err == nil && info.Size() > 0 && info.Size()+n > j.cfg.MaxBytes {
			if err = j.turn(f); err == nil {
				continue
			}
		}
		if err != nil {
			return nil, 0, errors.Join(err, f.Close())
		}
		return f, info.Size(), nil
	}
}

// turn makes the full file the older one, and closes it.
func (j *Journal) turn(f *os.File) error {
	// Else a crash of the machine could leave the new name with nothing in it, and the
	// records of before are forgotten by now.
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(j.cfg.Path, j.cfg.Path+olderSuffix); err != nil {
		return err
	}
	j.cfg.Points.Reached("file-turned")
	return f.Close()
}
