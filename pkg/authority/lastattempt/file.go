package lastattempt

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"go.opentelemetry.io/otel/trace"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/authority"
	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/wincode"
)

const (
	version = 1
	// maxText bounds each text of the file, in bytes. What is written is held shorter where it
	// is no message, so that a full book is still a file that can be read (durable.MaxFile).
	maxText = 1 << 10
	maxURI  = 512
	maxWord = 64
)

// file is the JSON form of a book.
type file struct {
	Version  int    `json:"version"`
	Attempts []line `json:"attempts"`
}

// line is one failure.
type line struct {
	What        What        `json:"what"`
	Of          string      `json:"of"`
	At          time.Time   `json:"at"`
	Status      uint32      `json:"status,omitempty"`
	UPN         ids.UPN     `json:"user_principal_name,omitempty"`
	Kind        string      `json:"credential_kind,omitempty"`
	Correlation string      `json:"correlation_id,omitempty"`
	Method      string      `json:"http_method,omitempty"`
	URI         string      `json:"endpoint_uri,omitempty"`
	HTTPStatus  int         `json:"http_status,omitempty"`
	HTTPError   uint32      `json:"http_error,omitempty"`
	ServerError string      `json:"server_error,omitempty"`
	Step        string      `json:"step,omitempty"`
	Code        int         `json:"aadsts,omitempty"`
	ErrorKind   prterr.Kind `json:"error_kind"`
	Message     string      `json:"message,omitempty"`
}

func encode(all map[Name]authority.Attempt) ([]byte, error) {
	f := file{Version: version}
	names := slices.SortedFunc(maps.Keys(all), func(x, y Name) int { return cmp.Or(cmp.Compare(x.What, y.What), cmp.Compare(x.Of, y.Of)) })
	for _, n := range names {
		a := all[n]
		f.Attempts = append(f.Attempts, line{
			What: n.What, Of: n.Of, At: a.At.UTC(), Status: uint32(a.Status), UPN: a.UPN, Kind: a.Kind, Correlation: a.Correlation,
			Method: cut(a.Where.Method, maxWord), URI: cut(a.Where.URI, maxURI), HTTPStatus: a.Where.HTTPStatus, HTTPError: a.Where.HTTPError,
			ServerError: cut(a.Where.ServerError, maxWord), Step: cut(a.Where.Step, maxWord), Code: int(a.Code), ErrorKind: a.ErrorKind, Message: cut(a.Message, maxText),
		})
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false) // six bytes for one
	err := e.Encode(f)
	return out.Bytes(), err
}

// cut bounds a text for the file, and takes from it what JSON needs six bytes for.
func cut(s string, most int) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s[:min(len(s), most)], ""))
}

// decode reads a file as from a stranger. Errors name the member and never quote it.
func decode(data []byte) (map[Name]authority.Attempt, error) {
	var f file
	if err := durable.DecodeJSON(data, &f); err != nil {
		return nil, err
	}
	if f.Version != version {
		return nil, fmt.Errorf("its version is not %d: it was written by another release", version)
	}
	found, count := map[Name]authority.Attempt{}, map[What]int{}
	for _, l := range f.Attempts {
		a, err := l.attempt()
		if err != nil {
			return nil, err
		}
		if count[l.What]++; count[l.What] > Max {
			return nil, errors.New("attempts are too many")
		}
		found[Name{l.What, l.Of}] = a
	}
	return found, nil
}

func (l line) attempt() (authority.Attempt, error) {
	_, noTrace := trace.TraceIDFromHex(l.Correlation)
	_, noUser := ids.ParseUPN(string(l.UPN))
	switch {
	case !slices.Contains([]What{Obtain, Renew, Use}, l.What):
		return authority.Attempt{}, errors.New("what is not known")
	case l.At.IsZero():
		return authority.Attempt{}, errors.New("at is missing")
	case l.UPN != "" && noUser != nil:
		return authority.Attempt{}, errors.New("user_principal_name is malformed")
	case l.Kind != "" && !slices.Contains(authority.Kinds(), l.Kind):
		return authority.Attempt{}, errors.New("credential_kind is not known")
	case l.Correlation != "" && noTrace != nil:
		return authority.Attempt{}, errors.New("correlation_id is not 32 hexadecimal digits")
	case !slices.Contains(prterr.Kinds(), l.ErrorKind):
		return authority.Attempt{}, errors.New("error_kind is not known")
	case l.Code < 0 || l.HTTPStatus < 0 || l.HTTPStatus > 999:
		return authority.Attempt{}, errors.New("aadsts or http_status is out of range")
	}
	for _, s := range []string{l.Of, l.Method, l.URI, l.ServerError, l.Step, l.Message} {
		if len(s) > maxText || !utf8.ValidString(s) {
			return authority.Attempt{}, errors.New("a text is too long or none")
		}
	}
	return authority.Attempt{
		At: l.At, Status: wincode.Code(l.Status), UPN: l.UPN, Kind: l.Kind, Correlation: l.Correlation, Code: aadsts.Code(l.Code), ErrorKind: l.ErrorKind, Message: l.Message,
		Where: prterr.Where{Method: l.Method, URI: l.URI, HTTPStatus: l.HTTPStatus, HTTPError: l.HTTPError, ServerError: l.ServerError, Step: l.Step},
	}, nil
}
