package lab

import (
	"context"
	"crypto/x509"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"slices"

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

// httpClient reaches the HTTPS side of the cloud under every host name of it, and the
// federation provider under its own.
func (l *Lab) httpClient() (*http.Client, error) {
	peer := run.HTTPSPeer{Roots: x509.NewCertPool(), Dial: func(ctx context.Context, address string) (net.Conn, error) {
		to := "idp-https"
		if host, _, err := net.SplitHostPort(address); err == nil && host == stsName {
			to = "adfs-https"
		}
		return l.network.dial(ctx, l.addr(to))
	}}
	for _, path := range l.roots() {
		pem, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("authority of the sign-in pages: %w", err)
		}
		if !peer.Roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("authority of the sign-in pages: %s holds no PEM certificate", path)
		}
	}
	return peer.Client(), nil
}

// roots are the files with the authorities of the sign-in pages.
func (l *Lab) roots() []string {
	if l.cfg.Deployment != nil {
		return slices.Sorted(maps.Values(l.cfg.Deployment.CloudRoots))
	}
	return []string{l.path("idp", "ca.pem"), l.path("adfs", "ca.pem")}
}

// Web is a new browser's way to the sign-in pages, with a cookie jar of its own.
func (l *Lab) Web() (*http.Client, error) {
	client, err := l.httpClient()
	if err != nil {
		return nil, err
	}
	client.Jar, err = cookiejar.New(nil)
	return client, err
}

// PlainApp is a public client of any tenant that signs its users in without a
// broker.
func (l *Lab) PlainApp(clientID, redirectURI string) (actor.PlainApp, error) {
	client, err := l.Web()
	if err != nil {
		return actor.PlainApp{}, err
	}
	return actor.PlainApp{Web: client, Authority: SignInOrigin + "/organizations", ClientID: clientID, RedirectURI: redirectURI}, nil
}
