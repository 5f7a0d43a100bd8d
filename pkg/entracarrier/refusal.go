package entracarrier

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

// maxReason bounds what is taken over of a server's words, in bytes.
const maxReason = 512

// refusal turns an error answer into ours. It is read as from a stranger: a code
// that is not in the table is dropped, text is cut to one printable line.
func refusal(a answer) error {
	var head struct {
		Error string `json:"error"`
	}
	err := judged(a)
	var e *prterr.Error
	// Seconds alone: nobody who throttles names a date (RFC 9110, section 10.2.3).
	if n, bad := strconv.ParseUint(a.header.Get("Retry-After"), 10, 31); bad == nil && errors.As(err, &e) {
		err = e.WithRetryAfter(time.Duration(n) * time.Second)
	}
	if json.Unmarshal(a.body, &head) == nil && named(head.Error) && errors.As(err, &e) {
		return e.WithWhere(prterr.Where{ServerError: head.Error})
	}
	return err
}

// named reports whether s is an error of our table. A server's own words could be
// anything that it was sent before.
func named(s string) bool {
	return s != "" && slices.ContainsFunc(aadsts.Table(), func(r aadsts.Row) bool { return r.OAuthError == s || r.OAuthErrorV1 == s })
}

// judged is the error of an answer.
func judged(a answer) error {
	var wire struct {
		Description string  `json:"error_description"`
		Codes       []int64 `json:"error_codes"`
		Claims      string  `json:"claims"`
		// Message is what device registration answers with; a code may lead it.
		Message string `json:"message"`
	}
	if json.Unmarshal(a.body, &wire) != nil {
		return byStatus(a.status, "")
	}
	for _, n := range wire.Codes {
		if _, known := aadsts.Lookup(aadsts.Code(n)); !known {
			continue
		}
		e := prterr.AADSTS(aadsts.Code(n), "")
		if words := reason(wire.Description); words != "" {
			e.Msg = words
		}
		if len(wire.Claims) <= prterr.MaxClaims && json.Valid([]byte(wire.Claims)) {
			return e.WithClaims(wire.Claims) // what a page has to be asked for
		}
		return e
	}
	if wire.Message != "" {
		if found, err := led(wire.Message); found {
			return err
		}
		return byStatus(a.status, reason(wire.Message))
	}
	return byStatus(a.status, reason(wire.Description))
}

// led is the error of a text that a code of the table leads.
func led(text string) (found bool, err error) {
	number, _, _ := strings.Cut(text, ": ")
	for _, row := range aadsts.Table() {
		if row.Code.String() == number {
			e := prterr.AADSTS(row.Code, "")
			if words := reason(text); words != "" {
				e.Msg = words
			}
			return true, e
		}
	}
	return false, nil
}

// reason is the first line of a description without its code.
func reason(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	s, _, _ = strings.Cut(s, "\r")
	if rest, ok := strings.CutPrefix(s, "AADSTS"); ok {
		if number, words, found := strings.Cut(rest, ": "); found && strings.Trim(number, "0123456789") == "" {
			s = words
		}
	}
	if len(s) > maxReason {
		s = s[:maxReason]
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, strings.ToValidUTF8(s, ""))
}

// byStatus is an error of which only the HTTP status is known.
func byStatus(status int, words string) error {
	kind, standard := prterr.Denied, "the identity provider refused the request"
	switch {
	case status == http.StatusUnauthorized:
		kind, standard = prterr.Unauthenticated, "the identity provider did not take the credential"
	case status == http.StatusForbidden: // known, and not allowed
	case status == http.StatusNotFound:
		kind, standard = prterr.NotFound, "the identity provider does not know what was asked for"
	case status == http.StatusConflict:
		kind, standard = prterr.Conflict, "the identity provider's state does not allow it"
	case status == http.StatusTooManyRequests:
		kind, standard = prterr.Exhausted, "the identity provider has too many requests: wait a little"
	case status >= http.StatusInternalServerError:
		kind, standard = prterr.Unavailable, "the identity provider has a fault of its own: try again"
	case status >= http.StatusBadRequest:
		kind = prterr.Invalid
	}
	if words == "" {
		words = standard
	}
	return prterr.New(kind, "%s", words)
}

// ok hands on the body of an answer with status 200 or 201.
func ok(a answer, err error) ([]byte, error) {
	switch {
	case err != nil:
		return nil, err
	case a.status == http.StatusOK || a.status == http.StatusCreated:
		return a.body, nil
	default:
		return nil, refusal(a)
	}
}
