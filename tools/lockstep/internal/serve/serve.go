// Package serve runs a cloud for clients that nobody here wrote: the identity
// provider and a federation provider over HTTPS, with a door for the operator,
// all in this process.
//
// What lives here: putting the rooms together, the state folder, and telling
// others where all of it is. What never may: an answer to a client; that is the
// services' business. The commands serve, trust and tenant call it.
package serve

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"syscall"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/host"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/run"
)

// IssuerHost is the name in the issuers of tokens.
const IssuerHost = "login.microsoftonline.com"

// Config says what to serve. The zero value is a laboratory with two tenants on
// free ports, whose state goes with it.
type Config struct {
	// Listen is the HTTPS address, Proxy that of the proxy: HOST:PORT. Empty is a
	// free port on 127.0.0.1; a Proxy of "off" is none.
	Listen, Proxy string
	// BehindProxy is a loopback address for plain HTTP from a proxy on this machine
	// that ends TLS; empty is none. host.Config.BehindListen says what it is trusted with.
	BehindProxy string
	// Expose lets Listen and Proxy be on addresses that other machines reach.
	Expose bool
	// Names are host names beside those that the cloud has.
	Names []string
	// Tenants is the path of a tenant file; empty is the built-in one.
	Tenants string
	// State is a folder that stays; empty is one that goes with the server.
	State string
	// Lab lets the operator move the services' clock; nil is the machine's clock.
	Lab *clock.Lab
	// Log gets the services' log; nil discards.
	Log *slog.Logger
}

// clock is what the services read.
func (c Config) clock() clock.Clock {
	if c.Lab != nil {
		return c.Lab
	}
	return clock.Real()
}

// Server is a running cloud.
type Server struct {
	info   Info
	state  *state
	host   *host.Host
	cloud  *cloud
	admin  *run.Running
	failed chan error
	retire func() error
}

// Start brings everything up; when it returns, clients are served.
func Start(cfg Config) (_ *Server, err error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{failed: make(chan error, 1)}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("serve: %w", err), s.Close())
		}
	}()
	if s.state, err = openState(cfg.State); err != nil {
		return nil, err
	}
	if s.cloud, err = newCloud(cfg); err != nil {
		return nil, err
	}
	if err = s.openDoor(cfg); err != nil {
		return nil, err
	}
	if err = s.openHost(cfg); err != nil {
		return nil, err
	}
	s.describe(cfg)
	s.retire, err = s.info.publish()
	if err != nil {
		return nil, err
	}
	go s.watch()
	return s, nil
}

// openDoor serves the contracts on a socket in the state folder, and leaves the
// operator's identity beside it.
func (s *Server) openDoor(cfg Config) error {
	ca, err := rpc.NewCA()
	if err != nil {
		return err
	}
	identity, err := ca.Issue("idp")
	if err != nil {
		return err
	}
	operator, err := ca.Issue(Operator)
	if err != nil {
		return err
	}
	if err := operator.Save(s.state.path(operatorDir)); err != nil {
		return err
	}
	s.admin, err = run.Start(run.Config{
		Name: "idp", Identity: identity, Network: rpc.OS{}, Listen: s.state.door(),
		Env: run.Env{Clock: cfg.clock(), Lab: cfg.Lab, Log: cfg.Log},
	}, s.cloud.wire)
	return err
}

func (s *Server) openHost(cfg Config) error {
	proxy := cfg.Proxy
	switch proxy {
	case "":
		proxy = "127.0.0.1:0"
	case "off":
		proxy = ""
	}
	front, hosts := s.cloud.handlers()
	var err error
	s.host, err = host.New(host.Config{
		Handler: front, Hosts: hosts, Names: cfg.Names, Listen: cfg.Listen, ProxyListen: proxy,
		BehindListen: cfg.BehindProxy, Expose: cfg.Expose, StateDir: s.state.dir, Log: cfg.Log,
	})
	if err != nil {
		return err
	}
	err = s.host.Start()
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w: choose another port, 0 is a free one", err)
	}
	return err
}

// describe says where everything is.
func (s *Server) describe(cfg Config) {
	s.info = Info{
		HTTPS: s.host.Addr(), Proxy: s.host.ProxyAddr(), BehindProxy: s.host.BehindAddr(), CA: s.state.path(host.CAFile), IssuerHost: IssuerHost,
		Admin: s.state.door(), PID: os.Getpid(), State: s.state.dir, Names: s.host.Names(), Lab: cfg.Lab != nil,
		Started: time.Now().UTC().Truncate(time.Second),
	}
	for _, t := range s.cloud.idp.Tenants() {
		s.info.Tenants = append(s.info.Tenants, Tenant{ID: string(t.ID), Domain: t.Domains[0].Name})
		for _, u := range t.Users {
			s.info.Users = append(s.info.Users, string(u))
		}
	}
}

func (s *Server) watch() {
	select {
	case err := <-s.host.Failed():
		s.failed <- fmt.Errorf("HTTPS: %w", err)
	case err := <-s.admin.Failed():
		if err != nil {
			s.failed <- fmt.Errorf("the operator's door: %w", err)
		}
	}
}

// Info says where everything is.
func (s *Server) Info() Info { return s.info }

// Failed delivers the error with which serving ended by itself.
func (s *Server) Failed() <-chan error { return s.failed }

// Close lets requests under way finish and takes everything down. A state folder
// that was not asked for is removed.
func (s *Server) Close() error {
	var errs []error
	if s.retire != nil {
		errs = append(errs, s.retire())
	}
	if s.host != nil {
		errs = append(errs, s.host.Close())
	}
	if s.admin != nil {
		errs = append(errs, s.admin.Stop())
	}
	if s.cloud != nil {
		errs = append(errs, s.cloud.Close())
	}
	if s.state != nil {
		errs = append(errs, s.state.close())
	}
	return errors.Join(errs...)
}
