package front

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// refusal is an error in the words of the wire.
type refusal struct {
	code   aadsts.Code
	status int
	// oauth and sub are the members error and suberror.
	oauth, sub string
	// message says what is wrong, without the code.
	message string
	// claims is a claims challenge in JSON.
	claims string
}

// explain finds the words for an error. One without a code gets the code of its
// class: there is no answer without a number that can be looked up.
func (x *exchange) explain(err error) refusal {
	e := &prterr.Error{Kind: prterr.KindOf(err), Msg: "internal error: see the component's log"}
	errors.As(err, &e)
	code := e.Code
	if code == 0 {
		code = codeOf(e.Kind)
	}
	row, ok := aadsts.Lookup(code)
	if !ok {
		row, _ = aadsts.Lookup(aadsts.ExternalRetryable)
	}
	r := refusal{code: row.Code, status: row.HTTPStatus, oauth: row.OAuthError, sub: row.SubError, message: oneLine(e.Msg), claims: e.Claims}
	if x.v1() {
		r.oauth, r.sub = row.V1()
	}
	var large *tooLarge
	if errors.As(err, &large) {
		r.status = http.StatusRequestEntityTooLarge
	}
	if e.Kind == prterr.Internal && e.Code == 0 {
		r.status, r.oauth, r.message = http.StatusInternalServerError, "server_error", "internal error: see the component's log"
	}
	return r
}

// codeOf is the code of an error that has none.
func codeOf(k prterr.Kind) aadsts.Code {
	switch k {
	case prterr.Invalid, prterr.NotFound, prterr.Conflict:
		return aadsts.InvalidRequest
	case prterr.Unauthenticated, prterr.Denied:
		return aadsts.InvalidGrant
	case prterr.Interaction:
		return aadsts.GrantNeedsInteraction
	case prterr.Exhausted:
		return aadsts.Throttled
	default:
		return aadsts.ExternalRetryable
	}
}

// v1 reports whether the endpoint is of version 1.
func (x *exchange) v1() bool { return x.route == nil || x.route.protocol != idpv1.Protocol_PROTOCOL_V2 }

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// description is error_description: clients search it for the code.
func (x *exchange) description(r refusal) string {
	return fmt.Sprintf("%v: %s\r\nTrace ID: %s\r\nCorrelation ID: %s\r\nTimestamp: %s", r.code, r.message, x.requestID, x.correlationID, x.timestamp())
}

// errorURI is where the code is explained.
func (x *exchange) errorURI(code aadsts.Code) string {
	return fmt.Sprintf("%s/error?code=%d", x.sibling(atLogin), int(code))
}

// oauthError is RFC 6749 section 5.2 with Entra's members.
type oauthError struct {
	Error         string        `json:"error"`
	Description   string        `json:"error_description"`
	Codes         []aadsts.Code `json:"error_codes"`
	Timestamp     string        `json:"timestamp"`
	TraceID       string        `json:"trace_id"`
	CorrelationID string        `json:"correlation_id"`
	URI           string        `json:"error_uri"`
	SubError      string        `json:"suberror,omitempty"`
	Claims        string        `json:"claims,omitempty"`
}

// comeAgain says when to come again, where the error does: in whole seconds (RFC 9110,
// section 10.2.3).
func (x *exchange) comeAgain(err error) {
	if wait := prterr.RetryAfterOf(err); wait > 0 {
		x.w.Header().Set("Retry-After", strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10))
	}
}

// failOAuth answers as token endpoints do.
func failOAuth(x *exchange, err error) {
	r := x.explain(err)
	x.comeAgain(err)
	if r.status == http.StatusUnauthorized && x.r.Header.Get("Authorization") != "" {
		x.w.Header().Set("WWW-Authenticate", `Basic realm="token endpoint"`) // RFC 6749 section 5.2
	}
	x.json(r.status, oauthError{
		Error: r.oauth, Description: x.description(r), Codes: []aadsts.Code{r.code}, Timestamp: x.timestamp(),
		TraceID: x.requestID, CorrelationID: x.correlationID, URI: x.errorURI(r.code), SubError: r.sub, Claims: r.claims,
	})
}
