// Package published hands out the certificates that a component publishes, over its own
// door, and fetches them from there: how the identity provider of a cluster learns which
// certificate a federation provider signs with, and a browser whom to trust, without a
// shared volume and without an object that somebody else may write.
//
// What lives here: prt.trust.v1 and a client of it. What never may: a private key.
// Callers: the Wire functions of idp and adfs, and tools/lockstep.
package published

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"maps"
	"time"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/run"
	trustv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/trust/v1"
)

// Names of what is published.
const (
	// HTTPSAuthority is whom to trust at the component's HTTPS side.
	HTTPSAuthority = "https-authority"
	// TokenSigning is the certificate of a federation provider's assertions.
	TokenSigning = "token-signing"
)

// MaxPEM bounds what is published and what is taken, in bytes.
const MaxPEM = 64 << 10

// Certificates are PEM by name; an empty one is not published.
type Certificates map[string][]byte

// Beside is the service with these certificates at its door.
func (c Certificates) Beside(s run.Service) run.Service {
	return &beside{Service: s, server: &server{certificates: maps.Clone(c)}}
}

type beside struct {
	run.Service
	server *server
}

// Register implements run.Service.
func (b *beside) Register(r grpc.ServiceRegistrar) {
	b.Service.Register(r)
	trustv1.RegisterCertificateServiceServer(r, b.server)
}

type server struct {
	trustv1.UnimplementedCertificateServiceServer
	certificates Certificates
}

// GetCertificate gives one certificate.
func (s *server) GetCertificate(_ context.Context, r *trustv1.GetCertificateRequest) (*trustv1.GetCertificateResponse, error) {
	text := s.certificates[r.GetName()]
	if len(text) == 0 {
		return nil, prterr.New(prterr.NotFound, "name: nothing of that name is published here")
	}
	own, err := only(text)
	if err != nil {
		// It may be a key that somebody put into the wrong file: it does not leave here.
		return nil, prterr.New(prterr.Internal, "what is to be published under that name is no certificate")
	}
	return &trustv1.GetCertificateResponse{Pem: own}, nil
}

// retry is how long Fetch waits before it asks again.
const retry = 500 * time.Millisecond

// Fetch asks a component for a certificate until it answers or ctx ends, because a
// cluster starts everything at once. A component that answers and has none of that name
// is not asked again, nor one whose answer is no certificate.
func Fetch(ctx context.Context, from grpc.ClientConnInterface, name string) ([]byte, error) {
	client := trustv1.NewCertificateServiceClient(from)
	for {
		resp, err := client.GetCertificate(ctx, &trustv1.GetCertificateRequest{Name: name})
		if err == nil {
			return only(resp.GetPem())
		}
		if prterr.KindOf(err) != prterr.Unavailable {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), err)
		case <-time.After(retry):
		}
	}
}

// only is the certificates of a text, written anew, and an error when something else is in
// it. What stands between two blocks, or is half of one, is skipped by who reads PEM, so it
// must not pass along unseen.
func only(text []byte) ([]byte, error) {
	if len(text) == 0 || len(text) > MaxPEM {
		return nil, prterr.New(prterr.Invalid, "what was published is empty or more than 64 KiB")
	}
	var clean bytes.Buffer
	blocks := bytes.Count(text, []byte("-----BEGIN"))
	for len(bytes.TrimSpace(text)) > 0 {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil || block.Type != "CERTIFICATE" {
			return nil, prterr.New(prterr.Invalid, "what was published is no certificate in PEM")
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return nil, prterr.New(prterr.Invalid, "what was published is no certificate")
		}
		clean.Write(pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes}))
		blocks--
	}
	if blocks != 0 {
		return nil, prterr.New(prterr.Invalid, "what was published has a block that is not whole")
	}
	return clean.Bytes(), nil
}
