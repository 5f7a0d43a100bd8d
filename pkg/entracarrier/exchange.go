package entracarrier

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
)

// userAgent says who asks, as device registration of Windows does in its place.
const userAgent = "Lockstep/1.0"

// answer is what came back, of bounded size.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// at is an address below a base URL; path segments are escaped already.
func at(base *url.URL, path string, query url.Values) string {
	u := *base
	s := u.String() + path
	if len(query) > 0 {
		s += "?" + query.Encode()
	}
	return s
}

// form posts a form and hands back any answer.
func (c *Carrier) form(ctx context.Context, address string, fields url.Values) (answer, error) {
	return c.do(ctx, http.MethodPost, address, strings.NewReader(fields.Encode()), http.Header{
		"Content-Type": {"application/x-www-form-urlencoded"},
	})
}

// json sends a document and hands back any answer.
func (c *Carrier) json(ctx context.Context, verb, address string, body []byte, header http.Header) (answer, error) {
	if header == nil {
		header = http.Header{}
	}
	header.Set("Content-Type", "application/json")
	return c.do(ctx, verb, address, bytes.NewReader(body), header)
}

// requestID is the client's own id of a request (MS-OAPX, the HTTP header client-request-id).
const requestID = "Client-Request-Id"

// do sends one request. The trace goes along in its headers, and nothing else of
// the context.
func (c *Carrier) do(ctx context.Context, verb, address string, body io.Reader, header http.Header) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, verb, address, body)
	if err != nil {
		return answer{}, prterr.Wrap(prterr.Internal, err, "the request to the identity provider cannot be made")
	}
	for name, values := range header {
		req.Header[name] = values
	}
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", userAgent)
	}
	req.Header.Set("Accept", "application/json, text/html;q=0.5, */*;q=0.1")
	rpc.Propagators().Inject(ctx, propagation.HeaderCarrier(req.Header))
	// The Correlation ID of the request, which the sign-in log keeps, is the trace's id.
	if id := trace.SpanContextFromContext(ctx).TraceID(); id.IsValid() && req.Header.Get(requestID) == "" {
		req.Header.Set(requestID, uuid.UUID(id).String())
	}
	where := prterr.Where{Method: verb, URI: shown(req.URL)}
	rpc.Asked(ctx, where)
	resp, err := c.client.Do(req)
	if err != nil {
		where.HTTPError = rpc.NoAnswer(ctx, err)
		rpc.Asked(ctx, where)
		return answer{}, unreachable(ctx, err)
	}
	where.HTTPStatus = resp.StatusCode
	rpc.Asked(ctx, where)
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return answer{}, unreachable(ctx, err)
	}
	if len(b) > maxAnswer {
		return answer{}, badAnswer("it is longer than %d bytes", maxAnswer)
	}
	return answer{status: resp.StatusCode, header: resp.Header, body: b}, nil
}

// shown is an address for people: without what says who asks.
func shown(u *url.URL) string {
	bare := *u
	if before, _, found := strings.Cut(u.Path, realmPath); found {
		bare.Path = before + realmPath
	}
	return prterr.Address(&bare)
}

// unreachable names what happened on the way. The text of the lower error stays
// on this side: it may hold an address with a user's name.
func unreachable(ctx context.Context, err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return prterr.Wrap(prterr.Deadline, err, "the identity provider did not answer in time: try again")
	}
	return prterr.Wrap(prterr.Unavailable, err, "idp cannot be reached: check the network and try again")
}

func badAnswer(format string, args ...any) error {
	e := prterr.New(prterr.Denied, format, args...)
	e.Msg = "the identity provider's answer is not right: " + e.Msg
	return e
}
