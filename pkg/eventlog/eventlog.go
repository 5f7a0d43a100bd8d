// Package eventlog is the event log of a component: what happened, under the
// channels and ids that Windows uses, for people who know those.
//
// What lives here: a bounded log in memory, the same on disk, so that it is there after
// a restart, and the door to read it. What never may: a secret, or text of a caller's
// choosing; messages and field values are ours, names of users and addresses of
// endpoints. Rooms with such events add them; the operator reads them (prt.event.v1).
// Every event also goes to the component's ordinary log.
//
// The log is for finding faults, and no evidence: whoever may write to the folder may
// change it. Nothing is decided by it, so a damaged file is put aside and a full disk
// costs the event, never what it is about.
package eventlog

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/durable"
)

// Channel is an event channel of Windows.
type Channel string

// The channels that are used here.
const (
	// AADOperational has what goes wrong with Entra accounts.
	AADOperational Channel = "Microsoft-Windows-AAD/Operational"
	// AADAnalytic has the steps of each acquisition of a PRT.
	AADAnalytic Channel = "Microsoft-Windows-AAD/Analytic"
	// DeviceRegistration has joins, registrations and recoveries.
	DeviceRegistration Channel = "Microsoft-Windows-User Device Registration/Admin"
	// HelloForBusiness has provisioning and use of Windows Hello keys.
	HelloForBusiness Channel = "Microsoft-Windows-HelloForBusiness/Operational"
)

func channels() []Channel {
	return []Channel{AADOperational, AADAnalytic, DeviceRegistration, HelloForBusiness}
}

// Level of an event.
type Level int

// The levels, the least urgent first.
const (
	Information Level = iota + 1
	Warning
	Error
)

// defaultCapacity is how many events are kept, at most some 4 MiB.
const defaultCapacity = 4096

// maxValue bounds message and field values in bytes; longer ones are cut.
const maxValue = 1 << 10

// Field is a name with a value.
type Field struct{ Name, Value string }

// Event is one entry. Number, Time, Correlation and Component are filled in by Add.
type Event struct {
	Channel Channel
	ID      uint32
	Level   Level
	Message string
	Fields  []Field
	// Status is the Windows code that it is about, 0 when there is none.
	Status uint32

	// Number counts up, over restarts too while the folder is there.
	Number uint64
	Time   time.Time
	// Correlation is the trace id of the context, or empty.
	Correlation string
	Component   string
}

// Config is what a log needs.
type Config struct {
	// Component that writes it.
	Component string
	// Clock stamps events; nil is the real one.
	Clock clock.Clock
	// Capacity is how many events are kept; 0 is 4,096.
	Capacity int
	// Dir is the folder, of this log alone, in which events are kept over a restart, mode
	// 0600; it is made with the first. Empty keeps them in memory only.
	Dir string
	// MaxBytes bounds each of the two files there; 0 is 1 MiB, and so is more.
	MaxBytes int64
	// Log gets each event too; nil discards.
	Log *slog.Logger
	// Points are told of each moment of a write at which a crash would matter, for tests.
	Points durable.Points
}

// Log keeps the newest events. It is safe for use by many goroutines.
type Log struct {
	cfg Config
	mu  sync.Mutex
	// ring holds the last events, the newest before place; next is the number of the one
	// to come.
	ring  []Event
	place int
	next  uint64
	// journal is the same on disk, nil when there is none; troubled says that the last
	// event could not be written there.
	journal  *durable.Journal
	troubled bool
}

// New makes a log that begins with what was kept of the one before. That it cannot be
// read or kept is no error: see the package.
func New(cfg Config) (*Log, error) {
	if cfg.Component == "" {
		return nil, errors.New("eventlog: Component is missing")
	}
	if cfg.Capacity <= 0 {
		cfg.Capacity = defaultCapacity
	}
	cfg.Clock = clock.Or(cfg.Clock)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	l := &Log{cfg: cfg, next: 1}
	if cfg.Dir != "" {
		l.open()
	}
	return l, nil
}

// Add writes an event. A nil log takes none, so rooms under test need not have one.
func (l *Log) Add(ctx context.Context, e Event) {
	if l == nil {
		return
	}
	e.Component, e.Time = l.cfg.Component, l.cfg.Clock.Now()
	if sc := trace.SpanContextFromContext(ctx); sc.HasTraceID() {
		e.Correlation = sc.TraceID().String()
	}
	e.Message = cut(e.Message)
	fields := make([]Field, len(e.Fields))
	for i, f := range e.Fields {
		fields[i] = Field{f.Name, cut(f.Value)}
	}
	e.Fields = fields

	l.mu.Lock()
	e.Number = l.next
	l.put(e)
	l.keep(e)
	l.mu.Unlock()
	l.echo(ctx, e)
}

// put adds an event to the ring; l.mu is held, or nobody knows the log yet.
func (l *Log) put(e Event) {
	l.next = e.Number + 1
	if len(l.ring) < l.cfg.Capacity {
		l.ring = append(l.ring, e)
		return
	}
	l.ring[l.place] = e
	l.place = (l.place + 1) % len(l.ring)
}

// echo writes the event to the ordinary log.
func (l *Log) echo(ctx context.Context, e Event) {
	level := map[Level]slog.Level{Warning: slog.LevelWarn, Error: slog.LevelError}[e.Level]
	attrs := []slog.Attr{slog.Any("id", e.ID), slog.String("channel", string(e.Channel)), slog.String("message", e.Message)}
	for _, f := range e.Fields {
		attrs = append(attrs, slog.String(f.Name, f.Value))
	}
	l.cfg.Log.LogAttrs(ctx, level, "event", attrs...)
}

// List answers events with a number above after, the oldest first, at most limit of
// the newest; correlation narrows it to one trace unless it is empty.
func (l *Log) List(after uint64, correlation string, limit int) []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []Event
	for i := len(l.ring); i > 0 && len(found) < limit; i-- {
		e := l.ring[(l.place+i-1)%len(l.ring)]
		if e.Number <= after {
			break
		}
		if correlation == "" || e.Correlation == correlation {
			found = append(found, e)
		}
	}
	slices.Reverse(found)
	return found
}

// cut bounds a text, and makes it one: the name of a file on disk is any bytes, and one
// event that cannot be sent would keep all of them from being read.
func cut(s string) string {
	if len(s) > maxValue {
		s = s[:maxValue]
	}
	return strings.ToValidUTF8(s, "?")
}
