package entracarrier

import (
	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/run"
)

// Peer connects a component to its identity provider: over gRPC to the component
// idp, or over HTTPS when the configured address of idp is https://HOST.
func Peer(env *run.Env) (grpc.ClientConnInterface, error) {
	p, https, err := env.OverHTTPS("idp")
	if err != nil {
		return nil, err
	}
	if !https {
		return env.Peer("idp")
	}
	c, err := New(Config{Login: p.URL, Client: p.Client()})
	if err != nil {
		return nil, err
	}
	env.Own(c)
	return c, nil
}
