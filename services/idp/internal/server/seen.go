package server

import (
	"context"
	"net"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"

	"github.com/lockstep-sso/lockstep/pkg/rpc"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/grants"
)

// Front is the name of the HTTPS front, the one caller whose word on who asks is
// taken: it saw the connection. Everybody else asks for itself.
const Front = "idp"

// Seen registers services so that every call carries what its edge saw of who asks,
// for policies and the sign-in log.
func Seen(r grpc.ServiceRegistrar) grpc.ServiceRegistrar {
	return inside{r, func(ctx context.Context, req any) (context.Context, error) {
		return grants.WithCaller(ctx, asker(ctx, req)), nil
	}}
}

// Before registers services so that every call first does something: what fails there
// fails the call.
func Before(r grpc.ServiceRegistrar, f func(context.Context) error) grpc.ServiceRegistrar {
	return inside{r, func(ctx context.Context, _ any) (context.Context, error) { return ctx, f(ctx) }}
}

// inside registers services with something before every method, inside of the server's
// own interceptors, which have established by then who calls.
type inside struct {
	grpc.ServiceRegistrar
	first func(ctx context.Context, req any) (context.Context, error)
}

// RegisterService adds it to every method.
func (s inside) RegisterService(desc *grpc.ServiceDesc, impl any) {
	own := *desc
	own.Methods = slices.Clone(desc.Methods)
	for i, m := range own.Methods {
		own.Methods[i].Handler = func(srv any, ctx context.Context, dec func(any) error, outer grpc.UnaryServerInterceptor) (any, error) {
			return m.Handler(srv, ctx, dec, func(ctx context.Context, req any, info *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
				inner := func(ctx context.Context, req any) (any, error) {
					ctx, err := s.first(ctx, req)
					if err != nil {
						return nil, err
					}
					return h(ctx, req)
				}
				if outer == nil {
					return inner(ctx, req)
				}
				return outer(ctx, req, info, inner)
			})
		}
	}
	s.ServiceRegistrar.RegisterService(&own, impl)
}

// asker is what the front says, or for a component that calls by itself the address
// that it calls from: what else it says of itself would be a way around a policy.
func asker(ctx context.Context, req any) grants.Caller {
	says, ok := req.(interface{ GetCaller() *idpv1.Caller })
	if ok && rpc.Caller(ctx) == Front {
		return grants.Caller{IPAddress: says.GetCaller().GetIpAddress(), UserAgent: says.GetCaller().GetUserAgent()}
	}
	p, ok := peer.FromContext(ctx)
	if !ok {
		return grants.Caller{}
	}
	tcp, ok := p.Addr.(*net.TCPAddr)
	if !ok {
		return grants.Caller{}
	}
	return grants.Caller{IPAddress: tcp.AddrPort().Addr().Unmap().String()}
}
