package httpsfront

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/fault"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

// Can says why a rule can break nothing here; nil is that it can.
func (f *Front) Can(r fault.Rule) error {
	switch r.Action {
	case fault.TPM, fault.OtherDevice, fault.Reorder:
		return fmt.Errorf("over HTTPS nothing can be broken by %s", r.Action)
	default:
	}
	for _, c := range r.When {
		if c.Word == fault.WordCaller {
			return fmt.Errorf("over HTTPS nobody says who calls, so %s never holds: name a (path ...) or a (method ...)", c)
		}
	}
	return nil
}

// broken does what a rule says in place of handing on; false is no answer at all.
func (r request) broken(ctx context.Context, s fault.Strike) (answer, bool) {
	switch s.Rule.Action {
	case fault.Unavailable:
		return plain(http.StatusServiceUnavailable, "nobody is there"), true
	case fault.Drop:
		<-ctx.Done()
		return answer{}, false
	case fault.ExecuteThenTimeout:
		r.hand(ctx) // what came of it is what the sender does not learn
		return plain(http.StatusGatewayTimeout, "the answer did not come in time"), true
	case fault.Duplicate:
		r.hand(ctx)
		return r.hand(ctx), true
	case fault.Corrupt:
		return r.corrupted(ctx, s), true
	case fault.Answer:
		return r.refusal(s.Rule), true
	case fault.Throttle:
		a := r.inWords(aadsts.Throttled, http.StatusTooManyRequests, "")
		a.header.Set("Retry-After", strconv.Itoa(int(s.Rule.Duration/time.Second)))
		return a, true
	default: // the other front's
		return r.hand(ctx), true
	}
}

// refusal is the answer that a rule wants, as Entra gives it.
func (r request) refusal(rule fault.Rule) answer {
	if rule.Code != 0 {
		row, _ := aadsts.Lookup(rule.Code)
		return r.inWords(rule.Code, row.HTTPStatus, "")
	}
	const words = "a rule of the laboratory answers so"
	switch rule.Kind {
	case prterr.Internal:
		return plain(http.StatusInternalServerError, words)
	case prterr.Deadline:
		return plain(http.StatusGatewayTimeout, words)
	case prterr.Unavailable, prterr.TPMFailed, prterr.KeysLost:
		return r.inWords(aadsts.ExternalRetryable, http.StatusServiceUnavailable, words)
	case prterr.Exhausted:
		return r.inWords(aadsts.Throttled, http.StatusTooManyRequests, words)
	case prterr.Unauthenticated:
		return r.inWords(aadsts.InvalidGrant, http.StatusUnauthorized, words)
	case prterr.Interaction:
		return r.inWords(aadsts.GrantNeedsInteraction, http.StatusBadRequest, words)
	case prterr.Denied:
		return r.inWords(aadsts.InvalidGrant, http.StatusBadRequest, words)
	default:
		return r.inWords(aadsts.InvalidRequest, http.StatusBadRequest, words)
	}
}

// inWords is an error in Entra's OAuth form (RFC 6749 section 5.2 with Entra's members), or
// in that of device registration, where a code leads the message.
func (r request) inWords(code aadsts.Code, status int, message string) answer {
	row, _ := aadsts.Lookup(code)
	if message == "" {
		message = row.Meaning
	}
	id, at := uuid.NewString(), r.front.cfg.Clock.Now().UTC().Format("2006-01-02 15:04:05Z")
	text := fmt.Sprintf("%v: %s", code, message)
	var doc map[string]any
	if strings.HasPrefix(r.Host, "enterpriseregistration.") {
		doc = map[string]any{"code": "invalid_request", "subcode": "error_" + row.Name, "message": text, "operation": "Fault", "requestid": id, "time": at}
	} else {
		oauth, sub := row.OAuthError, row.SubError
		if !strings.Contains(r.URL.Path, "/v2.0/") {
			oauth, sub = row.V1()
		}
		doc = map[string]any{
			"error": oauth, "error_codes": []int{int(code)}, "timestamp": at, "trace_id": id, "correlation_id": r.Header.Get("Client-Request-Id"),
			"error_description": text + "\r\nTrace ID: " + id + "\r\nTimestamp: " + at,
			"error_uri":         "https://" + r.Host + "/error?code=" + strconv.Itoa(int(code)),
		}
		if sub != "" {
			doc["suberror"] = sub
		}
	}
	b, err := json.Marshal(doc)
	if err != nil {
		return plain(http.StatusInternalServerError, "the error cannot be written")
	}
	return answer{status, http.Header{"Content-Type": {jsonType + "; charset=utf-8"}, "Cache-Control": {"no-store"}}, b}
}

// corrupted changes one member of the answer, or one field of the request. What has no such
// member passes as it is.
func (r request) corrupted(ctx context.Context, s fault.Strike) answer {
	if s.Rule.Request {
		if form := r.form(); form.Get(s.Rule.Field) != "" {
			form.Set(s.Rule.Field, bent(form.Get(s.Rule.Field), s.Draw))
			r.body = []byte(form.Encode())
		} else if b, ok := bend(r.body, s.Rule.Field, s.Draw); ok {
			r.body = b
		}
		return r.hand(ctx)
	}
	a := r.hand(ctx)
	if a.status >= http.StatusBadRequest {
		return a
	}
	b, ok := bend(a.body, s.Rule.Field, s.Draw)
	switch {
	case ok:
		a.body = b
	case s.Rule.Field == "answer" && !json.Valid(a.body): // it is one encrypted token as a whole
		a.body = []byte(bent(string(a.body), s.Draw))
	default:
		r.front.cfg.Log.WarnContext(ctx, "nothing to corrupt: the answer has no such member", "rule", s.Rule.String(), "path", r.URL.Path)
	}
	return a
}

// bend changes the member at a path of a document, names with dots between.
func bend(doc []byte, path string, draw uint64) ([]byte, bool) {
	var m map[string]any
	if json.Unmarshal(doc, &m) != nil {
		return nil, false
	}
	at, names := m, strings.Split(path, ".")
	for _, n := range names[:len(names)-1] {
		next, ok := at[n].(map[string]any)
		if !ok {
			return nil, false
		}
		at = next
	}
	last := names[len(names)-1]
	switch v := at[last].(type) {
	case string:
		at[last] = bent(v, draw)
	case float64:
		at[last] = v + 1 + float64(draw%1000)
	case bool:
		at[last] = !v
	default:
		return nil, false
	}
	b, err := json.Marshal(m)
	return b, err == nil
}

// bent is a text with one letter or digit changed; one that has none gets one more.
func bent(s string, draw uint64) string {
	b := []byte(s)
	for i := range b {
		at := (int(draw%uint64(len(b))) + i) % len(b)
		switch c := b[at]; {
		case c == 'A':
			b[at] = 'B'
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
			b[at] = 'A'
		default:
			continue
		}
		return string(b)
	}
	return s + "A"
}
