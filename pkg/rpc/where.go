package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/step"
	stepv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/step/v1"
)

// Windows codes of a request that got no answer.
const (
	hresultTimeout         = 0x80072EE2 // WinHTTP 12002
	hresultNameNotResolved = 0x80072EE7 // WinHTTP 12007
	hresultCannotConnect   = 0x80072EFD // WinHTTP 12029
	hresultConnectionReset = 0x80072EFE // WinHTTP 12030
	hresultSecureFailure   = 0x80072F8F // WinHTTP 12175
)

type onRequestKey struct{}

// OnRequest has f told of every request that is sent to another component below ctx,
// over gRPC or as a carrier sends it, before it is sent. f must not wait.
func OnRequest(ctx context.Context, f func(context.Context, prterr.Where)) context.Context {
	return context.WithValue(ctx, onRequestKey{}, f)
}

// NoteRequest is called by whoever sends a request. Method and URI of w are set.
func NoteRequest(ctx context.Context, w prterr.Where) {
	if f, ok := ctx.Value(onRequestKey{}).(func(context.Context, prterr.Where)); ok {
		f(ctx, w)
	}
}

// address of a method in the form of prterr.Where.
func address(server, method string) string { return "grpc://" + server + method }

// at says of an error which call it ended, and whether the server answered that call.
func at(ctx context.Context, err error, server, method string, answered bool) error {
	var e *prterr.Error
	if !errors.As(err, &e) {
		return err
	}
	w := prterr.Where{URI: address(server, method), Step: rowOf(ctx, method)}
	switch {
	case e.Kind == prterr.Deadline: // a server that runs out of the caller's time says so
		w.HTTPError = hresultTimeout
	case e.Kind == prterr.Unavailable && !answered:
		w.HTTPError = hresultCannotConnect
	}
	return e.WithWhere(w)
}

// rowOf is the row that a call carries out in the flow that runs, or empty.
func rowOf(ctx context.Context, method string) string {
	row := step.RowIn(step.FlowFrom(ctx), method)
	if row == stepv1.Step_STEP_UNSPECIFIED {
		return ""
	}
	return strings.TrimPrefix(row.String(), "STEP_")
}

type asked struct {
	last prterr.Where
	step string
}

type askedKey struct{}

// Asking is for a carrier: it keeps the last request of one call of the contract's
// method, and At puts it on the error that the call ends with.
func Asking(ctx context.Context, method string) context.Context {
	return context.WithValue(ctx, askedKey{}, &asked{step: rowOf(ctx, method)})
}

// Asked notes a request of such a call; with the answer's status, or the Windows code of
// none, it is called once more. One call asks one thing at a time.
func Asked(ctx context.Context, w prterr.Where) {
	if w.HTTPStatus == 0 && w.HTTPError == 0 {
		NoteRequest(ctx, w)
	}
	if a, ok := ctx.Value(askedKey{}).(*asked); ok {
		a.last = w
	}
}

// At puts the last request of the call on its error.
func At(ctx context.Context, err error) error {
	var e *prterr.Error
	a, ok := ctx.Value(askedKey{}).(*asked)
	if !ok || !errors.As(err, &e) {
		return err
	}
	w := a.last
	w.ServerError, w.Step = e.Where.ServerError, a.step
	return e.WithWhere(w)
}

// NoAnswer is the Windows code of a request that got no answer, by the reason that Go
// gives: WinHTTP 12002, 12007, 12030, 12175, and else 12029.
func NoAnswer(ctx context.Context, err error) uint32 {
	var (
		name *net.DNSError
		dial *net.OpError
		cert *tls.CertificateVerificationError
		head tls.RecordHeaderError
	)
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(ctx.Err(), context.DeadlineExceeded):
		return hresultTimeout
	case errors.As(err, &cert), errors.As(err, &head):
		return hresultSecureFailure
	case errors.As(err, &name):
		return hresultNameNotResolved
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return hresultConnectionReset
	case errors.As(err, &dial) && dial.Timeout():
		return hresultTimeout
	default:
		return hresultCannotConnect
	}
}
