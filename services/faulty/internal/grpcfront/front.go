// Package grpcfront is the side of the stand-in at which gRPC calls come in: it hands
// them on as bytes to the real component and breaks those that rules strike.
//
// It decodes a message only for a rule that asks for something in it. Who may call what
// is decided by the real component's allow-list: this one decides nothing.
// The door of the stand-in calls it.
package grpcfront

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/fault"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/step"
	"github.com/lockstep-sso/lockstep/services/faulty/internal/contract"
)

// RuleKey is the attribute of a span with the rules that struck the call.
const RuleKey = attribute.Key("prt.fault.rules")

// labContracts are what a laboratory asks of a component, such as to move its clock: no
// rule strikes it.
const labContracts = "/prt.lab."

// Hander hands a call on to a component; *rpc.RawConn is one.
type Hander interface {
	// Hand returns the answer of method for caller, or the error as it came.
	Hand(ctx context.Context, caller, method string, request []byte) ([]byte, error)
}

// Config is what a Front needs.
type Config struct {
	// Component in whose place the stand-in is.
	Component string
	Engine    *fault.Engine
	// Real is the component, Other another device's, nil where there is none.
	Real, Other Hander
	Clock       clock.Clock
	Log         *slog.Logger
}

// Front is the gRPC side of a stand-in.
type Front struct {
	cfg     Config
	methods map[string]contract.Method
	turns   turns
}

// New makes the front. Every part of Config but Other, Clock and Log is needed.
func New(cfg Config) (*Front, error) {
	if cfg.Component == "" || cfg.Engine == nil || cfg.Real == nil {
		return nil, errors.New("grpc front: Component, Engine and Real are all needed")
	}
	cfg.Clock = clock.Or(cfg.Clock)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	f := &Front{cfg: cfg, methods: map[string]contract.Method{}}
	for _, m := range contract.Methods(cfg.Component) {
		f.methods[m.Name] = m
	}
	if len(f.methods) == 0 {
		return nil, errors.New("grpc front: no component is called " + cfg.Component)
	}
	return f, nil
}

// Answer is the rpc.RawHandler of the stand-in.
func (f *Front) Answer(ctx context.Context, method string, request []byte) ([]byte, error) {
	caller := rpc.Caller(ctx)
	if strings.HasPrefix(method, labContracts) {
		return f.cfg.Real.Hand(ctx, caller, method, request)
	}
	turn := f.turns.begin()
	defer turn.end()
	c := call{front: f, caller: caller, method: method, request: request, turn: turn}
	for _, s := range f.cfg.Engine.Strike(f.describe(ctx, c)) {
		f.note(ctx, c, s)
		if !s.Rule.Decides() {
			if clock.Sleep(ctx, f.cfg.Clock, s.Delay) != nil {
				return nil, ended(ctx)
			}
			continue
		}
		return c.broken(ctx, s)
	}
	return c.hand(ctx)
}

// describe tells the engine what is known of a call.
func (f *Front) describe(ctx context.Context, c call) fault.Call {
	flow := step.FlowFrom(ctx)
	d := fault.Call{Method: c.method, Caller: c.caller, Flow: flow, Step: step.RowIn(flow, c.method)}
	m, known := f.methods[c.method]
	if !known || !f.namesMatter(m) {
		return d
	}
	if msg, err := m.Message(true, c.request); err == nil {
		d.User, d.Device = contract.Named(msg, contract.User), contract.Named(msg, contract.Device)
	}
	return d
}

// namesMatter says whether a rule asks for what only a decoded message tells.
func (f *Front) namesMatter(m contract.Method) (yes bool) {
	if !m.CanName(contract.User) && !m.CanName(contract.Device) {
		return false
	}
	for _, r := range f.cfg.Engine.Rules() {
		for _, c := range r.When {
			c.Walk(func(c fault.Condition) {
				yes = yes || slices.Contains([]string{fault.WordUser, fault.WordDevice}, c.Word)
			})
		}
	}
	return yes
}

// note writes down that a rule struck: in the log, and on the call's span, so that a trace
// tells what was injected from what went wrong by itself.
func (f *Front) note(ctx context.Context, c call, s fault.Strike) {
	f.cfg.Log.InfoContext(ctx, "a rule struck", "rule", s.Rule.String(), "index", s.Index, "caller", c.caller, "method", c.method, "delay", s.Delay)
	trace.SpanFromContext(ctx).SetAttributes(RuleKey.String(s.Rule.String()))
}
