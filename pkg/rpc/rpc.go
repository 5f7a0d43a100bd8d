// Package rpc is how components reach each other: networks, identities, servers
// and connections, all deny by default.
//
// Every connection is mutual TLS 1.3 between named components, on an in-memory
// network as on a socket, and every server holds an allow-list of callers by
// method; a method that is not on the list is refused. The one exception to TLS is
// Direct, inside one component. The order of interceptors is fixed here, so no
// component can forget one. What never may live here: knowledge of any single
// component.
package rpc

import (
	"context"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

// AllowList says who may call what: full method name ("/pkg.Service/Method") to
// component names. A method that is missing may be called by nobody.
type AllowList map[string][]string

// Join returns one list with the entries of all.
func Join(lists ...AllowList) AllowList {
	all := AllowList{}
	for _, l := range lists {
		for method, callers := range l {
			all[method] = append(all[method], callers...)
		}
	}
	return all
}

type callerKey struct{}

// Caller is the authenticated name of the component that made the current call,
// "" outside a served call. It comes from the peer's certificate, never from
// anything the peer says.
func Caller(ctx context.Context) string {
	name, _ := ctx.Value(callerKey{}).(string)
	return name
}

// healthCheck may be called by every authenticated component: its answer says
// no more than that the server listens.
const healthCheck = "/grpc.health.v1.Health/Check"

// authorize is the allow-list interceptor; who says whose call it is.
func authorize(allow AllowList, who whose) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
		p, err := who(ctx)
		if err != nil {
			return nil, noIdentity(err)
		}
		if info.FullMethod != healthCheck && !slices.Contains(allow[info.FullMethod], p.name) {
			return nil, prterr.New(prterr.Denied, "%s may not call %s", p.name, info.FullMethod)
		}
		return h(p.in(ctx), req)
	}
}

// noIdentity is the answer to who did not prove a name, or claimed another's.
func noIdentity(err error) error {
	if prterr.KindOf(err) == prterr.Denied {
		return err
	}
	return prterr.New(prterr.Denied, "the caller has no identity")
}

// refuseStreams closes the door that no contract uses. Raw calls come as streams of a
// service that is not there, and have a handler of their own.
func refuseStreams(service any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, h grpc.StreamHandler) error {
	if service == nil {
		return h(nil, ss)
	}
	return prterr.ToStatus(prterr.New(prterr.Denied, "streams are not served"))
}

func peerName(ctx context.Context) (string, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return "", errNoIdentity
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 {
		return "", errNoIdentity
	}
	return componentName(info.State.VerifiedChains[0][0])
}
