package eventlog

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lockstep-sso/lockstep/pkg/rpc"
	eventv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/event/v1"
)

// maxList is the most events that one call answers.
const maxList = 1000

// Allow says who may read the log of a component; a door adds it to its own list.
func Allow() rpc.AllowList {
	return rpc.AllowList{eventv1.EventService_ListEvents_FullMethodName: {"operator"}}
}

// Register serves the log.
func (l *Log) Register(r grpc.ServiceRegistrar) {
	eventv1.RegisterEventServiceServer(r, &server{log: l})
}

type server struct {
	eventv1.UnimplementedEventServiceServer
	log *Log
}

// ListEvents lists events.
func (s *server) ListEvents(_ context.Context, r *eventv1.ListEventsRequest) (*eventv1.ListEventsResponse, error) {
	limit := int(r.GetLimit())
	if limit == 0 || limit > maxList {
		limit = maxList
	}
	resp := &eventv1.ListEventsResponse{}
	for _, e := range s.log.List(r.GetAfter(), r.GetCorrelationId(), limit) {
		m := &eventv1.Event{
			Number: e.Number, Time: timestamppb.New(e.Time), Channel: string(e.Channel), Id: e.ID, Level: eventv1.Level(e.Level),
			CorrelationId: e.Correlation, Message: e.Message, Status: e.Status, Component: e.Component,
		}
		for _, f := range e.Fields {
			m.Fields = append(m.Fields, &eventv1.Field{Name: f.Name, Value: f.Value})
		}
		resp.Events = append(resp.Events, m)
	}
	return resp, nil
}
