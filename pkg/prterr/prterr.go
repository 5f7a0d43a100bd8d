// Package prterr is the one error type that crosses borders between components.
//
// Its two powers: it goes over gRPC whole (pkg/rpc does that), so that the
// caller sees kind and code and not only text; and an edge can turn it into the
// words of its wire. Its limit: what is wrapped around it on the way is for the
// log of that room only. Messages are written by us and never carry a secret or
// text of a caller's choosing.
package prterr

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
)

// Kind is the coarse class of an error: what the caller can do about it.
type Kind string

// The closed list of kinds. Both ends of a wire share it, so it only grows.
const (
	Invalid         Kind = "invalid"         // the request is wrong: repair the named field
	Unauthenticated Kind = "unauthenticated" // the credential is wrong
	Denied          Kind = "denied"          // known, and not allowed
	NotFound        Kind = "not_found"       // the thing named does not exist
	Conflict        Kind = "conflict"        // the state does not allow it now
	Unavailable     Kind = "unavailable"     // cannot be reached: try again
	Deadline        Kind = "deadline"        // took too long: try again
	Interaction     Kind = "interaction"     // the user must do something
	KeysLost        Kind = "keys_lost"       // the TPM does not know its keys any more
	TPMFailed       Kind = "tpm_failed"      // the TPM does not work
	Exhausted       Kind = "exhausted"       // too much at once: wait
	Internal        Kind = "internal"        // a bug, ours
)

// Kinds lists every kind.
func Kinds() []Kind {
	return []Kind{Invalid, Unauthenticated, Denied, NotFound, Conflict, Unavailable, Deadline, Interaction, KeysLost, TPMFailed, Exhausted, Internal}
}

// Error is an error with a name.
type Error struct {
	Kind Kind
	// Code is the identity provider's error code, 0 when there is none.
	Code aadsts.Code
	// HRESULT is the Windows code of the same failure, 0 when there is none.
	HRESULT uint32
	// Claims is a claims challenge in JSON, at most MaxClaims bytes: what a further
	// request must ask for. It is empty when there is none.
	Claims string
	// Msg says what is wrong, which field, and what to do.
	Msg string
	// RetryAfter is how long the other side asks to be left alone, at most MaxRetryAfter; 0
	// when it does not say.
	RetryAfter time.Duration
	// Where is the request at which it was met; zero when it was none.
	Where Where
	cause error
}

// New makes an error without a code.
func New(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Msg: fmt.Sprintf(format, args...)}
}

// AADSTS makes an error of a row of pkg/aadsts. An empty format uses the row's
// own meaning.
func AADSTS(code aadsts.Code, format string, args ...any) *Error {
	row, ok := aadsts.Lookup(code)
	if !ok {
		return New(Internal, "error code %v is not in the table", code)
	}
	msg := row.Meaning
	if format != "" {
		msg = fmt.Sprintf(format, args...)
	}
	return &Error{Kind: kindOf(row), Code: code, Msg: msg}
}

func kindOf(r aadsts.Row) Kind {
	switch {
	case r.Code == aadsts.InvalidCredentials, r.Code == aadsts.UserAccountNotFound, r.HTTPStatus == http.StatusUnauthorized:
		return Unauthenticated
	case r.Interactive(), r.Code == aadsts.AuthorizationPending:
		return Interaction
	case r.HTTPStatus == http.StatusTooManyRequests:
		return Exhausted
	case r.HTTPStatus == http.StatusServiceUnavailable:
		return Unavailable
	}
	switch r.OAuthError {
	case "invalid_request", "invalid_scope", "invalid_instance", "unsupported_response_type", "bad_verification_code":
		return Invalid
	default:
		return Denied
	}
}

// Wrap gives a lower error a kind and a message. The lower error stays on this
// side of the border.
func Wrap(kind Kind, err error, format string, args ...any) *Error {
	return &Error{Kind: kind, Msg: fmt.Sprintf(format, args...), cause: err}
}

// WithHRESULT returns a copy that carries a Windows code.
func (e *Error) WithHRESULT(h uint32) *Error {
	c := *e
	c.HRESULT = h
	return &c
}

// MaxRetryAfter bounds how long a component may be told to wait.
const MaxRetryAfter = 24 * time.Hour

// WithRetryAfter returns a copy that says for how long not to ask again.
func (e *Error) WithRetryAfter(d time.Duration) *Error {
	c := *e
	c.RetryAfter = max(0, min(d, MaxRetryAfter))
	return &c
}

// RetryAfterOf is how long the first Error in the chain asks to be left alone, or 0.
func RetryAfterOf(err error) time.Duration {
	var e *Error
	if errors.As(err, &e) {
		return e.RetryAfter
	}
	return 0
}

// MaxClaims bounds a claims challenge, in bytes.
const MaxClaims = 1024

// WithClaims returns a copy that carries a claims challenge. One that is longer
// than MaxClaims does not cross a border.
func (e *Error) WithClaims(claims string) *Error {
	c := *e
	c.Claims = claims
	return &c
}

// Error is the message, led by the code when there is one.
func (e *Error) Error() string {
	msg := e.Msg
	if e.Code != 0 {
		msg = e.Code.String() + ": " + msg
	}
	if e.cause != nil {
		msg += ": " + e.cause.Error()
	}
	return msg
}

// Unwrap gives the lower error.
func (e *Error) Unwrap() error { return e.cause }

// KindOf is the kind of the first Error in the chain; a context's end is
// Deadline or Unavailable; anything else that is not nil is Internal.
func KindOf(err error) Kind {
	var e *Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.Kind
	case errors.Is(err, context.DeadlineExceeded):
		return Deadline
	case errors.Is(err, context.Canceled):
		return Unavailable
	default:
		return Internal
	}
}

// CodeOf is the AADSTS code of the first Error in the chain, or 0.
func CodeOf(err error) aadsts.Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}
