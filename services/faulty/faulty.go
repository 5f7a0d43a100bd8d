// Package faulty stands in the place of a component and breaks calls on purpose, by
// rules.
//
// The stand-in has the component's identity and its address, hands every call on to the
// real one as it came, and breaks those that a rule of pkg/fault strikes. With no rules it
// is not to be told from the component. It runs in a laboratory alone: outside lab mode it
// refuses to start, and no component takes its word for whose call it hands on. Callers
// are all of the component's, and the operator, who sets rules by prt.fault.v1.
//
// What never may live here: a decision about who may do what, a key, and state.
package faulty

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/fault"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	faultv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/fault/v1"
	"github.com/lockstep-sso/lockstep/services/faulty/internal/contract"
	"github.com/lockstep-sso/lockstep/services/faulty/internal/grpcfront"
	"github.com/lockstep-sso/lockstep/services/faulty/internal/httpsfront"
	"github.com/lockstep-sso/lockstep/services/faulty/internal/tpmfront"
)

// Front is one side at which a stand-in takes what it breaks: gRPC, or another.
type Front interface {
	// Can says why a rule can break nothing here; nil is that it can.
	Can(fault.Rule) error
}

// Config is what a stand-in needs.
type Config struct {
	// Component in whose place it is.
	Component string
	// Real is that component, Other another device's, nil where there is none.
	Real, Other *rpc.RawConn
	// HTTPS gives what reaches that component's HTTPS side, whatever host a request names,
	// as soon as that side is there; nil is a stand-in without one.
	HTTPS func() (*http.Client, error)
	// TPMListener is the socket at which a tpm-agent finds a TPM, DialTPM connects to that
	// TPM; nil for a stand-in that is not before one. It stands before nothing else.
	TPMListener net.Listener
	DialTPM     func(context.Context) (net.Conn, error)
	// Rules that are in force at the start, and the seed of what is left to chance; 0
	// chooses one.
	Rules fault.Rules
	Seed  uint64
	Clock clock.Clock
	Log   *slog.Logger
}

// Service is the stand-in.
type Service struct {
	component string
	engine    *fault.Engine
	grpc      *grpcfront.Front
	https     *httpsfront.Front
	tpm       *tpmfront.Front
	fronts    []Front
	mu        sync.Mutex
}

// New makes a stand-in.
func New(cfg Config) (*Service, error) {
	engine, err := fault.New(fault.Config{Clock: cfg.Clock})
	if err != nil {
		return nil, err
	}
	if cfg.TPMListener != nil {
		return newBeforeTPM(cfg, engine)
	}
	if cfg.Real == nil {
		return nil, errors.New("faulty: the real component is missing: say where it is with --set real=ADDRESS")
	}
	front := grpcfront.Config{Component: cfg.Component, Engine: engine, Real: cfg.Real, Clock: cfg.Clock, Log: cfg.Log}
	if cfg.Other != nil {
		front.Other = cfg.Other
	}
	s := &Service{component: cfg.Component, engine: engine}
	if s.grpc, err = grpcfront.New(front); err != nil {
		return nil, err
	}
	s.fronts = []Front{s.grpc}
	if cfg.HTTPS != nil {
		s.https, err = httpsfront.New(httpsfront.Config{Component: cfg.Component, Engine: engine, Real: cfg.HTTPS, Clock: cfg.Clock, Log: cfg.Log})
		if err != nil {
			return nil, err
		}
		s.fronts = append(s.fronts, s.https)
	}
	return s, s.Set(cfg.Rules, cfg.Seed)
}

// Set replaces all rules at once. Rules that no front can break by change nothing.
func (s *Service) Set(rules fault.Rules, seed uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, r := range rules {
		if err := s.can(r); err != nil {
			return fmt.Errorf("rule %d: %w", i+1, err)
		}
	}
	if s.tpm != nil {
		if err := s.tpm.Set(rules); err != nil {
			return err
		}
	}
	return s.engine.Set(rules, seed)
}

// newBeforeTPM makes a stand-in before a TPM, which has no calls to answer.
func newBeforeTPM(cfg Config, engine *fault.Engine) (*Service, error) {
	front, err := tpmfront.New(tpmfront.Config{Listener: cfg.TPMListener, Dial: cfg.DialTPM, Log: cfg.Log})
	if err != nil {
		return nil, err
	}
	s := &Service{component: cfg.Component, engine: engine, tpm: front, fronts: []Front{front}}
	if err := s.Set(cfg.Rules, cfg.Seed); err != nil {
		return nil, errors.Join(err, front.Close())
	}
	return s, nil
}

// struck is how often a rule struck.
func (s *Service) struck(n int, r fault.RuleState) (seen, struck uint64) {
	if s.tpm == nil || r.Rule.Action != fault.TPM {
		return r.Seen, r.Struck
	}
	hits := s.tpm.Hits(n)
	return hits, hits
}

// can is nil when one front can break by a rule, else what the first says.
func (s *Service) can(r fault.Rule) error {
	var first error
	for _, f := range s.fronts {
		err := f.Can(r)
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	return first
}

// Answer hands a call on, or breaks it; it is the rpc.RawHandler of the stand-in.
func (s *Service) Answer(ctx context.Context, method string, request []byte) ([]byte, error) {
	if s.grpc == nil {
		return nil, prterr.New(prterr.NotFound, "this stand-in is before a TPM and serves no calls")
	}
	return s.grpc.Answer(ctx, method, request)
}

// Handler takes HTTPS requests in the place of the component's HTTPS side; nil without one.
func (s *Service) Handler() http.Handler {
	if s.https == nil {
		return nil
	}
	return s.https
}

// Register adds prt.fault.v1.
func (s *Service) Register(r grpc.ServiceRegistrar) {
	faultv1.RegisterFaultServiceServer(r, &door{service: s})
}

// Close ends what is before a TPM.
func (s *Service) Close() error {
	if s.tpm == nil {
		return nil
	}
	return s.tpm.Close()
}

// Allow says who may call what the stand-in serves beside the component's own.
func Allow() rpc.AllowList {
	return rpc.AllowList{
		faultv1.FaultService_SetRules_FullMethodName:      {"operator"},
		faultv1.FaultService_DescribeRules_FullMethodName: {"operator"},
	}
}

// Contracts are the contracts of each component that a stand-in can be in the place of.
func Contracts() map[string][]string { return contract.Packages() }
