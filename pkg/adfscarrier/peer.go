package adfscarrier

import (
	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/run"
)

// Peer connects a component to the federation provider: over gRPC to the
// component adfs, or over HTTPS when the configured address of adfs is https://HOST.
// Which provider a user has is then what realm discovery says.
func Peer(env *run.Env) (grpc.ClientConnInterface, error) {
	p, https, err := env.OverHTTPS("adfs")
	if err != nil {
		return nil, err
	}
	if !https {
		return env.Peer("adfs")
	}
	return Dial(Config{Client: p.Client(), Clock: env.Clock})
}
