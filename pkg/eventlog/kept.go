package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/trace"

	"github.com/lockstep-sso/lockstep/pkg/durable"
)

const (
	// fileName is the file of the newest events in Config.Dir.
	fileName = "events.jsonl"
	// EventDamaged is a file of an event log that cannot be used. Windows has none for it;
	// ids from 9000 are Lockstep's own.
	EventDamaged = 9005

	recordVersion = 1
	// maxNumber bounds what a file may say that was counted.
	maxNumber = 1 << 53
	maxFields = 32
	maxName   = 64
)

// record is an event as a line of the file.
type record struct {
	Version     int           `json:"version"`
	Number      uint64        `json:"number"`
	Time        time.Time     `json:"time"`
	Channel     Channel       `json:"channel"`
	ID          uint32        `json:"id"`
	Level       Level         `json:"level"`
	Message     string        `json:"message"`
	Fields      []recordField `json:"fields,omitempty"`
	Status      uint32        `json:"status,omitempty"`
	Correlation string        `json:"correlation_id,omitempty"`
}

type recordField struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

func encode(e Event) ([]byte, error) {
	r := record{
		Version: recordVersion, Number: e.Number, Time: e.Time.UTC(), Channel: e.Channel, ID: e.ID, Level: e.Level, Message: e.Message,
		Status: e.Status, Correlation: e.Correlation,
	}
	for _, f := range e.Fields {
		r.Fields = append(r.Fields, recordField(f))
	}
	return json.Marshal(r)
}

// decode reads a line as from a stranger. Errors name the member and never quote it.
func decode(line []byte) (Event, error) {
	var r record
	if err := durable.DecodeJSON(line, &r); err != nil {
		return Event{}, err
	}
	_, err := trace.TraceIDFromHex(r.Correlation)
	switch {
	case r.Version != recordVersion:
		return Event{}, fmt.Errorf("its version is not %d: it was written by another release", recordVersion)
	case r.Number == 0 || r.Number > maxNumber:
		return Event{}, errors.New("number is zero or too large")
	case r.Time.IsZero() || r.ID == 0:
		return Event{}, errors.New("time or id is missing")
	case !slices.Contains(channels(), r.Channel):
		return Event{}, errors.New("channel is not known")
	case r.Level < Information || r.Level > Error:
		return Event{}, errors.New("level is not known")
	case r.Correlation != "" && err != nil:
		return Event{}, errors.New("correlation_id is not 32 hexadecimal digits")
	case !fits(r.Message) || len(r.Fields) > maxFields:
		return Event{}, errors.New("message is too long or no text, or fields are too many")
	}
	e := Event{
		Channel: r.Channel, ID: r.ID, Level: r.Level, Message: r.Message, Status: r.Status, Number: r.Number, Time: r.Time, Correlation: r.Correlation,
	}
	for _, f := range r.Fields {
		if len(f.Name) > maxName || !fits(f.Name) || !fits(f.Value) {
			return Event{}, errors.New("a field is too long or no text")
		}
		e.Fields = append(e.Fields, Field(f))
	}
	return e, nil
}

func fits(s string) bool { return len(s) <= maxValue && utf8.ValidString(s) }

// open reads what was kept in the folder. Whatever is wrong with it, the log is good: it
// goes on in memory, and says so.
func (l *Log) open() {
	quarantine, err := durable.OpenQuarantine(filepath.Join(l.cfg.Dir, "quarantine"), l.cfg.Clock.Now)
	if err != nil {
		l.failed(err)
		return
	}
	var damaged []durable.Damage
	l.journal, damaged, err = durable.OpenJournal(durable.JournalConfig{
		Path: filepath.Join(l.cfg.Dir, fileName), MaxBytes: l.cfg.MaxBytes, Quarantine: quarantine, Points: l.cfg.Points, Take: l.take,
	})
	if err != nil {
		l.failed(err)
		return
	}
	for _, d := range damaged {
		e := Event{
			Channel: AADOperational, ID: EventDamaged, Level: Warning, Message: "a file of the event log cannot be used and was put aside: its events are not shown",
			Fields: []Field{{"file", d.Path}, {"reason", d.Reason}, {"now", d.Now}},
		}
		if d.Err != nil {
			e.Message = "a file of the event log cannot be used and could not be put aside: it begins anew"
			e.Fields[2] = Field{"why", d.Err.Error()}
		}
		l.Add(context.Background(), e)
	}
}

// take puts the events of one file into the log, all or none.
func (l *Log) take(lines [][]byte) error {
	all := make([]Event, len(lines))
	for i, line := range lines {
		var err error
		if all[i], err = decode(line); err != nil {
			return fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	for _, e := range all {
		e.Component = l.cfg.Component
		// Numbers count up, whatever a file says.
		e.Number = max(e.Number, l.next)
		l.put(e)
	}
	return nil
}

// keep writes an event to disk; l.mu is held. One that cannot be written is in memory and
// in the ordinary log only, and that is said once for each time that the disk is in trouble.
func (l *Log) keep(e Event) {
	if l.journal == nil {
		return
	}
	line, err := encode(e)
	if err == nil {
		err = l.journal.Append(line)
	}
	if err != nil && !l.troubled {
		l.failed(err)
	}
	l.troubled = err != nil
}

func (l *Log) failed(err error) {
	l.cfg.Log.Warn("events are not kept over a restart: check the disk", "folder", l.cfg.Dir, "error", err)
}
