package durable

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// MaxQuarantined is how many files a quarantine takes.
	MaxQuarantined = 100
	// reasonsFile remembers why each file is there. Its name begins with a dot, as no
	// file of quarantine does.
	reasonsFile = ".reasons.json"
	// tries bounds the search for a free name within one second.
	tries = MaxQuarantined + 1
)

// Quarantined is a file that is kept aside.
type Quarantined struct {
	// Path where it is now.
	Path string `json:"path"`
	// Reason why, for people; it quotes nothing of the file.
	Reason string `json:"reason"`
	// Time of the finding.
	Time time.Time `json:"time"`
}

// Quarantine is a folder for files that cannot be used: a store moves them there in
// place of deleting or overwriting them, so that somebody can look at them, repair
// them and put them back. It is safe for use by many goroutines of one process.
type Quarantine struct {
	dir string
	now func() time.Time

	mu    sync.Mutex
	files []Quarantined
}

// OpenQuarantine reads what is in the folder, which may be missing. now is the time
// of findings; nil is the machine's. Of a folder that cannot be read nothing is known,
// and nothing is moved there.
func OpenQuarantine(dir string, now func() time.Time) (*Quarantine, error) {
	if now == nil {
		now = time.Now
	}
	q := &Quarantine{dir: dir, now: now}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("quarantine folder: %w", err)
	}
	reasons := q.reasons()
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		path := filepath.Join(dir, e.Name())
		i := slices.IndexFunc(reasons, func(r Quarantined) bool { return r.Path == path })
		if i >= 0 {
			q.files = append(q.files, reasons[i])
			continue
		}
		// Its reason was not written, as on a full disk; the log of that run has it.
		q.files = append(q.files, Quarantined{path, "it was found unusable in an earlier run: see the log of that time", named(e.Name())})
	}
	q.sort()
	return q, nil
}

// reasons reads what was remembered, as from a stranger.
func (q *Quarantine) reasons() []Quarantined {
	data, err := ReadFile(filepath.Join(q.dir, reasonsFile))
	if err != nil {
		return nil
	}
	var all []Quarantined
	if json.Unmarshal(data, &all) != nil {
		return nil
	}
	return all
}

// named is the time in the name of a file of quarantine, or none.
func named(name string) time.Time {
	stamp, _, _ := strings.Cut(name[strings.LastIndexByte(name, '.')+1:], "-")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(seconds, 0)
}

// Take moves the file at path here, under its name with the time behind it. When it
// returns an error, the file is where it was.
func (q *Quarantine) Take(path, reason string) (Quarantined, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.files) >= MaxQuarantined {
		return Quarantined{}, fmt.Errorf("quarantine %s holds %d files, and takes no more: look at them, and remove what is not needed", q.dir, len(q.files))
	}
	if err := os.MkdirAll(q.dir, 0o700); err != nil {
		return Quarantined{}, fmt.Errorf("quarantine folder: %w", err)
	}
	found := Quarantined{Reason: reason, Time: q.now().UTC()}
	var err error
	if found.Path, err = q.free(filepath.Base(path), found.Time); err != nil {
		return Quarantined{}, err
	}
	if err := os.Rename(path, found.Path); err != nil {
		return Quarantined{}, fmt.Errorf("quarantine: %w", err)
	}
	q.files = append(q.files, found)
	q.sort()
	err = errors.Join(syncDir(filepath.Dir(path)), syncDir(q.dir))
	if data, e := json.Marshal(q.files); e == nil {
		// Best effort: the file itself is safe, and the caller's log has the reason.
		_ = WriteFile(filepath.Join(q.dir, reasonsFile), data, nil)
	}
	return found, err
}

// free is a name here that no file has. Only this process makes files here.
func (q *Quarantine) free(base string, now time.Time) (string, error) {
	for n := range tries {
		path := filepath.Join(q.dir, base+"."+strconv.FormatInt(now.Unix(), 10))
		if n > 0 {
			path += "-" + strconv.Itoa(n)
		}
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			return path, nil
		} else if err != nil {
			return "", fmt.Errorf("quarantine: %w", err)
		}
	}
	return "", fmt.Errorf("quarantine %s has no free name for %s", q.dir, base)
}

// List is what is in quarantine, the oldest first.
func (q *Quarantine) List() []Quarantined {
	if q == nil {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.files)
}

func (q *Quarantine) sort() {
	slices.SortStableFunc(q.files, func(a, b Quarantined) int {
		return cmp.Or(a.Time.Compare(b.Time), strings.Compare(a.Path, b.Path))
	})
}
