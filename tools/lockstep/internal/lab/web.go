package lab

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"os"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/entracarrier"
	"github.com/lockstep-sso/lockstep/pkg/run"
)

// web is a browser's way to the sign-in pages: over gRPC, or over HTTPS as every
// other browser comes.
func (l *Lab) web(ctx context.Context) (grpc.ClientConnInterface, error) {
	if !l.cfg.HTTPS {
		return l.Dial(ctx, "browser", "idp")
	}
	pem, err := os.ReadFile(l.path("idp", "ca.pem"))
	if err != nil {
		return nil, fmt.Errorf("authority of the sign-in pages: %w", err)
	}
	peer := run.HTTPSPeer{Roots: x509.NewCertPool(), Dial: func(ctx context.Context, _ string) (net.Conn, error) {
		return l.network.plain().Dial(ctx, l.addr("idp-https"))
	}}
	peer.Roots.AppendCertsFromPEM(pem)
	c, err := entracarrier.New(entracarrier.Config{Login: SignInOrigin, Client: peer.Client()})
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns = append(l.conns, c)
	return c, nil
}
