package lab

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/entracarrier"
	"github.com/lockstep-sso/lockstep/pkg/run"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/actor"
)

// web is a browser's way to the sign-in pages: over gRPC, or over HTTPS as every
// other browser comes.
func (l *Lab) web(ctx context.Context) (grpc.ClientConnInterface, error) {
	if !l.cfg.HTTPS {
		return l.Dial(ctx, "browser", "idp")
	}
	client, err := l.httpClient()
	if err != nil {
		return nil, err
	}
	c, err := entracarrier.New(entracarrier.Config{Login: SignInOrigin, Client: client})
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns = append(l.conns, c)
	return c, nil
}

// httpClient reaches the HTTPS side of the cloud under every host name of it.
func (l *Lab) httpClient() (*http.Client, error) {
	pem, err := os.ReadFile(l.path("idp", "ca.pem"))
	if err != nil {
		return nil, fmt.Errorf("authority of the sign-in pages: %w", err)
	}
	peer := run.HTTPSPeer{Roots: x509.NewCertPool(), Dial: func(ctx context.Context, _ string) (net.Conn, error) {
		return l.network.plain().Dial(ctx, l.addr("idp-https"))
	}}
	peer.Roots.AppendCertsFromPEM(pem)
	return peer.Client(), nil
}

// PlainApp is a public client of any tenant that signs its users in without a
// broker. Only a lab over HTTPS has what it speaks to.
func (l *Lab) PlainApp(clientID, redirectURI string) (actor.PlainApp, error) {
	if !l.cfg.HTTPS {
		return actor.PlainApp{}, errors.New("an app without a broker needs a lab over HTTPS")
	}
	client, err := l.httpClient()
	if err != nil {
		return actor.PlainApp{}, err
	}
	if client.Jar, err = cookiejar.New(nil); err != nil {
		return actor.PlainApp{}, err
	}
	return actor.PlainApp{Web: client, Authority: SignInOrigin + "/organizations", ClientID: clientID, RedirectURI: redirectURI}, nil
}
