package status_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/lockstep-sso/lockstep/pkg/eventlog"
	eventv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/event/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/status"
)

// logDoor is the way to the log of a component, which may be started anew.
type logDoor struct {
	log  *eventlog.Log
	impl eventv1.EventServiceServer
	down bool
}

func (d *logDoor) start(t *testing.T) {
	t.Helper()
	var err error
	if d.log, err = eventlog.New(eventlog.Config{Component: "lsa-cloudap", Capacity: 1500}); err != nil {
		t.Fatal(err)
	}
	d.log.Register(d)
}

func (d *logDoor) RegisterService(_ *grpc.ServiceDesc, impl any) {
	d.impl, _ = impl.(eventv1.EventServiceServer)
}

func (d *logDoor) Invoke(ctx context.Context, _ string, args, reply any, _ ...grpc.CallOption) error {
	req, isList := args.(*eventv1.ListEventsRequest)
	into, isMessage := reply.(proto.Message)
	if d.down || !isList || !isMessage {
		return errors.New("down")
	}
	resp, err := d.impl.ListEvents(ctx, req)
	if err == nil {
		proto.Merge(into, resp)
	}
	return err
}

func (d *logDoor) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, errors.New("no streams here")
}

func (d *logDoor) write(t *testing.T, messages ...string) {
	t.Helper()
	for _, m := range messages {
		d.log.Add(t.Context(), eventlog.Event{ID: 1006, Channel: eventlog.AADAnalytic, Message: m})
	}
}

// Who follows the events sees each once, over restarts of the component and bursts.
func TestOBS02_FollowingGoesOnAfterARestart(t *testing.T) {
	d := &logDoor{}
	d.start(t)
	log := status.NewEvents(status.Door{LSA: d}, status.Filter{})
	reads := func(want ...string) {
		t.Helper()
		var got []string
		events, _ := log.Read(t.Context())
		for _, e := range events {
			got = append(got, e.GetMessage())
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%d events %.200q, want %.200q", len(got), got, want)
		}
	}
	reads()
	d.write(t, "a", "b", "c")
	reads("a", "b", "c")
	reads()
	d.write(t, "d")
	reads("d")
	d.down = true
	if events, missing := log.Read(t.Context()); len(events) != 0 || len(missing) != log.Components() {
		t.Errorf("%v, %v", events, missing)
	}
	d.down = false
	d.start(t)
	reads()
	d.write(t, "e", "f")
	reads("e", "f")
	d.start(t)
	d.write(t, "g", "h", "i") // as many as before, and one more
	reads("g", "h", "i")
	var burst []string
	for i := range 1200 {
		burst = append(burst, fmt.Sprint(i))
	}
	d.write(t, burst...)
	reads(burst[200:]...) // as many as one call answers
	reads()
}
