// Package scrape lets Prometheus fetch the metrics of a process of this machine.
//
// What lives here: the text format and the one listener for it. It is a room of its
// own so that a process without that listener does not link what it needs: the
// tpm-agent, which holds the keys, has its metrics exported over OTLP. The mains of the
// other components hand Open to pkg/run.
package scrape

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/otlptranslator"
	"go.opentelemetry.io/otel/attribute"
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/lockstep-sso/lockstep/pkg/obs"
)

// Path is where the text is served.
const Path = "/metrics"

// scrapeTime bounds a request for the text, in both directions.
const scrapeTime = 10 * time.Second

// Prometheus is a reader whose metrics the handler shows in Prometheus' text format,
// under names such as prt_renewals_total, each with the place where the process runs as
// labels, where that is known. Nothing else of the process itself is in it.
func Prometheus() (sdkmetric.Reader, http.Handler, error) {
	registry := prometheus.NewRegistry()
	reader, err := exporter.New(exporter.WithRegisterer(registry), exporter.WithoutScopeInfo(),
		exporter.WithResourceAsConstantLabels(attribute.NewAllowKeysFilter(obs.NamespaceKey, obs.InstanceKey)),
		exporter.WithTranslationStrategy(otlptranslator.UnderscoreEscapingWithSuffixes))
	if err != nil {
		return nil, nil, fmt.Errorf("prometheus exporter: %w", err)
	}
	return reader, promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: scrapeTime}), nil
}

// Server is a place where the text is fetched.
type Server struct {
	listener net.Listener
	server   *http.Server
}

// Serve serves the text at an address HOST:PORT of this machine alone, until
// Close: nobody is asked who they are. Port 0 is any free one.
func Serve(addr string, text http.Handler) (*Server, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("metrics address %q is not HOST:PORT: %w", addr, err)
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("metrics address %q is not of this machine alone: use 127.0.0.1 or [::1], or have the metrics exported over OTLP", addr)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET "+Path, text)
	s := &Server{l, &http.Server{Handler: mux, ReadTimeout: scrapeTime, WriteTimeout: 2 * scrapeTime, IdleTimeout: time.Minute, MaxHeaderBytes: 8 << 10}}
	go func() { _ = s.server.Serve(l) }() // ends with Close
	return s, nil
}

// Open serves the metrics of this process at addr until stop. It is what pkg/run takes.
func Open(addr string) (reader sdkmetric.Reader, url string, stop func() error, err error) {
	reader, text, err := Prometheus()
	if err != nil {
		return nil, "", nil, err
	}
	s, err := Serve(addr, text)
	if err != nil {
		return nil, "", nil, err
	}
	return reader, "http://" + s.Addr() + Path, s.Close, nil
}

// Addr is where it is served, with the port in use.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Close ends it.
func (s *Server) Close() error {
	if err := s.server.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("metrics: %w", err)
	}
	return nil
}
