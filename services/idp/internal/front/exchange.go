package front

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// exchange is one request and its answer.
type exchange struct {
	*Front
	w     http.ResponseWriter
	r     *http.Request
	ctx   context.Context
	route *route
	// vars are the segments of the path that have names.
	vars map[string]string
	// requestID names this answer; correlationID is the client's, or the same.
	requestID, correlationID string
	status                   int
	// flow is the state of the sign-in that the request goes on with.
	flow string
	// locales are the languages that the application asks for.
	locales string
	// tried is the way to sign in that the form was for.
	tried string
}

func newID() string { return uuid.NewString() }

func isID(s string) bool {
	_, err := uuid.Parse(s)
	return err == nil && len(s) == 36
}

// tenant is the segment of the path that names the tenant.
func (x *exchange) tenant() string { return x.vars["t"] }

// caller is what was seen of who asks.
func (x *exchange) caller() *idpv1.Caller {
	ip, _, err := net.SplitHostPort(x.r.RemoteAddr)
	if err != nil {
		ip = x.r.RemoteAddr
	}
	return &idpv1.Caller{
		IpAddress: ip, UserAgent: header(x.r, "User-Agent", 512), CorrelationId: x.correlationID, Origin: header(x.r, "Origin", 512),
		Host: strings.ToLower(x.r.Host), // only what isAuthority is routed here
	}
}

// header is a header in a form that a message can carry: valid UTF-8, bounded.
func header(r *http.Request, name string, most int) string { return bounded(r.Header.Get(name), most) }

func bounded(s string, most int) string {
	if len(s) > most {
		s = s[:most]
	}
	return strings.ToValidUTF8(s, "?")
}

// clean reports whether a message can carry the text.
func clean(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// now is the time of answers.
func (x *exchange) now() time.Time { return x.clock.Now().UTC() }

// timestamp is the time as errors have it.
func (x *exchange) timestamp() string { return x.now().Format("2006-01-02 15:04:05Z") }

// send writes the whole answer at once, with its length: some clients cannot
// read a chunked one.
func (x *exchange) send(status int, contentType string, body []byte) {
	x.w.Header().Set("Content-Type", contentType)
	x.w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	x.status = status
	x.w.WriteHeader(status)
	if x.r.Method != http.MethodHead {
		_, _ = x.w.Write(body) // a client that left cannot be told
	}
}

// json answers with a JSON value.
func (x *exchange) json(status int, v any) {
	body, err := encodeJSON(v)
	if err != nil {
		x.log.ErrorContext(x.ctx, "an answer could not be written", "error", err)
		x.text(http.StatusInternalServerError, "internal error: see the component's log")
		return
	}
	x.send(status, "application/json; charset=utf-8", body)
}

// encodeJSON writes a value without the HTML escapes of json.Marshal: tokens and
// addresses are read by people too.
func encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func (x *exchange) text(status int, message string) {
	x.send(status, "text/plain; charset=utf-8", []byte(message+"\n"))
}

// describe puts what happened into the span: names and numbers, no content.
func (x *exchange) describe(span trace.Span) {
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(
		attribute.String("http.request.method", knownMethod(x.r.Method)), attribute.Int("http.response.status_code", x.status),
		attribute.String("client.correlation_id", x.correlationID),
	)
	if x.route != nil {
		span.SetAttributes(attribute.String("http.route", x.route.template))
	}
	if x.status >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, "")
	}
}
