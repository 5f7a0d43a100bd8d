package browsercore

import (
	"context"
	"encoding/json"
	"errors"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/run"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	browserv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/browser/v1"
	"github.com/lockstep-sso/lockstep/services/browsercore/internal/nativemsg"
)

const (
	// maxSession bounds a logon session, in bytes.
	maxSession = 4096
	// maxReply bounds an answer that crosses a network, in bytes; a cookie has some 4 KiB.
	maxReply = 200 << 10
)

// Server is the native host for a browser that is elsewhere: the same answers, over
// prt.browser.v1. It keeps nothing between two messages.
type Server struct {
	browserv1.UnimplementedNativeHostServiceServer
	cfg Config
}

// NewServer checks the configuration, in which the logon session is empty: it comes with
// each message.
func NewServer(cfg Config) (*Server, error) {
	if !cfg.LogonSession.Empty() {
		return nil, errors.New("browsercore: LogonSession comes with each message: leave it out")
	}
	s := &Server{cfg: cfg}
	if _, err := s.host("check"); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Server) host(session string) (*Host, error) {
	cfg := s.cfg
	cfg.LogonSession = secret.NewText(session)
	return New(cfg)
}

// Register serves the contract.
func (s *Server) Register(r grpc.ServiceRegistrar) { browserv1.RegisterNativeHostServiceServer(r, s) }

// Close has nothing to end.
func (*Server) Close() error { return nil }

// Allow says who may call.
func Allow() rpc.AllowList {
	return rpc.AllowList{browserv1.NativeHostService_ExchangeMessage_FullMethodName: {"browser"}}
}

// ExchangeMessage answers one native message.
func (s *Server) ExchangeMessage(ctx context.Context, r *browserv1.ExchangeMessageRequest) (*browserv1.ExchangeMessageResponse, error) {
	switch {
	case len(r.GetMessage()) > nativemsg.MaxMessage:
		return nil, prterr.New(prterr.Invalid, "message: larger than %d bytes", nativemsg.MaxMessage)
	case r.GetLogonSession() == "" || len(r.GetLogonSession()) > maxSession:
		return nil, prterr.New(prterr.Invalid, "logon_session: give the session of a signed-in desktop")
	}
	h, err := s.host(r.GetLogonSession())
	if err != nil {
		return nil, err
	}
	msg, err := json.Marshal(h.handle(ctx, r.GetMessage()))
	if err != nil {
		return nil, err
	}
	if len(msg) > maxReply {
		return nil, prterr.New(prterr.Internal, "the answer is larger than %d bytes", maxReply)
	}
	return &browserv1.ExchangeMessageResponse{Message: msg}, nil
}

// Wire builds the component from its environment. Its peer is lsa-cloudap, the authority
// of the PRT.
func Wire(env *run.Env) (*run.Component, error) {
	authority, err := env.Peer(authorityName)
	if err != nil {
		return nil, err
	}
	s, err := NewServer(Config{Authority: authority, Log: env.Log})
	if err != nil {
		return nil, err
	}
	return &run.Component{Service: s, Allow: Allow()}, nil
}
