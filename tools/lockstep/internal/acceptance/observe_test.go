package acceptance_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	dto "github.com/prometheus/client_model/go"
)

// observed is the folder of the dashboard and the rules.
const observed = "../../../../deploy/observe"

// rules is the file of rules, as far as this test reads it.
type rules struct {
	Groups []struct {
		Name  string
		Rules []struct {
			Record, Alert, Expr, For string
			Labels, Annotations      map[string]string
		}
	}
}

// dashboard is Grafana's, as far as this test reads it.
type dashboard struct {
	Title      string
	Templating struct {
		List []struct{ Name, Query string }
	}
	Panels []struct {
		ID      int
		Title   string
		Targets []struct{ Expr string }
	}
}

// The parts of an expression of PromQL that this test needs.
var ( //nolint:gochecknoglobals // patterns
	grouping = regexp.MustCompile(`\b(?:by|without)\s*\(([^)]*)\)`)
	selector = regexp.MustCompile(`([a-zA-Z_:][a-zA-Z0-9_:]*)\s*\{([^}]*)\}`)
	matcher  = regexp.MustCompile(`([a-zA-Z_]\w*)\s*(=~|!~|!=|=)\s*"([^"]*)"`)
	leftOut  = regexp.MustCompile(`\{[^}]*\}|\[[^\]]*\]|\b(?:by|without)\s*\([^)]*\)`)
	word     = regexp.MustCompile(`([a-zA-Z_:][a-zA-Z0-9_:]*)(\s*\()?`)
)

// names are the metrics that an expression is about.
func names(expr string) (all []string) {
	for _, m := range word.FindAllStringSubmatch(leftOut.ReplaceAllString(expr, " "), -1) {
		if m[2] == "" && !slices.Contains([]string{"and", "or", "unless"}, m[1]) {
			all = append(all, m[1])
		}
	}
	return all
}

// wantObserved reads dashboard and rules: every metric in them is one that the lab
// exported or a rule records, and every label one that such a metric may have.
func wantObserved(t *testing.T, families map[string][]*dto.MetricFamily) {
	t.Helper()
	var r rules
	var d dashboard
	read(t, "rules.yaml", &r)
	read(t, "dashboard.json", &d)
	exprs, recorded := map[string]string{}, map[string]bool{}
	for _, g := range r.Groups {
		for _, rule := range g.Rules {
			recorded[rule.Record] = rule.Record != ""
			exprs[g.Name+": "+rule.Record+rule.Alert] = rule.Expr
		}
	}
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			exprs["panel "+p.Title+": "+target.Expr] = target.Expr
		}
	}
	used := map[string]bool{}
	for where, expr := range exprs {
		found := names(expr)
		if len(found) == 0 {
			t.Errorf("%s is about no metric: %q", where, expr)
		}
		for _, name := range found {
			base := family(families, name)
			used[base] = true
			if base == "" && !recorded[name] {
				t.Errorf("%s: a running lab exports no %s", where, name)
			}
		}
		wantLabels(t, where, expr, families, found)
	}
	for name := range exported() {
		if name != "target_info" && !used[name] {
			t.Errorf("%s is on no panel and in no rule", name)
		}
	}
}

// family is the exported family that a name belongs to, or empty.
func family(families map[string][]*dto.MetricFamily, name string) string {
	if families[name] != nil {
		return name
	}
	for _, suffix := range []string{"_bucket", "_count", "_sum"} {
		base, ok := strings.CutSuffix(name, suffix)
		if ok && families[base] != nil && families[base][0].GetType() == dto.MetricType_HISTOGRAM {
			return base
		}
	}
	return ""
}

// wantLabels checks what an expression groups by and selects.
func wantLabels(t *testing.T, where, expr string, families map[string][]*dto.MetricFamily, found []string) {
	t.Helper()
	for _, g := range grouping.FindAllStringSubmatch(expr, -1) {
		for label := range strings.SplitSeq(g[1], ",") {
			label = strings.TrimSpace(label)
			has := func(name string) bool { return slices.Contains(exported()[family(families, name)], label) }
			if label != "le" && !slices.ContainsFunc(found, has) {
				t.Errorf("%s groups by %s, which none of %v has", where, label, found)
			}
		}
	}
	for _, s := range selector.FindAllStringSubmatch(expr, -1) {
		for _, m := range matcher.FindAllStringSubmatch(s[2], -1) {
			if !slices.Contains(exported()[family(families, s[1])], m[1]) {
				t.Errorf("%s selects by %s, which %s has not", where, m[1], s[1])
			}
			if m[1] == "service_namespace" && m[3] == "$where" {
				continue // the reader's choice among those that there are
			}
			for value := range strings.SplitSeq(m[3], "|") {
				if !slices.Contains(vocabulary()[m[1]], value) {
					t.Errorf("%s selects %s=%q, which there never is", where, m[1], value)
				}
			}
		}
	}
}

func read(t *testing.T, file string, into any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(observed, file))
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(file, ".json") {
		err = json.Unmarshal(b, into)
	} else {
		err = yaml.Unmarshal(b, into)
	}
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// TestOBS12_TheDashboardHasTheFourQuestions: renewal success, latency of the TPM, refused
// nonces and decisions of conditional access each have a panel.
func TestOBS12_TheDashboardHasTheFourQuestions(t *testing.T) {
	var d dashboard
	read(t, "dashboard.json", &d)
	chosen := false
	for _, v := range d.Templating.List {
		chosen = chosen || v.Name == "where" && v.Query == "label_values(target_info, service_namespace)"
	}
	if !chosen {
		t.Error("no variable where, by which the panels choose devices")
	}
	for title, metric := range map[string]string{
		"Renewals by device": "prt_renewals_total", "Renewal success, 30 days": "prt:renewal_success:ratio_30d", "TPM latency, P95 by class of command": "tpm_command_duration_seconds_bucket",
		"Nonces refused": "idp_nonce_refusals_total", "Conditional access decisions": "idp_policy_decisions_total",
	} {
		found := false
		for _, p := range d.Panels {
			for _, target := range p.Targets {
				found = found || p.Title == title && slices.Contains(names(target.Expr), metric)
			}
		}
		if !found {
			t.Errorf("no panel %q is about %s", title, metric)
		}
	}
}
