package aadplugin

import (
	"context"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/eventlog"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/wincode"
)

// Events of the plug-in, by the ids of Windows.
const (
	eventRequest      = 1022 // the address of a request
	eventServerError  = 1081 // the identity provider answered with an error
	eventNetworkError = 1084 // a request got no answer
	eventWSTrustError = 1088 // the federation provider did not give a token
)

// watched is a connection to a server outside the device whose requests and failures
// become events. Texts are ours: a server's words never get there.
type watched struct {
	grpc.ClientConnInterface
	events  *eventlog.Log
	refusal uint32
}

// watch stands before a connection; refusal is the id for an answer that is an error.
func watch(conn grpc.ClientConnInterface, events *eventlog.Log, refusal uint32) grpc.ClientConnInterface {
	if conn == nil || events == nil {
		return conn
	}
	return watched{ClientConnInterface: conn, events: events, refusal: refusal}
}

// Invoke implements grpc.ClientConnInterface.
func (w watched) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	ctx = rpc.OnRequest(ctx, func(ctx context.Context, where prterr.Where) {
		w.events.Add(ctx, eventlog.Event{
			Channel: eventlog.AADAnalytic, ID: eventRequest, Level: eventlog.Information, Message: "A request is sent.",
			Fields: []eventlog.Field{{Name: "URL", Value: where.URI}},
		})
	})
	err := w.ClientConnInterface.Invoke(ctx, method, args, reply, opts...)
	if err != nil {
		w.failed(ctx, err)
	}
	return err
}

func (w watched) failed(ctx context.Context, err error) {
	where := prterr.WhereOf(err)
	e := eventlog.Event{
		Channel: eventlog.AADOperational, ID: w.refusal, Level: eventlog.Error, Message: "The server answered with an error.",
		Status: uint32(wincode.Of(err)), Fields: []eventlog.Field{{Name: "URL", Value: where.URI}},
	}
	switch {
	case where.HTTPError != 0:
		e.ID, e.Message = eventNetworkError, "A request got no answer."
		e.Fields = append(e.Fields, eventlog.Field{Name: "SubError", Value: wincode.Code(where.HTTPError).String()})
	case w.refusal == eventWSTrustError:
		e.Message = "The federation provider gave no token."
	}
	if code := prterr.CodeOf(err); code != 0 {
		e.Fields = append(e.Fields, eventlog.Field{Name: "Error", Value: code.String()})
	}
	e.Fields = append(e.Fields, eventlog.Field{Name: "Kind", Value: string(prterr.KindOf(err))})
	w.events.Add(ctx, e)
}
