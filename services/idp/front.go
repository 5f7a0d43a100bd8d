package idp

import (
	"log/slog"
	"net/http"
	"sync"

	"go.opentelemetry.io/otel/trace"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/services/idp/internal/errorpage"
	"github.com/lockstep-sso/lockstep/services/idp/internal/front"
)

// httpsFront is the HTTPS side of the service. It is made when it is first asked
// for: a service that only devices call over gRPC has no use for it.
type httpsFront struct {
	clock  clock.Clock
	log    *slog.Logger
	traces trace.TracerProvider

	mu      sync.Mutex
	handler http.Handler
}

// Handler serves Entra's wire: what clients that nobody here wrote speak over
// HTTPS, under all host names of the cloud. Whoever listens must have verified
// nothing but TLS itself; client certificates of devices are judged inside. It
// works until Close.
func (s *Service) Handler() http.Handler {
	f := &s.front
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.handler != nil {
		return f.handler
	}
	handler, err := s.newFront()
	if err != nil {
		f.log.Error("the HTTPS front could not be made", "error", err)
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "the HTTPS front could not be made: see the component's log", http.StatusServiceUnavailable)
		})
	}
	f.handler = handler
	return handler
}

// newFront makes the front and its connection, on which it is the caller "idp". The
// two share a process, so no network is between them; the allow-list is.
func (s *Service) newFront() (http.Handler, error) {
	f := &s.front
	page, err := errorpage.Handler()
	if err != nil {
		return nil, err
	}
	conn, err := rpc.Direct(rpc.LoopbackConfig{
		Caller: "idp", Server: "idp", Allow: FrontAllow(), Log: f.log, TracerProvider: f.traces,
	}, s.registerFront)
	if err != nil {
		return nil, err
	}
	return front.New(front.Config{Conn: conn, Clock: f.clock, Log: f.log, TracerProvider: f.traces, ErrorPage: page})
}
