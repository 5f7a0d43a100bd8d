package status

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/wincode"
	eventv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/event/v1"
)

// Ids that stand round an attempt to obtain or renew a PRT.
const (
	eventBegin = 1006
	eventEnd   = 1007
)

// Filter says which events to show.
type Filter struct {
	// IDs to show; empty shows all.
	IDs []uint32
	// Correlation is a trace id, or empty.
	Correlation string
}

// Events reads the event logs of a device's components. It remembers what it has read, so
// that the next Read answers what is new.
type Events struct {
	door   Door
	filter Filter
	// last is the last event read of each component.
	last map[string]*eventv1.Event
}

// NewEvents reads from the beginning of each log.
func NewEvents(d Door, f Filter) *Events {
	return &Events{door: d, filter: f, last: map[string]*eventv1.Event{}}
}

// Components is how many components have a log.
func (e *Events) Components() (n int) {
	for _, c := range []grpc.ClientConnInterface{e.door.Dsreg, e.door.LSA, e.door.Broker} {
		if c != nil {
			n++
		}
	}
	return n
}

// Read answers the events since the last Read in the order of their times, and the
// components that did not answer.
func (e *Events) Read(ctx context.Context) ([]*eventv1.Event, []Missing) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	var found []*eventv1.Event
	var missing []Missing
	for _, c := range []struct {
		name string
		conn grpc.ClientConnInterface
	}{{"dsreg", e.door.Dsreg}, {"lsa-cloudap", e.door.LSA}, {"wam-broker", e.door.Broker}} {
		if c.conn == nil {
			continue
		}
		news, err := e.since(ctx, eventv1.NewEventServiceClient(c.conn), e.last[c.name])
		if err != nil {
			missing = append(missing, Missing{c.name, reason(err)})
			continue
		}
		for _, one := range news {
			e.last[c.name] = one
			if len(e.filter.IDs) == 0 || slices.Contains(e.filter.IDs, one.GetId()) {
				found = append(found, one)
			}
		}
	}
	slices.SortStableFunc(found, func(a, b *eventv1.Event) int {
		return cmp.Or(a.GetTime().AsTime().Compare(b.GetTime().AsTime()), strings.Compare(a.GetComponent(), b.GetComponent()), cmp.Compare(a.GetNumber(), b.GetNumber()))
	})
	return found, missing
}

// since reads what came after an event. A component that lost its files counts from 1
// again: the answer begins with the event itself, and where it does not, everything is new.
func (e *Events) since(ctx context.Context, log eventv1.EventServiceClient, last *eventv1.Event) ([]*eventv1.Event, error) {
	ask := &eventv1.ListEventsRequest{CorrelationId: e.filter.Correlation}
	if last.GetNumber() > 0 {
		ask.After = last.GetNumber() - 1
	}
	resp, err := log.ListEvents(ctx, ask)
	if err != nil || last == nil {
		return resp.GetEvents(), err
	}
	if news := resp.GetEvents(); len(news) > 0 && news[0].GetNumber() == last.GetNumber() && news[0].GetTime().AsTime().Equal(last.GetTime().AsTime()) {
		return news[1:], nil
	}
	ask.After = 0
	resp, err = log.ListEvents(ctx, ask)
	return resp.GetEvents(), err
}

// Lines writes events for people, one line each. Those of one attempt stand in a bracket
// from its 1006 to its 1007.
type Lines struct {
	// Bare leaves out what is another at each run: time, trace and addresses.
	Bare bool
	// open are the traces whose attempt has begun.
	open map[string]bool
}

// Write writes some events; the next Write goes on with open brackets.
func (l *Lines) Write(w io.Writer, events []*eventv1.Event) error {
	if l.open == nil {
		l.open = map[string]bool{}
	}
	var b strings.Builder
	for _, e := range events {
		bracket := "  "
		trace := e.GetCorrelationId()
		switch {
		case e.GetId() == eventBegin:
			bracket, l.open[trace] = "┌ ", true
		case e.GetId() == eventEnd && l.open[trace]:
			bracket = "└ "
			delete(l.open, trace)
		case l.open[trace]:
			bracket = "│ "
		}
		b.WriteString(bracket)
		if !l.Bare {
			fmt.Fprintf(&b, "%s  %-11s ", utc(e.GetTime().AsTime()), e.GetComponent())
		}
		fmt.Fprintf(&b, "%5d %-7s %-30s %s", e.GetId(), level(e.GetLevel()), channel(e.GetChannel()), line(e.GetMessage()))
		for _, f := range e.GetFields() {
			value := line(f.GetValue())
			if l.Bare && f.GetName() == "URL" {
				value = "ADDRESS"
			}
			if strings.ContainsAny(value, " ") {
				value = fmt.Sprintf("%q", value)
			}
			fmt.Fprintf(&b, " %s=%s", f.GetName(), value)
		}
		if !l.Bare && trace != "" && e.GetId() == eventBegin {
			b.WriteString(" trace=" + trace)
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// level is how Windows calls it, short.
func level(l eventv1.Level) string {
	switch l {
	case eventv1.Level_LEVEL_ERROR:
		return "Error"
	case eventv1.Level_LEVEL_WARNING:
		return "Warning"
	default:
		return "Info"
	}
}

// channel without what all have.
func channel(s string) string { return strings.TrimPrefix(line(s), "Microsoft-Windows-") }

// eventJSON is an event for programs.
type eventJSON struct {
	Time          string            `json:"time"`
	Component     string            `json:"component"`
	Channel       string            `json:"channel"`
	ID            uint32            `json:"id"`
	Level         string            `json:"level"`
	CorrelationID string            `json:"correlation_id,omitempty"`
	Message       string            `json:"message"`
	Fields        map[string]string `json:"fields,omitempty"`
	Status        string            `json:"status,omitempty"`
}

// EventsJSON writes one object a line.
func EventsJSON(w io.Writer, events []*eventv1.Event) error {
	enc := json.NewEncoder(w)
	for _, e := range events {
		out := eventJSON{
			Time: utc(e.GetTime().AsTime()), Component: e.GetComponent(), Channel: e.GetChannel(), ID: e.GetId(), Level: level(e.GetLevel()),
			CorrelationID: e.GetCorrelationId(), Message: e.GetMessage(),
		}
		for _, f := range e.GetFields() {
			if out.Fields == nil {
				out.Fields = map[string]string{}
			}
			out.Fields[f.GetName()] = f.GetValue()
		}
		if e.GetStatus() != 0 {
			out.Status = wincode.Code(e.GetStatus()).String()
		}
		if err := enc.Encode(out); err != nil {
			return err
		}
	}
	return nil
}
