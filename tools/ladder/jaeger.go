package ladder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/lockstep-sso/lockstep/pkg/step"
)

const (
	// maxAnswer bounds one answer of Jaeger, in bytes; a flow has some 60 KiB.
	maxAnswer = 32 << 20
	// askWithin bounds one question to Jaeger.
	askWithin = 10 * time.Second
	// mostTraces bounds a list.
	mostTraces = 200
)

// Jaeger reads traces from a Jaeger of version 2 over its stable HTTP API,
// /api/v3 (Jaeger documentation, "APIs"). What it answers is checked as a stranger's.
type Jaeger struct {
	base   *url.URL
	client *http.Client
}

// NewJaeger takes the base address of Jaeger's query service, as http://127.0.0.1:16686.
func NewJaeger(base string) (*Jaeger, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.User != nil {
		return nil, fmt.Errorf("%.200q is no address of Jaeger: use one such as http://127.0.0.1:16686", base)
	}
	refuse := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Jaeger{base: u, client: &http.Client{Timeout: askWithin, CheckRedirect: refuse, Transport: &http.Transport{
		MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10,
	}}}, nil
}

// Close ends the connections.
func (j *Jaeger) Close() error {
	j.client.CloseIdleConnections()
	return nil
}

// Spans makes Jaeger a Source. Spans of other traces in the answer are an error.
func (j *Jaeger) Spans(ctx context.Context, id trace.TraceID) ([]Span, error) {
	spans, err := j.ask(ctx, "/api/v3/traces/"+id.String(), url.Values{"raw_traces": {"true"}})
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(spans, func(s Span) bool { return s.Trace != id }) {
		return nil, fmt.Errorf("%w: it has spans of another trace than %s", errForm, id)
	}
	return spans, nil
}

// Found is a trace of a list.
type Found struct {
	ID    trace.TraceID
	Flows []step.Flow
	Spans []Span
}

// Find lists the newest traces in which a service took part, the newest first: those that
// began at most ago before now, and when flow is not empty have a row of it. At most 200
// are looked at.
func (j *Jaeger) Find(ctx context.Context, service string, flow step.Flow, ago time.Duration) ([]Found, error) {
	now := time.Now()
	spans, err := j.ask(ctx, "/api/v3/traces", url.Values{
		"query.service_name": {service}, "query.num_traces": {strconv.Itoa(mostTraces)}, "query.raw_traces": {"true"},
		// The clock of a cluster's node may be a little ahead.
		"query.start_time_min": {now.Add(-ago).UTC().Format(time.RFC3339Nano)}, "query.start_time_max": {now.Add(time.Minute).UTC().Format(time.RFC3339Nano)},
	})
	if err != nil {
		return nil, err
	}
	by := map[trace.TraceID][]Span{}
	for _, s := range spans {
		by[s.Trace] = append(by[s.Trace], s)
	}
	var found []Found
	for id, spans := range by {
		if f := Flows(spans); flow == "" || slices.Contains(f, flow) {
			found = append(found, Found{ID: id, Flows: f, Spans: spans})
		}
	}
	slices.SortFunc(found, func(a, b Found) int { return b.Spans[0].Start.Compare(a.Spans[0].Start) })
	return found, nil
}

// ask reads spans; that there are none is no error.
func (j *Jaeger) ask(ctx context.Context, path string, query url.Values) (_ []Span, err error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	to := j.base.JoinPath(path)
	to.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, to.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := j.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("Jaeger at %s cannot be reached: %w", j.base.Host, err)
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	switch resp.StatusCode {
	case http.StatusOK:
		return readChunks(io.LimitReader(resp.Body, maxAnswer+1))
	case http.StatusNotFound:
		text, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
		if err != nil {
			return nil, err
		}
		// It says so in JSON when it knows the question and has no such trace.
		if !strings.HasPrefix(strings.TrimSpace(string(text)), "{") {
			return nil, fmt.Errorf("%s is no Jaeger with /api/v3: it answers 404", j.base.Host)
		}
		return nil, nil
	default:
		return nil, fmt.Errorf("Jaeger at %s answers with status %d", j.base.Host, resp.StatusCode)
	}
}

// readChunks reads an answer, which is one chunk or, from a gateway that streams, several.
func readChunks(r io.Reader) ([]Span, error) {
	var resources []jsonResource
	counted := &counter{r: r}
	dec := json.NewDecoder(counted)
	for {
		var c jsonChunk
		switch err := dec.Decode(&c); {
		case errors.Is(err, io.EOF):
			return spansOf(resources)
		case counted.n > maxAnswer:
			return nil, fmt.Errorf("%w: it is longer than %d bytes", errForm, maxAnswer)
		case err != nil:
			return nil, fmt.Errorf("%w: %w", errForm, err)
		case c.Error != nil:
			return nil, errors.New("Jaeger could not read the traces: see its log")
		}
		resources = append(resources, c.Result.ResourceSpans...)
	}
}

// counter counts what is read.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
