package prterr

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
)

// Where is the request at which an error was met, for those who look for its cause.
// Nothing in it is a secret: an address has neither query nor user name.
type Where struct {
	// Method of HTTP; empty when the request went over gRPC.
	Method string
	// URI that was asked; grpc://COMPONENT/METHOD over gRPC.
	URI string
	// HTTPStatus of the answer, 0 when there was none or over gRPC.
	HTTPStatus int
	// HTTPError is the Windows code of a request that got no answer, 0 when it got one.
	HTTPError uint32
	// ServerError is the member error of the answer, such as invalid_grant, or empty.
	ServerError string
	// Step is the row of the documents that the request carries out, such as
	// FIRST_SIGN_IN_D, or empty.
	Step string
}

// Bounds of what is taken over of another component, in bytes.
const (
	maxWhereURI  = 512
	maxWhereWord = 64
)

// WithWhere returns a copy that says at which request it was met.
func (e *Error) WithWhere(w Where) *Error {
	c := *e
	c.Where = w
	return &c
}

// WhereOf is the request at which the first Error in the chain was met; zero when that
// is not known.
func WhereOf(err error) Where {
	var e *Error
	if errors.As(err, &e) {
		return e.Where
	}
	return Where{}
}

// HRESULTOf is the Windows code of the first Error in the chain, or 0.
func HRESULTOf(err error) uint32 {
	var e *Error
	if errors.As(err, &e) {
		return e.HRESULT
	}
	return 0
}

// Address is a URL as Where has it: without query, fragment and user.
func Address(u *url.URL) string {
	bare := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	return bare.String()
}

// Names of the members on the wire between components.
const (
	whereMethod = "where_method"
	whereURI    = "where_uri"
	whereStatus = "where_status"
	whereError  = "where_error"
	whereServer = "where_server"
	whereStep   = "where_step"
)

func (w Where) put(into map[string]string) {
	if w == (Where{}) {
		return
	}
	for name, text := range map[string]string{whereMethod: w.Method, whereURI: w.URI, whereServer: w.ServerError, whereStep: w.Step} {
		if text != "" {
			into[name] = text
		}
	}
	if w.HTTPStatus != 0 {
		into[whereStatus] = strconv.Itoa(w.HTTPStatus)
	}
	if w.HTTPError != 0 {
		into[whereError] = strconv.FormatUint(uint64(w.HTTPError), 16)
	}
}

// readWhere reads as from a stranger: what is malformed or too long is dropped.
func readWhere(from map[string]string) (w Where) {
	w.Method, w.ServerError, w.Step = word(from[whereMethod]), word(from[whereServer]), word(from[whereStep])
	if u, err := url.Parse(from[whereURI]); err == nil && u.Host != "" && len(from[whereURI]) <= maxWhereURI {
		w.URI = Address(u)
	}
	if n, err := strconv.Atoi(from[whereStatus]); err == nil && n >= 100 && n <= 599 {
		w.HTTPStatus = n
	}
	if n, err := strconv.ParseUint(from[whereError], 16, 32); err == nil {
		w.HTTPError = uint32(n)
	}
	return w
}

// word keeps a short text of letters, digits and underscores, or nothing.
func word(s string) string {
	bad := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_'
	}
	if len(s) > maxWhereWord || strings.ContainsFunc(s, bad) {
		return ""
	}
	return s
}
