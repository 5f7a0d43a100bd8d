package rpc

import (
	"context"
	"errors"
	"io"
	"log/slog"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

// RawHandler answers a call whose service is not registered: it gets the request as it
// came, at most 256 KiB, and returns the answer as it goes. Caller says whose call it is;
// no allow-list was asked, because the one that counts is that of the real server.
type RawHandler func(ctx context.Context, method string, request []byte) ([]byte, error)

// frame is a message that is not taken apart.
type frame struct{ bytes []byte }

// rawCodec leaves frames as they are and has everything else coded as ever.
type rawCodec struct{ rest encoding.CodecV2 }

func newRawCodec() rawCodec { return rawCodec{encoding.GetCodecV2(proto.Name)} }

// Name is that of the form on the wire, which is the same.
func (rawCodec) Name() string { return proto.Name }

// Marshal implements encoding.CodecV2.
func (c rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	if f, ok := v.(*frame); ok {
		return mem.BufferSlice{mem.SliceBuffer(f.bytes)}, nil
	}
	return c.rest.Marshal(v)
}

// Unmarshal implements encoding.CodecV2.
func (c rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	if f, ok := v.(*frame); ok {
		f.bytes = data.Materialize()
		return nil
	}
	return c.rest.Unmarshal(data, v)
}

// serveRaw are the options of a server that hands calls of services it does not have to
// raw. Contracts have no streams, so a call is one message and one answer.
func serveRaw(raw RawHandler, who whose, log *slog.Logger) []grpc.ServerOption {
	handler := func(_ any, ss grpc.ServerStream) error {
		method, _ := grpc.MethodFromServerStream(ss)
		err := oneRaw(ss, method, raw, who, log)
		if prterr.KindOf(err) == prterr.Internal {
			log.ErrorContext(ss.Context(), "a call failed in here", "method", method, "error", err)
		}
		return prterr.ToStatus(err)
	}
	return []grpc.ServerOption{grpc.ForceServerCodecV2(newRawCodec()), grpc.UnknownServiceHandler(handler)}
}

// oneRaw does what is around every handler, outermost first: recovery, who calls, the
// bound of time. A step has no name here: its name belongs to who carries it out.
func oneRaw(ss grpc.ServerStream, method string, raw RawHandler, who whose, log *slog.Logger) (err error) {
	ctx := ss.Context()
	defer func() {
		if p := recover(); p != nil {
			err = recovered(log)(ctx, p)
		}
	}()
	p, err := who(ctx)
	if err != nil {
		return noIdentity(err)
	}
	ctx, cancel := context.WithTimeout(p.in(ctx), maxPatience)
	defer cancel()
	var request, more frame
	if err := ss.RecvMsg(&request); err != nil {
		return err
	}
	if err := ss.RecvMsg(&more); !errors.Is(err, io.EOF) {
		return prterr.New(prterr.Denied, "streams are not served")
	}
	answer, err := raw(ctx, method, request.bytes)
	if err != nil {
		return err
	}
	return ss.SendMsg(&frame{answer})
}

// RawConn hands calls on as they came.
type RawConn struct{ conn *grpc.ClientConn }

// DialRaw prepares a connection as Dial does, for calls that are handed on.
func DialRaw(cfg DialConfig) (*RawConn, error) {
	var tries attempts
	conn, err := dial(cfg, &tries, func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		return invokeOnce(ctx, cc, &tries, func(ctx context.Context) error { return invoke(ctx, method, req, reply, cc, opts...) })
	})
	if err != nil {
		return nil, err
	}
	return &RawConn{conn}, nil
}

// Hand hands a call of caller on and returns the answer, or the error as it came. ctx
// carries the deadline of the caller, the trace and the flow. A server that cannot be
// reached is an error without our details, as it is to who calls it himself.
func (c *RawConn) Hand(ctx context.Context, caller, method string, request []byte) ([]byte, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, maxCall)
		defer cancel()
	}
	var answer frame
	ctx = metadata.NewOutgoingContext(ctx, metadata.Pairs(standInFor, caller))
	err := c.conn.Invoke(ctx, method, &frame{request}, &answer, grpc.ForceCodecV2(newRawCodec()))
	if status.Code(err) == codes.Unavailable && !prterr.Own(err) {
		return nil, status.Error(codes.Unavailable, "the component behind the stand-in cannot be reached")
	}
	return answer.bytes, err
}

// Close ends the connection.
func (c *RawConn) Close() error { return c.conn.Close() }
