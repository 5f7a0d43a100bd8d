package flows

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/lockstep-sso/lockstep/pkg/scrape"
)

// meters are what the components of a script's lab count, by their keys.
type meters struct {
	mu    sync.Mutex
	texts map[string]http.Handler
}

func (m *meters) reader(key string) (sdkmetric.Reader, error) {
	r, text, err := scrape.Prometheus()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.texts[key] = text
	return r, err
}

// metered carries out the command that reads metrics.
func (r *Runner) metered(ctx context.Context, command string, arg map[string]string) (string, bool) {
	if command != "metrics" { // metrics component=lsa-cloudap
		return "", false
	}
	if r.meters == nil {
		return failure(fmt.Errorf("nobody collects metrics: begin the script with lab metrics")), true
	}
	key := arg["component"]
	if key != "idp" && key != "adfs" {
		key = r.device.Key(key)
	}
	r.meters.mu.Lock()
	text := r.meters.texts[key]
	r.meters.mu.Unlock()
	if text == nil {
		return failure(fmt.Errorf("there is no component %.80q here", arg["component"])), true
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scrape.Path, nil)
	if err != nil {
		return failure(err), true
	}
	var answer page
	text.ServeHTTP(&answer, req)
	return counted(answer.String()), true
}

// page is an answer that is read here.
type page struct{ strings.Builder }

func (*page) Header() http.Header { return http.Header{} }
func (*page) WriteHeader(int)     {}

// counted are the counters of Prometheus' text with their values, and the names of what
// was measured: how long something took is another at each run.
func counted(text string) string {
	var all []string
	for line := range strings.Lines(text) {
		series, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		name, labels, labelled := strings.Cut(series, "{")
		if labelled {
			labels = "{" + labels
		}
		measured, isMeasured := strings.CutSuffix(name, "_count")
		switch {
		case strings.HasPrefix(line, "#"):
		case strings.HasSuffix(name, "_total"):
			all = append(all, series+" "+value)
		case isMeasured:
			all = append(all, measured+labels+" is measured")
		}
	}
	if len(all) == 0 {
		return "nothing is counted yet\n"
	}
	slices.Sort(all)
	return strings.Join(all, "\n") + "\n"
}
