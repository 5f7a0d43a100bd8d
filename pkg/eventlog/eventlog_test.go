package eventlog_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/eventlog"
)

func TestTheNewestEventsAreKept(t *testing.T) {
	c := clock.NewLab()
	l, err := eventlog.New(eventlog.Config{Component: "lsa-cloudap", Clock: c, Capacity: 3})
	if err != nil {
		t.Fatal(err)
	}
	for id := range uint32(5) {
		c.Advance(time.Second)
		l.Add(t.Context(), eventlog.Event{Channel: eventlog.AADAnalytic, ID: 1000 + id, Level: eventlog.Information})
	}
	got := l.List(0, "", 10)
	if len(got) != 3 || got[0].ID != 1002 || got[2].ID != 1004 || got[2].Number != 5 {
		t.Fatalf("kept %+v", got)
	}
	if !got[0].Time.Before(got[1].Time) || got[0].Component != "lsa-cloudap" {
		t.Errorf("stamped %+v", got[0])
	}
	if after := l.List(4, "", 10); len(after) != 1 || after[0].ID != 1004 {
		t.Errorf("after 4: %+v", after)
	}
	if two := l.List(0, "", 2); len(two) != 2 || two[0].ID != 1003 {
		t.Errorf("the newest two: %+v", two)
	}
	if other := l.List(0, "00000000000000000000000000000001", 10); len(other) != 0 {
		t.Errorf("another trace: %+v", other)
	}
}

func TestLongValuesAreCut(t *testing.T) {
	l, err := eventlog.New(eventlog.Config{Component: "dsreg"})
	if err != nil {
		t.Fatal(err)
	}
	l.Add(t.Context(), eventlog.Event{Message: strings.Repeat("m", 2000), Fields: []eventlog.Field{{Name: "URL", Value: strings.Repeat("u", 2000)}}})
	e := l.List(0, "", 1)[0]
	if len(e.Message) != 1024 || len(e.Fields[0].Value) != 1024 {
		t.Errorf("message of %d, value of %d bytes", len(e.Message), len(e.Fields[0].Value))
	}
}

func TestNoLogTakesNoEvent(t *testing.T) {
	var l *eventlog.Log
	l.Add(t.Context(), eventlog.Event{ID: 1})
}

func TestAnEventCanAlwaysBeSent(t *testing.T) {
	l, err := eventlog.New(eventlog.Config{Component: "x"})
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("a", 1023) + "\u00e9" // the bound is inside its last letter
	l.Add(t.Context(), eventlog.Event{Channel: eventlog.AADOperational, ID: 1, Message: long, Fields: []eventlog.Field{{Name: "file", Value: "\xff.json"}}})
	for _, e := range l.List(0, "", 1) {
		if !utf8.ValidString(e.Message) || !utf8.ValidString(e.Fields[0].Value) || len(e.Message) > 1024 {
			t.Errorf("%+v", e)
		}
	}
}
