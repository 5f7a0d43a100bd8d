package ladder

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/trace"

	"github.com/lockstep-sso/lockstep/pkg/step"
	stepv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/step/v1"
)

const (
	// mostSpans is how many spans of one answer are read. The longest flow has some 60.
	mostSpans = 20000
	// mostAttributes is how many attributes of one span are looked at.
	mostAttributes = 200
	// longestName bounds the name of a service or of a span, in bytes.
	longestName = 512
)

// The answer of Jaeger's API v3: OTLP in JSON (OpenTelemetry protocol specification, "JSON
// Protobuf Encoding": ids in hexadecimal, 64-bit numbers as text) in a wrapper, as a stream
// of one element or more. Only what a ladder needs is named.
type (
	jsonChunk struct {
		Result struct {
			ResourceSpans []jsonResource `json:"resourceSpans"`
		} `json:"result"`
		Error *struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	jsonResource struct {
		Resource struct {
			Attributes []jsonAttribute `json:"attributes"`
		} `json:"resource"`
		ScopeSpans []struct {
			Spans []jsonSpan `json:"spans"`
		} `json:"scopeSpans"`
	}
	jsonSpan struct {
		TraceID      string          `json:"traceId"`
		SpanID       string          `json:"spanId"`
		ParentSpanID string          `json:"parentSpanId"`
		Name         string          `json:"name"`
		Kind         jsonEnum        `json:"kind"`
		Start        json.Number     `json:"startTimeUnixNano"`
		End          json.Number     `json:"endTimeUnixNano"`
		Attributes   []jsonAttribute `json:"attributes"`
		Status       struct {
			Code jsonEnum `json:"code"`
		} `json:"status"`
	}
	jsonAttribute struct {
		Key   string `json:"key"`
		Value struct {
			String *string `json:"stringValue"`
		} `json:"value"`
	}
)

// jsonEnum is the value of an enum, which is a number or its name.
type jsonEnum string

// UnmarshalJSON reads both.
func (e *jsonEnum) UnmarshalJSON(b []byte) error {
	*e = jsonEnum(strings.Trim(string(b), `"`))
	return nil
}

func (e jsonEnum) is(number int, name string) bool {
	return string(e) == strconv.Itoa(number) || string(e) == name
}

var errForm = errors.New("the answer has not the form of Jaeger's API v3")

// spansOf reads the resources of an answer; bad names what is not as it should be.
func spansOf(resources []jsonResource) ([]Span, error) {
	var spans []Span
	for _, r := range resources {
		service := attributeOf(r.Resource.Attributes, "service.name")
		if !named(service) {
			return nil, fmt.Errorf("%w: service.name is longer than %d bytes", errForm, longestName)
		}
		for _, scope := range r.ScopeSpans {
			for _, s := range scope.Spans {
				if len(spans) == mostSpans {
					return nil, fmt.Errorf("%w: more than %d spans", errForm, mostSpans)
				}
				one, err := s.span(service)
				if err != nil {
					return nil, err
				}
				spans = append(spans, one)
			}
		}
	}
	// What was sent anew because its answer was lost is there twice.
	type name struct {
		trace trace.TraceID
		span  trace.SpanID
	}
	seen := map[name]bool{}
	spans = slices.DeleteFunc(spans, func(s Span) bool {
		n := name{s.Trace, s.ID}
		again := seen[n]
		seen[n] = true
		return again
	})
	slices.SortStableFunc(spans, func(a, b Span) int { return a.Start.Compare(b.Start) })
	return spans, nil
}

// span reads one span.
func (s jsonSpan) span(service string) (Span, error) {
	out := Span{
		Service: service, Name: s.Name, Server: s.Kind.is(2, "SPAN_KIND_SERVER"),
		Step: stepv1.Step(stepv1.Step_value[attributeOf(s.Attributes, string(step.StepKey))]),
		HTTP: attributeOf(s.Attributes, httpKey) != "",
	}
	if len(s.Attributes) > mostAttributes || !named(s.Name) {
		return out, fmt.Errorf("%w: a span has a long name, or more than %d attributes", errForm, mostAttributes)
	}
	var err error
	if out.Trace, err = trace.TraceIDFromHex(s.TraceID); err != nil {
		return out, fmt.Errorf("%w: traceId: %w", errForm, err)
	}
	if out.ID, err = trace.SpanIDFromHex(s.SpanID); err != nil {
		return out, fmt.Errorf("%w: spanId: %w", errForm, err)
	}
	// A root has no parent, or one of zeros only.
	if err := spanID(&out.Parent, s.ParentSpanID); err != nil {
		return out, fmt.Errorf("%w: parentSpanId: %w", errForm, err)
	}
	if out.Start, err = instant(s.Start); err != nil {
		return out, err
	}
	if out.End, err = instant(s.End); err != nil {
		return out, err
	}
	status := attributeOf(s.Attributes, statusKey)
	out.Failed = s.Status.Code.is(2, "STATUS_CODE_ERROR") || status != "" && status != "OK"
	return out, nil
}

// instant is a number of nanoseconds since 1970 that a clock can have.
func instant(n json.Number) (time.Time, error) {
	ns, err := strconv.ParseUint(n.String(), 10, 64)
	if err != nil || ns > math.MaxInt64 {
		return time.Time{}, fmt.Errorf("%w: %.40q is no time in nanoseconds", errForm, n)
	}
	return time.Unix(0, int64(ns)), nil
}

// named says that a name is short and can be printed on one line.
func named(name string) bool {
	return len(name) <= longestName && utf8.ValidString(name) && !strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f })
}

func attributeOf(attributes []jsonAttribute, key string) string {
	for _, a := range attributes {
		if a.Key == key && a.Value.String != nil {
			return *a.Value.String
		}
	}
	return ""
}
