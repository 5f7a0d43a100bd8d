// Package front is Entra's wire: the HTTPS side of the identity provider.
//
// What lives here: how requests and answers look, byte for byte as clients that
// nobody here wrote expect them; routes, forms, JSON, pages, errors. What never
// may: a decision, a key, a store. Each handler takes a request apart, makes one
// or two calls of prt.idp.v1, and writes the answer. The service makes one on a
// connection to itself; whoever listens calls ServeHTTP.
package front

import (
	"errors"
	"log/slog"
	"net/http"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/pages"
)

const instrumentation = "github.com/lockstep-sso/lockstep/services/idp/internal/front"

// Config is what a front needs.
type Config struct {
	// Conn reaches the services of prt.idp.v1 as their caller "idp".
	Conn grpc.ClientConnInterface
	// Clock dates answers; nil is the machine's.
	Clock clock.Clock
	// Log gets what went wrong in here; nil discards. No payload is logged.
	Log *slog.Logger
	// TracerProvider gets one span a request; nil records none.
	TracerProvider trace.TracerProvider
	// ErrorPage serves /error, where error_uri of every refusal leads; nil is 404.
	ErrorPage http.Handler
}

// Front serves Entra's wire.
type Front struct {
	realm     idpv1.RealmServiceClient
	nonces    idpv1.NonceServiceClient
	issuance  idpv1.IssuanceServiceClient
	tokens    idpv1.TokenServiceClient
	dataKeys  idpv1.DataKeyServiceClient
	grants    idpv1.GrantServiceClient
	sessions  idpv1.SessionServiceClient
	signIn    idpv1.SignInServiceClient
	devices   idpv1.DeviceRegistrationServiceClient
	connected idpv1.ConnectedDeviceServiceClient
	metadata  idpv1.MetadataServiceClient
	resource  idpv1.ResourceServiceClient
	security  idpv1.SecurityInfoServiceClient
	pinReset  idpv1.PINResetServiceClient

	clock     clock.Clock
	log       *slog.Logger
	tracer    trace.Tracer
	errorPage http.Handler
	pages     *pages.Set
	routes    []route
}

// New builds a front.
func New(cfg Config) (*Front, error) {
	if cfg.Conn == nil {
		return nil, errors.New("front: Conn is missing")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.TracerProvider == nil {
		cfg.TracerProvider = noop.NewTracerProvider()
	}
	if cfg.ErrorPage == nil {
		cfg.ErrorPage = http.NotFoundHandler()
	}
	p, err := pages.New()
	if err != nil {
		return nil, err
	}
	f := &Front{
		realm: idpv1.NewRealmServiceClient(cfg.Conn), nonces: idpv1.NewNonceServiceClient(cfg.Conn),
		issuance: idpv1.NewIssuanceServiceClient(cfg.Conn), tokens: idpv1.NewTokenServiceClient(cfg.Conn),
		dataKeys: idpv1.NewDataKeyServiceClient(cfg.Conn),
		grants:   idpv1.NewGrantServiceClient(cfg.Conn), sessions: idpv1.NewSessionServiceClient(cfg.Conn),
		signIn: idpv1.NewSignInServiceClient(cfg.Conn), devices: idpv1.NewDeviceRegistrationServiceClient(cfg.Conn),
		connected: idpv1.NewConnectedDeviceServiceClient(cfg.Conn), metadata: idpv1.NewMetadataServiceClient(cfg.Conn),
		resource: idpv1.NewResourceServiceClient(cfg.Conn), security: idpv1.NewSecurityInfoServiceClient(cfg.Conn),
		pinReset: idpv1.NewPINResetServiceClient(cfg.Conn),
		clock:    clock.Or(cfg.Clock), log: cfg.Log, tracer: cfg.TracerProvider.Tracer(instrumentation),
		errorPage: cfg.ErrorPage, pages: p,
	}
	f.routes = f.table()
	return f, nil
}
