package rpc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

const directInstrumentation = "github.com/lockstep-sso/lockstep/pkg/rpc"

// direct is a connection that calls what is registered on it.
type direct struct {
	server  string
	tracer  trace.Tracer
	around  grpc.UnaryServerInterceptor
	methods map[string]served
}

// served is one method and who serves it.
type served struct {
	impl   any
	handle grpc.MethodHandler
}

var _ grpc.ClientConnInterface = (*direct)(nil)

// Direct is Loopback without a network: what register registers is called by a
// function call, through the same allow-list for the same caller, the same
// deadline, recovery, error form and step names. It is for a front that shares
// process and address space with what it calls, where TLS between the two keeps
// nobody out and costs more than most calls do. Messages are copied, so neither
// side can reach into the other's.
func Direct(cfg LoopbackConfig, register func(grpc.ServiceRegistrar)) (grpc.ClientConnInterface, error) {
	if !validName(cfg.Caller) || !validName(cfg.Server) {
		return nil, errors.New("rpc direct: Caller and Server are component names, and both are needed")
	}
	d := &direct{server: cfg.Server, tracer: orUntraced(cfg.TracerProvider).Tracer(directInstrumentation), methods: map[string]served{}}
	caller := func(context.Context) (party, error) { return party{name: cfg.Caller}, nil } // nobody else can reach it
	d.around = chain(around(orDiscard(cfg.Log), cfg.Allow, cfg.Patience, caller))
	register(registrar{d})
	return d, nil
}

// registrar collects services; nobody can register after Direct.
type registrar struct{ d *direct }

// RegisterService implements grpc.ServiceRegistrar.
func (r registrar) RegisterService(desc *grpc.ServiceDesc, impl any) {
	for _, m := range desc.Methods {
		r.d.methods[fmt.Sprintf("/%s/%s", desc.ServiceName, m.MethodName)] = served{impl, m.Handler}
	}
}

// chain puts the first interceptor outermost.
func chain(all []grpc.UnaryServerInterceptor) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
		for _, one := range slices.Backward(all) {
			next := h
			h = func(ctx context.Context, req any) (any, error) { return one(ctx, req, info, next) }
		}
		return h(ctx, req)
	}
}

// Invoke implements grpc.ClientConnInterface.
func (d *direct) Invoke(ctx context.Context, method string, args, reply any, _ ...grpc.CallOption) error {
	m, known := d.methods[method]
	sent, isMessage := args.(proto.Message)
	into, isAnswer := reply.(proto.Message)
	if !known || !isMessage || !isAnswer {
		return prterr.New(prterr.Denied, "%s is not served", method)
	}
	ctx, span := d.tracer.Start(ctx, strings.TrimPrefix(method, "/"), trace.WithSpanKind(trace.SpanKindServer))
	defer span.End()
	NoteRequest(ctx, prterr.Where{URI: address(d.server, method)})
	answer, err := m.handle(m.impl, ctx, func(req any) error {
		copied, ok := req.(proto.Message)
		if !ok {
			return prterr.New(prterr.Internal, "the message is not the method's")
		}
		proto.Merge(copied, sent)
		return nil
	}, d.around)
	if span.IsRecording() {
		span.SetAttributes(attribute.String("rpc.response.status_code", status.Code(err).String()))
	}
	if err != nil {
		return at(ctx, prterr.FromStatus(err), d.server, method, true)
	}
	if got, ok := answer.(proto.Message); ok {
		proto.Merge(into, got)
	}
	return nil
}

// NewStream refuses: no contract has one.
func (d *direct) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, prterr.New(prterr.Denied, "streams are not served")
}
