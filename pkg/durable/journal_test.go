package durable_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/durable"
)

// journal is one in a folder of its own, with what was read of it.
type journal struct {
	*durable.Journal
	read    []string
	damaged []durable.Damage
}

func openJournal(t *testing.T, dir string, limit int64, points durable.Points) *journal {
	t.Helper()
	q, err := durable.OpenQuarantine(filepath.Join(dir, "quarantine"), nil)
	if err != nil {
		t.Fatal(err)
	}
	j := &journal{}
	j.Journal, j.damaged, err = durable.OpenJournal(durable.JournalConfig{
		Path: filepath.Join(dir, "log"), MaxBytes: limit, Quarantine: q, Points: points,
		Take: func(records [][]byte) error {
			var all []string
			for _, r := range records {
				if !bytes.HasPrefix(r, []byte("r")) {
					return errors.New("a record is not one of ours")
				}
				all = append(all, string(r))
			}
			j.read = append(j.read, all...)
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func (j *journal) write(t *testing.T, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		if err := j.Append(fmt.Appendf(nil, "r%03d", i)); err != nil {
			t.Fatal(err)
		}
	}
}

func numbers(from, to int) (all []string) {
	for i := from; i < to; i++ {
		all = append(all, fmt.Sprintf("r%03d", i))
	}
	return all
}

func TestAJournalGoesOnAndIsBounded(t *testing.T) {
	dir := t.TempDir()
	const limit = 50 // ten records a file
	openJournal(t, dir, limit, nil).write(t, 0, 7)
	j := openJournal(t, dir, limit, nil)
	if !slices.Equal(j.read, numbers(0, 7)) || len(j.damaged) > 0 {
		t.Fatalf("read %v, damaged %v", j.read, j.damaged)
	}
	j.write(t, 7, 95)
	if j = openJournal(t, dir, limit, nil); !slices.Equal(j.read, numbers(80, 95)) {
		t.Errorf("of 95 records there are %v", j.read)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 2 {
		t.Errorf("files %v, %v", files, err)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Size() > limit || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f.Name(), info, err)
		}
	}
	for _, bad := range []string{"", "r\nr", "r" + strings.Repeat("x", durable.MaxRecord)} {
		if err := j.Append([]byte(bad)); err == nil {
			t.Errorf("a record of %d bytes was taken", len(bad))
		}
	}
}

// Whatever the moment at which the process ends, what was written before is there, and
// the next record has its place.
func TestACrashLosesNoRecord(t *testing.T) {
	for _, point := range []string{"file-turned", "record-written"} {
		t.Run(point, func(t *testing.T) {
			dir, killed := t.TempDir(), 0
			func() {
				defer func() { _ = recover() }()
				j := openJournal(t, dir, 50, func(p string) {
					if p == point && killed >= 10 { // the first file is full then
						panic("killed")
					}
				})
				for ; killed < 12; killed++ {
					j.write(t, killed, killed+1)
				}
			}()
			want := 10 // the eleventh was not written
			if point == "record-written" {
				want = 11
			}
			j := openJournal(t, dir, 50, nil)
			if killed != 10 || !slices.Equal(j.read, numbers(0, want)) || len(j.damaged) > 0 {
				t.Fatalf("killed in record %d: read %v, damaged %v", killed, j.read, j.damaged)
			}
			j.write(t, want, want+1)
			if j = openJournal(t, dir, 50, nil); !slices.Equal(j.read, numbers(0, want+1)) {
				t.Errorf("then %v", j.read)
			}
		})
	}
}

func TestARecordWithoutItsEndIsCutOff(t *testing.T) {
	for _, torn := range []string{"r0", "r\x00\x00\x00", strings.Repeat("\x00", 100)} {
		dir := t.TempDir()
		openJournal(t, dir, 0, nil).write(t, 0, 3)
		appendTo(t, filepath.Join(dir, "log"), torn)
		j := openJournal(t, dir, 0, nil)
		j.write(t, 3, 4)
		if again := openJournal(t, dir, 0, nil); !slices.Equal(again.read, numbers(0, 4)) || len(j.damaged) > 0 {
			t.Errorf("after %q: %v, damaged %v", torn, again.read, j.damaged)
		}
	}
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// A damaged file is put aside by name, the other one is read, and the journal goes on;
// with a quarantine that takes no more, too.
func TestADamagedFileOfAJournalIsPutAside(t *testing.T) {
	for name, full := range map[string]bool{"put aside": false, "nowhere to put it": true} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			openJournal(t, dir, 50, nil).write(t, 0, 15)
			path := filepath.Join(dir, "log")
			appendTo(t, path, "not ours\n")
			if full {
				for i := range durable.MaxQuarantined {
					if err := durable.WriteFile(filepath.Join(dir, "quarantine", fmt.Sprintf("x.%d", i)), nil, nil); err != nil {
						t.Fatal(err)
					}
				}
			}
			j := openJournal(t, dir, 50, nil)
			if len(j.damaged) != 1 || j.damaged[0].Path != path || j.damaged[0].Reason != "a record is not one of ours" || full != (j.damaged[0].Err != nil) {
				t.Fatalf("damaged %+v", j.damaged)
			}
			if kept, err := os.ReadFile(j.damaged[0].Now); !full && (err != nil || !strings.HasSuffix(string(kept), "not ours\n")) {
				t.Errorf("kept %q, %v", kept, err)
			}
			j.write(t, 15, 17)
			if again := openJournal(t, dir, 50, nil); !slices.Equal(again.read, slices.Concat(numbers(0, 10), numbers(15, 17))) || len(again.damaged) > 0 {
				t.Errorf("then %v, damaged %v", again.read, again.damaged)
			}
		})
	}
}
