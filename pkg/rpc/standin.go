package rpc

import (
	"context"
	"log/slog"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

// standInFor is the metadata by which a stand-in names whose call it hands on.
const standInFor = "lockstep-stand-in-for"

// party is who made a call: the caller, and the stand-in that handed the call on, if one
// did.
type party struct{ name, standIn string }

// whose says who made a call.
type whose func(context.Context) (party, error)

// byCertificate takes the name of the peer's certificate and nothing that the peer says.
func byCertificate(ctx context.Context) (party, error) {
	name, err := peerName(ctx)
	return party{name: name}, err
}

// behindStandIn also takes the word of a stand-in for whose call it hands on. A stand-in
// has the identity of the component in whose place it is, so only a peer with the
// server's own name is one: who has that key could act as the server anyway. Everybody
// else who tries it is refused.
func behindStandIn(own string) whose {
	return func(ctx context.Context) (party, error) {
		name, err := peerName(ctx)
		if err != nil {
			return party{}, err
		}
		said := metadata.ValueFromIncomingContext(ctx, standInFor)
		switch {
		case len(said) == 0:
			return party{name: name}, nil
		case name != own, len(said) != 1, !validName(said[0]):
			return party{}, prterr.New(prterr.Denied, "%s may not hand on calls of others", name)
		}
		return party{name: said[0], standIn: name}, nil
	}
}

type standInKey struct{}

// StandIn is the name of the stand-in that handed on the current call, "" when the caller
// itself is the peer. Caller then rests on the word of that stand-in, which is taken in a
// laboratory alone.
func StandIn(ctx context.Context) string {
	name, _ := ctx.Value(standInKey{}).(string)
	return name
}

// in puts who made a call into its context.
func (p party) in(ctx context.Context) context.Context {
	if p.standIn != "" {
		ctx = context.WithValue(ctx, standInKey{}, p.standIn)
	}
	return context.WithValue(ctx, callerKey{}, p.name)
}

// standInLog names both parties of a call that a stand-in handed on.
func standInLog(log *slog.Logger) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
		if s := StandIn(ctx); s != "" {
			log.DebugContext(ctx, "a stand-in handed on a call", "caller", Caller(ctx), "stand_in", s, "method", info.FullMethod)
		}
		return h(ctx, req)
	}
}
