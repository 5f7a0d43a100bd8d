package rpc

import (
	"context"
	"crypto/tls"
	"net"

	"google.golang.org/grpc/credentials"
)

// handshakes are an identity at work: each handshake takes the state that the identity
// has then. A connection that is there already keeps what it was made with.
type handshakes struct {
	id *Identity
	// server is the name of the component that must answer, or one's own.
	server string
}

func (id *Identity) handshakes(server string) credentials.TransportCredentials {
	return &handshakes{id: id, server: server}
}

// ClientHandshake shows who we are to the one that must answer, and to nobody else.
func (h *handshakes) ClientHandshake(ctx context.Context, authority string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return h.client(h.id.fresh()).ClientHandshake(ctx, authority, conn)
}

// ServerHandshake takes callers with a certificate of an authority that is trusted now.
func (h *handshakes) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return h.id.fresh().serving.ServerHandshake(conn)
}

// Info describes the protocol to gRPC.
func (h *handshakes) Info() credentials.ProtocolInfo { return h.client(h.id.current.Load()).Info() }

// Clone is a copy for gRPC, which makes one for each connection.
func (h *handshakes) Clone() credentials.TransportCredentials { return h.id.handshakes(h.server) }

// OverrideServerName is part of gRPC's interface and called by nobody.
func (h *handshakes) OverrideServerName(name string) error {
	h.server = name
	return nil
}

func (h *handshakes) client(m *material) credentials.TransportCredentials {
	return credentials.NewTLS(&tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{m.cert}, RootCAs: m.roots, ServerName: h.server,
	})
}
