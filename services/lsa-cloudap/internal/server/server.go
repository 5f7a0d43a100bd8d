// Package server is the RPC edge of lsa-cloudap: messages in, calls of the
// framework, messages out.
//
// What lives here: the form of every field. What never may: a decision about a
// user, a PRT or a URL; those are the framework's.
package server

import (
	"errors"
	"log/slog"

	"google.golang.org/grpc"

	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/cloudap"
)

// Config is what the edge needs.
type Config struct {
	CloudAP *cloudap.CloudAP
	Log     *slog.Logger
}

// Server holds the handlers.
type Server struct{ cfg Config }

// New checks the configuration.
func New(cfg Config) (*Server, error) {
	if cfg.CloudAP == nil || cfg.Log == nil {
		return nil, errors.New("lsa-cloudap server: CloudAP and Log are needed")
	}
	return &Server{cfg: cfg}, nil
}

// Register serves all of lsa-cloudap's contracts.
func (s *Server) Register(r grpc.ServiceRegistrar) {
	lsav1.RegisterLogonServiceServer(r, logon{cloudAP: s.cfg.CloudAP})
	lsav1.RegisterWebSignInServiceServer(r, webSignIn{cloudAP: s.cfg.CloudAP})
	lsav1.RegisterHelloServiceServer(r, helloKeys{cloudAP: s.cfg.CloudAP})
	lsav1.RegisterLocalAccountServiceServer(r, locals{cloudAP: s.cfg.CloudAP})
	lsav1.RegisterOfflinePolicyServiceServer(r, offlinePolicy{cloudAP: s.cfg.CloudAP})
	lsav1.RegisterSSOStateServiceServer(r, ssoState{cloudAP: s.cfg.CloudAP})
	authorityv1.RegisterTokenAuthorityServiceServer(r, tokens{cloudAP: s.cfg.CloudAP})
	authorityv1.RegisterCookieAuthorityServiceServer(r, cookies{cloudAP: s.cfg.CloudAP, log: s.cfg.Log})
}
