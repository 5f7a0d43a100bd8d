package adfscarrier

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"go.opentelemetry.io/otel/propagation"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/pkg/wstrust"
)

// message is one HTTP request; action and body are those of SOAP, and limit
// bounds the answer in bytes.
type message struct {
	method, url, action string
	body                secret.Text
	limit               int64
}

type answer struct {
	status int
	body   []byte
}

// exchange sends and reads whole. Its errors name no host and no words of a
// library: the URL is a stranger's.
func (c *Conn) exchange(ctx context.Context, m message) (answer, error) {
	var body io.Reader
	if m.method == http.MethodPost {
		body = strings.NewReader(m.body.Reveal())
	}
	req, err := http.NewRequestWithContext(ctx, m.method, m.url, body)
	if err != nil {
		return answer{}, prterr.New(prterr.Invalid, "the address of the federation provider is malformed")
	}
	if m.method == http.MethodPost {
		req.Header.Set("Content-Type", wstrust.ContentType)
		req.Header.Set("SOAPAction", m.action)
	}
	rpc.Propagators().Inject(ctx, propagation.HeaderCarrier(req.Header))
	where := prterr.Where{Method: m.method, URI: prterr.Address(req.URL)}
	rpc.Asked(ctx, where)
	resp, err := c.http.Do(req)
	if err != nil {
		where.HTTPError = rpc.NoAnswer(ctx, err)
		rpc.Asked(ctx, where)
		return answer{}, unreachable(ctx, err)
	}
	where.HTTPStatus = resp.StatusCode
	rpc.Asked(ctx, where)
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, m.limit+1))
	switch {
	case err != nil:
		return answer{}, unreachable(ctx, err)
	case int64(len(raw)) > m.limit:
		return answer{}, bad(fmt.Sprintf("it is longer than %d bytes", m.limit))
	}
	return answer{status: resp.StatusCode, body: raw}, nil
}

func unreachable(ctx context.Context, err error) error {
	if end := prterr.FromContext(ctx); end != nil {
		return end
	}
	return prterr.Wrap(prterr.Unavailable, err, "the federation provider cannot be reached: check the network and its certificate, and try again")
}

func bad(what string) *prterr.Error {
	return prterr.New(prterr.Unavailable, "the federation provider's answer is not usable: %s", what)
}

// notRead names why a document was not taken, with the Windows code where there
// is one.
func notRead(what string, err error) error {
	e := bad(what + ": " + err.Error())
	switch {
	case errors.Is(err, wstrust.ErrMarkup):
		return e.WithHRESULT(hresultDTD)
	case errors.Is(err, wstrust.ErrMalformed), errors.Is(err, wstrust.ErrEncoding), errors.Is(err, wstrust.ErrSize):
		return e.WithHRESULT(hresultNotXML)
	}
	return e
}

func refusedStatus(status int) error {
	switch status {
	case http.StatusTooManyRequests:
		return prterr.New(prterr.Exhausted, "the federation provider is busy: wait")
	case http.StatusUnauthorized, http.StatusForbidden:
		return prterr.New(prterr.Denied, "the federation provider does not let this endpoint be used (HTTP %d)", status)
	}
	return bad(fmt.Sprintf("HTTP %d", status))
}

// refusal turns a fault into our error. Its words are a stranger's and stay what
// the reader has bounded; callers that log drop them.
func refusal(f *wstrust.Fault) error {
	kind := prterr.Denied
	msg := f.Error()
	switch f.Subcode {
	case wstrust.FailedAuthentication, "wst:FailedAuthentication":
		kind = prterr.Unauthenticated
	case wstrust.InvalidScope:
		kind, msg = prterr.Invalid, "applies_to is not a relying party of the provider: "+msg
	case wstrust.RequestFailed:
		if f.Code == wstrust.Receiver {
			kind = prterr.Unavailable
		}
	default: // about the request, which the device cannot mend
	}
	return prterr.New(kind, "%s", msg)
}
