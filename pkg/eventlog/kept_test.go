package eventlog_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/eventlog"
)

func kept(t *testing.T, dir string, change ...func(*eventlog.Config)) *eventlog.Log {
	t.Helper()
	cfg := eventlog.Config{Component: "dsreg", Dir: dir, Clock: clock.NewLab()}
	for _, c := range change {
		c(&cfg)
	}
	l, err := eventlog.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func event(id uint32) eventlog.Event {
	return eventlog.Event{
		Channel: eventlog.DeviceRegistration, ID: id, Level: eventlog.Error, Message: "It failed.\nTwice: \u00e9", Status: 0x801c03f2,
		Fields: []eventlog.Field{{Name: "UPN", Value: "alice@contoso.test"}, {Name: "Empty"}},
	}
}

func TestEventsAreThereAfterARestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "events")
	ctx := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{7}, SpanID: trace.SpanID{1}}))
	l := kept(t, dir)
	for id := range uint32(3) {
		l.Add(ctx, event(300+id))
	}
	before := l.List(0, "", 10)
	l = kept(t, dir) // nobody closed the log before: the process was killed
	after := l.List(0, "", 10)
	for i := range after {
		after[i].Time = after[i].Time.In(before[i].Time.Location())
		before[i].Time = before[i].Time.Round(0) // without the monotonic clock
	}
	if !reflect.DeepEqual(before, after) {
		t.Errorf("before %+v\nafter  %+v", before, after)
	}
	l.Add(t.Context(), event(400))
	if news := l.List(3, "", 10); len(news) != 1 || news[0].Number != 4 || news[0].ID != 400 {
		t.Errorf("after event 3: %+v", news)
	}
	if one := l.List(0, trace.TraceID{7}.String(), 10); len(one) != 3 {
		t.Errorf("of the trace: %+v", one)
	}
	if info, err := os.Stat(filepath.Join(dir, "events.jsonl")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestWhatIsKeptIsBounded(t *testing.T) {
	dir := t.TempDir()
	small := func(cfg *eventlog.Config) { cfg.MaxBytes, cfg.Capacity = 8<<10, 40 }
	l := kept(t, dir, small)
	for id := range uint32(500) {
		l.Add(t.Context(), event(1+id))
	}
	if got := kept(t, dir, small).List(0, "", 1000); len(got) != 40 || got[0].ID != 461 || got[39].Number != 500 {
		t.Errorf("%d events are read, the first %+v", len(got), got[0])
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 2 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Size() > 8<<10 {
			t.Errorf("%s has %d bytes, %v", f.Name(), info.Size(), err)
		}
	}
}

// Every member of a line is read as from a stranger: one that is not ours costs the whole
// file, which is put aside by name, and the component has a log all the same.
func TestADamagedFileIsPutAsideAndNamed(t *testing.T) {
	good := map[string]any{"version": 1, "number": 1, "time": time.Now(), "channel": eventlog.AADOperational, "id": 1, "level": 1, "message": "m"}
	for name, v := range map[string]any{
		"version": 2, "number": 0, "time": time.Time{}, "channel": "Security", "id": 0, "level": 9, "message": strings.Repeat("m", 1025),
		"correlation_id": "me", "fields": []map[string]string{{"name": strings.Repeat("n", 65)}}, "stranger": true,
	} {
		t.Run(name, func(t *testing.T) {
			bad := map[string]any{}
			for k, v := range good {
				bad[k] = v
			}
			bad[name] = v
			dir := t.TempDir()
			path := filepath.Join(dir, "events.jsonl")
			if err := os.WriteFile(path, append(line(t, good), line(t, bad)...), 0o600); err != nil {
				t.Fatal(err)
			}
			l := kept(t, dir)
			got := l.List(0, "", 10)
			if len(got) != 1 || got[0].ID != eventlog.EventDamaged || got[0].Fields[0].Value != path || !strings.HasPrefix(got[0].Fields[1].Value, "line 2: ") {
				t.Fatalf("%+v", got)
			}
			if raw, err := os.ReadFile(got[0].Fields[2].Value); err != nil || !bytes.Contains(raw, line(t, bad)) {
				t.Errorf("it is not kept: %v", err)
			}
			l.Add(t.Context(), event(300))
			if again := kept(t, dir).List(0, "", 10); len(again) != 2 || again[1].ID != 300 {
				t.Errorf("after the next start: %+v", again)
			}
		})
	}
}

func line(t *testing.T, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return append(raw, '\n')
}

// A folder that cannot be used costs what a restart would show, and nothing else.
func TestWithoutAFolderTheLogGoesOnInMemory(t *testing.T) {
	for name, spoil := range map[string]func(dir string) error{
		"a file where the folder is": func(dir string) error { return os.WriteFile(dir, nil, 0o600) },
		"a folder where the file is": func(dir string) error { return os.MkdirAll(filepath.Join(dir, "events.jsonl", "x"), 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "events")
			if err := spoil(dir); err != nil {
				t.Fatal(err)
			}
			l := kept(t, dir)
			for id := range uint32(5) {
				l.Add(t.Context(), event(300+id))
			}
			if got := idsOf(l); !slices.Equal(got[max(0, len(got)-5):], []uint32{300, 301, 302, 303, 304}) {
				t.Errorf("events %v", got)
			}
		})
	}
}

// A full disk costs the events of that time, which are in memory; it is said once and not
// at each event, and with room again the next ones are kept.
func TestAFullDiskCostsTheEventsOfThatTime(t *testing.T) {
	dir, said := t.TempDir(), bytes.Buffer{}
	file := filepath.Join(dir, "events.jsonl")
	l := kept(t, dir, func(cfg *eventlog.Config) { cfg.Log = slog.New(slog.NewTextHandler(&said, nil)) })
	l.Add(t.Context(), event(300))
	if err := errors.Join(os.Rename(file, file+".away"), os.Symlink("/dev/full", file)); err != nil {
		t.Fatal(err)
	}
	for id := range uint32(5) {
		l.Add(t.Context(), event(301+id))
	}
	if got := idsOf(l); len(got) != 6 {
		t.Errorf("in memory there are %v", got)
	}
	if n := strings.Count(said.String(), "no space left on device"); n != 1 {
		t.Errorf("said %d times:\n%s", n, said.String())
	}
	if err := os.Rename(file+".away", file); err != nil {
		t.Fatal(err)
	}
	l.Add(t.Context(), event(306))
	if got := idsOf(kept(t, dir)); !slices.Equal(got, []uint32{300, 306}) {
		t.Errorf("after a restart there are %v", got)
	}
}

func idsOf(l *eventlog.Log) (ids []uint32) {
	for _, e := range l.List(0, "", 1000) {
		ids = append(ids, e.ID)
	}
	return ids
}
