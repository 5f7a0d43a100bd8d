package front

import (
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

const (
	// maxBody bounds a body in bytes: a signed request of 64 KiB fits beside the
	// rest of its form.
	maxBody = 192 << 10
	// maxParams bounds the parameters of a request.
	maxParams = 128
)

// params are the parameters of a request by their exact names.
type params map[string]string

// parseParams reads a query or a form. Clients leave out the escapes where they
// seem superfluous (raw spaces, colons and slashes), so what is not an escape
// stands for itself. A name that stands twice is refused (RFC 6749 section 3.1):
// two readers could take one value each.
func parseParams(raw string, into params) error {
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, value = unescape(name), unescape(value)
		switch _, twice := into[name]; {
		case !clean(name) || !clean(value):
			return prterr.AADSTS(aadsts.MalformedRequest, "The parameter %s is not valid UTF-8 without zero bytes.", shown(name))
		case twice:
			return prterr.AADSTS(aadsts.MalformedRequest, "The parameter %s stands twice: send it once.", shown(name))
		case len(into) == maxParams:
			return prterr.AADSTS(aadsts.MalformedRequest, "The request has more than %d parameters.", maxParams)
		}
		into[name] = value
	}
	return nil
}

// unescape undoes the escapes of forms. What is none is left as it is.
func unescape(s string) string {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			b = append(b, ' ')
		case s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			b = append(b, hexValue(s[i+1])<<4|hexValue(s[i+2]))
			i += 2
		default:
			b = append(b, s[i])
		}
	}
	return string(b)
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func hexValue(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&^0x20 - 'A' + 10
}

// shown is a parameter's name as it may stand in a message: of a stranger's text
// only what looks like a name.
func shown(name string) string {
	for i := range len(name) {
		c := name[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-' || c == '.') {
			return "(unnamed)"
		}
	}
	if name == "" || len(name) > 40 {
		return "(unnamed)"
	}
	return name
}

// body reads the body, bounded.
func (x *exchange) body() ([]byte, error) {
	b, err := io.ReadAll(http.MaxBytesReader(x.w, x.r.Body, maxBody))
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return nil, &tooLarge{cause: prterr.AADSTS(aadsts.MalformedRequest, "The body is longer than %d bytes.", maxBody)}
	}
	if err != nil {
		return nil, prterr.AADSTS(aadsts.MalformedRequest, "The body ended before its announced end.")
	}
	return b, nil
}

// tooLarge is an error whose status on the wire is 413.
type tooLarge struct{ cause *prterr.Error }

func (e *tooLarge) Error() string { return e.cause.Error() }

func (e *tooLarge) Unwrap() error { return e.cause }

// form reads the body as a form, whatever its Content-Type says: some clients
// send none.
func (x *exchange) form() (params, error) {
	b, err := x.body()
	if err != nil {
		return nil, err
	}
	p := params{}
	return p, parseParams(string(b), p)
}

// query reads the parameters of the address.
func (x *exchange) query() (params, error) {
	p := params{}
	return p, parseParams(x.r.URL.RawQuery, p)
}

// both reads address and body; a name in both stands twice.
func (x *exchange) both() (params, error) {
	p, err := x.query()
	if err != nil || x.r.Method != http.MethodPost {
		return p, err
	}
	b, err := x.body()
	if err != nil {
		return nil, err
	}
	return p, parseParams(string(b), p)
}

// isJSON reports whether the client says that the body is JSON.
func (x *exchange) isJSON() bool {
	return strings.HasPrefix(strings.ToLower(strings.TrimSpace(x.r.Header.Get("Content-Type"))), "application/json")
}

// object reads the body as one strict JSON object: bounded, no name twice, not
// deep.
func (x *exchange) object(into any) error {
	b, err := x.body()
	if err != nil {
		return err
	}
	if err := jose.DecodeObject(b, into); err != nil {
		return prterr.AADSTS(aadsts.MalformedRequest, "The body is not right: %v.", err)
	}
	return nil
}
