package enrol

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/trace"

	"github.com/lockstep-sso/lockstep/pkg/eventlog"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/dsreg/internal/state"
)

// Types of attempts, as dsregcmd /status and its logs name them.
const (
	typeJoin     = "join"
	typeRegister = "register"
	typeSync     = "sync"
	typeRecover  = "recover"
	typeMigrate  = "migrate"
)

// Ids of events in the channel of device registration.
const (
	eventDiscovery   = 201
	eventJoinAnswer  = 204
	eventObject      = 220
	eventJoinFailed  = 304
	eventAuthFailed  = 305
	eventNoDiscovery = 307
)

// ended is how an attempt ended.
type ended struct {
	kind string
	// waits is what a hybrid join waits for, nil when it does not.
	waits, err error
	// left is the old device that stays at its tenant, or empty.
	left ids.DeviceID
}

// tried keeps how an attempt ended, for dsregcmd /status and the event log; the change
// is under way.
func (e *Enroller) tried(ctx context.Context, how ended) {
	a := state.Attempt{Time: e.clock.Now().UTC(), Type: how.kind, Pending: how.err == nil && how.waits != nil, LeftBehind: string(how.left)}
	if sc := trace.SpanContextFromContext(ctx); sc.HasTraceID() {
		a.RequestID = sc.TraceID().String()
	}
	if failed := cmp.Or(how.err, how.waits); failed != nil {
		fill(&a, failed)
	}
	e.remember(ctx, func(n *state.Notes) { n.Attempt = &a })
	e.event(ctx, a)
}

// fill reads an error. Words of the tpm-agent, and words about what was found before
// anybody was asked, are no server's.
func fill(a *state.Attempt, err error) {
	p, keys := phaseOf(err)
	a.Phase = string(p)
	a.Code, _ = codesOf(err)
	var known *prterr.Error
	if !errors.As(err, &known) || keys || p == preCheck {
		return
	}
	a.ServerCode, a.ServerMessage = serverCode(known), state.Shown(known.Msg)
	if s := known.Where.HTTPStatus; s > 0 && s < 1000 {
		a.HTTPSStatus = uint32(s)
	}
}

// event writes how an attempt ended.
func (e *Enroller) event(ctx context.Context, a state.Attempt) {
	ev := eventlog.Event{
		Channel: eventlog.DeviceRegistration, Level: eventlog.Error, Status: a.Code,
		Fields: []eventlog.Field{{Name: "RegistrationType", Value: a.Type}, {Name: "ErrorPhase", Value: a.Phase}, {Name: "ServerErrorCode", Value: a.ServerCode}, {Name: "ServerMessage", Value: a.ServerMessage}},
	}
	switch {
	case a.LeftBehind != "":
		ev.ID, ev.Level, ev.Message = eventJoinAnswer, eventlog.Warning, "The old device of this computer stays at its tenant and nobody can use it: have it removed."
		ev.Fields = []eventlog.Field{{Name: "DeviceID", Value: a.LeftBehind}}
	case a.Phase == "":
		return
	case a.Pending:
		ev.ID, ev.Level, ev.Message = eventJoinFailed, eventlog.Warning, "The registration waits for the directory object of this computer and is tried again."
	case a.Phase == string(auth):
		ev.ID, ev.Message = eventAuthFailed, "The registration failed at the authentication phase."
	case a.Phase == string(joining):
		ev.ID, ev.Message = eventJoinFailed, "The registration failed at the join phase."
	default:
		ev.ID, ev.Message = eventNoDiscovery, "The registration failed before the registration service was asked."
	}
	e.events.Add(ctx, ev)
}

// answered writes what came of a question to the registration service (event 204), or
// to discovery (201).
func (e *Enroller) answered(ctx context.Context, id uint32, what string, err error, fields ...eventlog.Field) {
	ev := eventlog.Event{Channel: eventlog.DeviceRegistration, ID: id, Level: eventlog.Information, Message: what + " succeeded.", Fields: fields}
	if err != nil {
		code, sub := codesOf(err)
		ev.Level, ev.Message, ev.Status = eventlog.Error, what+" failed.", code
		if sub != 0 {
			ev.Fields = append(ev.Fields, eventlog.Field{Name: "SubCode", Value: fmt.Sprintf("0x%08x", sub)})
		}
		var known *prterr.Error
		if errors.As(err, &known) {
			ev.Fields = append(ev.Fields, eventlog.Field{Name: "ServerErrorCode", Value: serverCode(known)}, eventlog.Field{Name: "ServerMessage", Value: state.Shown(known.Msg)})
		}
	}
	e.events.Add(ctx, ev)
}

// joinAnswer writes what the registration service answered, and whether the device
// took it.
func (e *Enroller) joinAnswer(ctx context.Context, id *state.Identity, err error) {
	var fields []eventlog.Field
	if err == nil {
		fields = []eventlog.Field{{Name: "DeviceID", Value: string(id.DeviceID)}, {Name: "TenantID", Value: string(id.TenantID)}}
	}
	e.answered(ctx, eventJoinAnswer, "The join request", in(joining, err), fields...)
}

// refused writes that the registration service gave no identity.
func (e *Enroller) refused(ctx context.Context, err error) error {
	e.joinAnswer(ctx, nil, err)
	return err
}

// remember changes the notes. That they are not on disk is only logged: they decide nothing.
func (e *Enroller) remember(ctx context.Context, change func(*state.Notes)) {
	if err := e.notes.Change(change); err != nil {
		e.log.WarnContext(ctx, "notes about the registration are not kept over a restart: check the disk", "error", err)
	}
}
