package rpc

import (
	"context"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

// ready makes a connection before a call needs it, and says whether there is one. Behind
// one address there may be several servers, one of which has just died: an attempt that
// failed right after a connection was lost is made once more. Nothing was sent so far.
func ready(ctx context.Context, cc *grpc.ClientConn, tries *attempts) bool {
	switch cc.GetState() {
	case connectivity.Ready:
		return true
	case connectivity.TransientFailure:
		reconnect(ctx, cc, tries)
	default:
		if connect(ctx, cc); broken(cc) {
			reconnect(ctx, cc, tries)
		}
	}
	return cc.GetState() == connectivity.Ready
}

// connect makes an attempt and waits until it ends, or longer than a call should.
func connect(ctx context.Context, cc *grpc.ClientConn) {
	ctx, cancel := context.WithTimeout(ctx, reconnectWithin)
	defer cancel()
	cc.Connect()
	for s := cc.GetState(); s != connectivity.Ready && s != connectivity.TransientFailure && cc.WaitForStateChange(ctx, s); s = cc.GetState() {
	}
}

// invokeOnce makes a call, and makes it again on a new connection when gRPC sent nothing
// of it, because the connection was gone and nobody had noticed. Of a call whose headers
// were sent nobody knows here whether it was carried out, so it is never made again; one
// that the server says it did not look at (GOAWAY, REFUSED_STREAM: RFC 9113, 8.7) gRPC
// itself makes again once (gRFC A6, "transparent retries").
func invokeOnce(ctx context.Context, cc *grpc.ClientConn, tries *attempts, invoke func(context.Context) error) error {
	was := ready(ctx, cc, tries)
	var sent atomic.Bool
	err := invoke(context.WithValue(ctx, sentKey{}, &sent))
	if was && status.Code(err) == codes.Unavailable && !prterr.Own(err) && !sent.Load() && ready(ctx, cc, tries) {
		return invoke(ctx)
	}
	return err
}

// sentKey is of the *atomic.Bool that is set when anything of a call was sent.
type sentKey struct{}

// watchSent notes that the headers of a call were handed to a connection.
type watchSent struct{}

// HandleRPC implements stats.Handler.
func (watchSent) HandleRPC(ctx context.Context, s stats.RPCStats) {
	if _, is := s.(*stats.OutHeader); !is {
		return
	}
	if sent, ok := ctx.Value(sentKey{}).(*atomic.Bool); ok {
		sent.Store(true)
	}
}

// TagRPC implements stats.Handler.
func (watchSent) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

// HandleConn implements stats.Handler.
func (watchSent) HandleConn(context.Context, stats.ConnStats) {}

// TagConn implements stats.Handler.
func (watchSent) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
