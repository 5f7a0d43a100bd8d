package ladder_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/lockstep-sso/lockstep/pkg/step"
	"github.com/lockstep-sso/lockstep/tools/ladder"
	"github.com/lockstep-sso/lockstep/tools/ladder/jaegertest"
)

func open(t *testing.T, url string) *ladder.Jaeger {
	t.Helper()
	j, err := ladder.NewJaeger(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j
}

// TestOBS05_TracesComeBackFromJaeger sends a flow to Jaeger and reads the same rows back:
// from the real one, and from that of the other tests, which has to be like it.
func TestOBS05_TracesComeBackFromJaeger(t *testing.T) {
	for name, start := range map[string]func(testing.TB) jaegertest.Jaeger{"in this process": jaegertest.New, "native": jaegertest.Native} {
		t.Run(name, func(t *testing.T) {
			at := start(t)
			j := open(t, at.URL)
			if spans, err := j.Spans(t.Context(), trace.TraceID{1}); err != nil || len(spans) != 0 {
				t.Errorf("a trace that is not there: %v, %v", spans, err)
			}
			if found, err := j.Find(t.Context(), "wam-broker", step.AppToken, time.Hour); err != nil || len(found) != 0 {
				t.Errorf("a list of nothing: %v, %v", found, err)
			}
			rec, first := record(t, "ACDE", at.OTLP)
			_, second := record(t, "ABE", at.OTLP)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			spans, err := ladder.AwaitWhole(ctx, j, first, appToken("ACDE"))
			if err != nil {
				t.Fatal(err)
			}
			if err := ladder.Build(step.AppToken, first, spans, false).Check(appToken("ACDE")); err != nil {
				t.Error(err)
			}
			here := rec.Trace(first)
			for i, s := range spans {
				if s != here[i] && (!s.Start.Equal(here[i].Start) || !s.End.Equal(here[i].End) || s.ID != here[i].ID || s.Parent != here[i].Parent || s.Name != here[i].Name || s.Service != here[i].Service || s.Step != here[i].Step) {
					t.Errorf("span %d is %+v, was %+v", i, s, here[i])
				}
			}
			if _, err := ladder.Await(ctx, j, second, appToken("ABE")); err != nil {
				t.Fatal(err)
			}
			found, err := j.Find(t.Context(), "wam-broker", step.AppToken, time.Hour)
			if err != nil || len(found) != 2 || found[0].ID != second || found[1].ID != first {
				t.Errorf("%v, %v", found, err)
			}
			if found, err := j.Find(t.Context(), "wam-broker", step.Renewal, time.Hour); err != nil || len(found) != 0 {
				t.Errorf("a flow that did not run: %v, %v", found, err)
			}
			if found, err := j.Find(t.Context(), "idp", "", time.Hour); err != nil || len(found) != 0 {
				t.Errorf("a service that took no part: %v, %v", found, err)
			}
		})
	}
}

func TestAwaitSaysWhatIsThereWhenTheRestDoesNotCome(t *testing.T) {
	at := jaegertest.New(t)
	_, id := record(t, "AC", at.OTLP)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	spans, err := ladder.Await(ctx, open(t, at.URL), id, appToken("ACDE"))
	if err == nil || !strings.Contains(err.Error(), "has 3 spans and is not whole") || len(spans) != 3 {
		t.Errorf("%d spans, %v", len(spans), err)
	}
}

// TestJaegersAnswersAreChecked: what a stranger in Jaeger's place answers is refused, and
// never printed.
func TestJaegersAnswersAreChecked(t *testing.T) {
	id := trace.TraceID{0: 7}
	span := func(change string) string {
		fields := `"traceId":"` + id.String() + `","spanId":"0102030405060708","name":"n","startTimeUnixNano":"1","endTimeUnixNano":"2"`
		return `{"result":{"resourceSpans":[{"resource":{},"scopeSpans":[{"spans":[{` + fields + change + `}]}]}]}}`
	}
	long := strings.Repeat("x", 600)
	for name, f := range map[string]struct {
		status     int
		body, want string
	}{
		"honest":             {200, span(""), ""},
		"two chunks":         {200, span("") + span(`,"spanId":"0102030405060709"`), ""},
		"twice":              {200, span("") + span(""), ""},
		"names of enums":     {200, span(`,"kind":"SPAN_KIND_SERVER"`), ""},
		"root of zeros":      {200, span(`,"parentSpanId":"0000000000000000"`), ""},
		"no JSON":            {200, "<html>", "has not the form"},
		"cut off":            {200, span("")[:60], "has not the form"},
		"another trace":      {200, span(`,"traceId":"` + trace.TraceID{0: 8}.String() + `"`), "another trace"},
		"a long name":        {200, span(`,"name":"` + long + `"`), "long name"},
		"a name of controls": {200, span(`,"name":"\u001b[2J"`), "long name"},
		"a bad id":           {200, span(`,"spanId":"zz"`), "spanId"},
		"a bad parent":       {200, span(`,"parentSpanId":"abc"`), "parentSpanId"},
		"a bad time":         {200, span(`,"startTimeUnixNano":"-5"`), "no time"},
		"a late time":        {200, span(`,"endTimeUnixNano":"18446744073709551615"`), "no time"},
		"an error":           {200, `{"error":{"message":"secret words"}}`, "could not read the traces"},
		"too long":           {200, `{"result":{"resourceSpans":[{"x":"` + strings.Repeat("y", 33<<20) + `"}]}}`, "longer than"},
		"status 500":         {500, "secret words", "status 500"},
		"elsewhere":          {302, "", "status 302"},
		"no such page":       {404, "404 page not found", "is no Jaeger"},
		"no such trace":      {404, `{"error":{"httpCode":404,"message":"No traces found"}}`, ""},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(f.status)
			_, _ = w.Write([]byte(f.body))
		}))
		spans, err := open(t, s.URL).Spans(t.Context(), id)
		s.Close()
		if name == "twice" && len(spans) != 1 {
			t.Errorf("a span that came twice is there %d times", len(spans))
		}
		if (err == nil) != (f.want == "") || err != nil && (!strings.Contains(err.Error(), f.want) || strings.Contains(err.Error(), "secret")) {
			t.Errorf("%s: %v, want %q", name, err, f.want)
		}
	}
	for _, bad := range []string{"", "jaeger:16686", "ftp://x", "http://", "http://user@x", "http://x/?a=b"} {
		if _, err := ladder.NewJaeger(bad); err == nil {
			t.Errorf("%q is taken for an address", bad)
		}
	}
	if _, err := open(t, "http://127.0.0.1:1").Spans(t.Context(), id); err == nil || !strings.Contains(err.Error(), "cannot be reached") {
		t.Errorf("nobody there: %v", err)
	}
}

func FuzzJaegerAnswer(f *testing.F) {
	f.Add([]byte(`{"result":{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"00000000000000000000000000000007","spanId":"0102030405060708","startTimeUnixNano":"1","endTimeUnixNano":"2"}]}]}]}}`))
	f.Add([]byte(`{"error":{}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) }))
		defer s.Close()
		j, err := ladder.NewJaeger(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = j.Close() }()
		spans, err := j.Spans(t.Context(), trace.TraceID{15: 7})
		for _, s := range spans {
			if err != nil || s.Trace != (trace.TraceID{15: 7}) || strings.ContainsAny(s.Name+s.Service, "\x1b\n") {
				t.Errorf("%+v, %v", s, err)
			}
		}
	})
}
