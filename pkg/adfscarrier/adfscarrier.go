// Package adfscarrier carries the contract prt.federation.v1 over the wire that
// federation providers really speak: metadata exchange and WS-Trust over HTTPS.
//
// What lives here: the change from the contract's messages to that wire and
// back, and the checks of what a stranger's server answers. What never may:
// who the user is, what the assertion says, a password kept. lsa-cloudap calls
// it in the place of a connection to the adfs component; it cannot tell the two
// apart, which a test over both holds true.
package adfscarrier

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/wstrust"
	federationv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/federation/v1"
)

// maxCall bounds a call whose context has no deadline.
const maxCall = 30 * time.Second

const instrumentation = "github.com/lockstep-sso/lockstep/pkg/adfscarrier"

// Config is what the carrier needs. Its zero value asks the provider that each
// request names, over TLS with the machine's roots.
type Config struct {
	// MetadataURL is the https address of the metadata exchange that is asked when
	// a request names none; "" means that a request must name one.
	MetadataURL string
	// Client makes the connections; nil is one with TLS 1.2 or later and the
	// machine's roots. Redirects are never followed, whatever it says.
	Client *http.Client
	// Clock stamps requests; nil is the machine's.
	Clock clock.Clock
}

// Conn is a connection in the sense of gRPC's clients. It is safe for concurrent
// use.
type Conn struct {
	fallback string
	http     *http.Client
	clock    clock.Clock

	mu sync.Mutex
	// versions are the endpoints that metadata has named, since an endpoint's
	// address does not say which WS-Trust it speaks.
	versions map[endpoint]wstrust.Version
}

// endpoint is an address, and whether it is for certificates.
type endpoint struct {
	url         string
	certificate bool
}

var _ grpc.ClientConnInterface = (*Conn)(nil)

// Dial checks the configuration; it connects to nobody.
func Dial(cfg Config) (grpc.ClientConnInterface, error) {
	if cfg.MetadataURL != "" {
		if _, err := parseURL(cfg.MetadataURL); err != nil {
			return nil, errors.New("federation carrier: MetadataURL is not a plain https URL")
		}
	}
	client := cfg.Client
	if client == nil {
		client = &http.Client{Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout: 10 * time.Second,
			ForceAttemptHTTP2:   true,
			MaxIdleConnsPerHost: 2,
			IdleConnTimeout:     time.Minute,
		}}
	}
	// A copy: a redirect could take a password to another host.
	own := *client
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	own.Jar = nil
	return &Conn{fallback: cfg.MetadataURL, http: &own, clock: clock.Or(cfg.Clock), versions: map[endpoint]wstrust.Version{}}, nil
}

// Invoke carries one call. Errors are *prterr.Error, as a connection between
// components gives them; call options are of gRPC's own wire and are not used.
func (c *Conn) Invoke(ctx context.Context, method string, args, reply any, _ ...grpc.CallOption) error {
	ctx, cancel := context.WithTimeout(ctx, maxCall)
	defer cancel()
	// The span has the name that it has over gRPC, so that a trace reads the same.
	tracer := trace.SpanFromContext(ctx).TracerProvider().Tracer(instrumentation)
	ctx, span := tracer.Start(ctx, method[min(1, len(method)):], trace.WithSpanKind(trace.SpanKindClient))
	defer span.End()
	ctx = rpc.Asking(ctx, method)
	err := rpc.At(ctx, c.invoke(ctx, method, args, reply))
	if err != nil {
		span.SetStatus(codes.Error, string(prterr.KindOf(err)))
	}
	return err
}

func (c *Conn) invoke(ctx context.Context, method string, args, reply any) error {
	switch method {
	case federationv1.FederationService_GetMetadata_FullMethodName:
		req, ok1 := args.(*federationv1.GetMetadataRequest)
		out, ok2 := reply.(*federationv1.GetMetadataResponse)
		if ok1 && ok2 {
			return c.getMetadata(ctx, req, out)
		}
	case federationv1.FederationService_IssueToken_FullMethodName:
		req, ok1 := args.(*federationv1.IssueTokenRequest)
		out, ok2 := reply.(*federationv1.IssueTokenResponse)
		if ok1 && ok2 {
			return c.issueToken(ctx, req, out)
		}
	}
	return prterr.New(prterr.Denied, "this connection carries GetMetadata and IssueToken of prt.federation.v1 and nothing else")
}

// NewStream refuses: no contract has streams.
func (c *Conn) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, prterr.New(prterr.Denied, "streams are not served")
}
