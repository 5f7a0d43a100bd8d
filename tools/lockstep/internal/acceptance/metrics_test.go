package acceptance_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/lockstep-sso/lockstep/pkg/authority"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/scrape"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// meters are the text endpoints of a lab's components.
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

// scrape reads what all components show, by the name of the family.
func (m *meters) scrape(t *testing.T) map[string][]*dto.MetricFamily {
	t.Helper()
	all := map[string][]*dto.MetricFamily{}
	for key, text := range m.texts {
		answer := httptest.NewRecorder()
		text.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, scrape.Path, nil))
		parser := expfmt.NewTextParser(model.LegacyValidation)
		families, err := parser.TextToMetricFamilies(answer.Body)
		if answer.Code != http.StatusOK || err != nil {
			t.Fatalf("%s: status %d, %v", key, answer.Code, err)
		}
		for name, f := range families {
			all[name] = append(all[name], f)
		}
	}
	return all
}

// vocabulary is every label that may be exported, with every value.
func vocabulary() map[string][]string {
	var kinds []string
	for _, k := range prterr.Kinds() {
		kinds = append(kinds, string(k))
	}
	return map[string][]string{
		// Where a component runs is what the deployment, here the lab, calls the place.
		"service_namespace":      {"cloud", "device-1"},
		"service_instance_id":    {"adfs", "idp", "device-1/dsreg", "device-1/lsa-cloudap", "device-1/tpm-agent", "device-1/wam-broker"},
		"service_name":           {"adfs", "dsreg", "idp", "lsa-cloudap", "tpm-agent", "wam-broker"},
		"prt_result":             {"success", "failure"},
		"prt_credential":         authority.Kinds(),
		"error_type":             kinds,
		"tpm_command_class":      {"make", "use", "load", "session", "storage", "attest", "other"},
		"tpm_response_class":     {"ok", "other", "link", "garbled", "broken", "again", "restarted", "resource", "blob", "user", "lockout", "hierarchy", "ownership", "refused"},
		"dsreg_recovery_by":      {"administrator", "device"},
		"dsreg_recovery_outcome": {"not_needed", "recovered", "pending", "administrator_needed", "failed"},
		"idp_nonce_reason":       {"missing", "malformed", "foreign", "early", "expired", "replayed", "crossed", "undated"},
		"idp_policy_decision":    {"grant", "block", "interaction"},
	}
}

// placed are the labels of every family, which say where a component runs.
func placed() []string { return []string{"service_namespace", "service_instance_id"} }

// exported are the families of the components, each with the labels it may have.
func exported() map[string][]string {
	all := map[string][]string{
		"target_info":                  {"service_name"},
		"prt_acquisitions_total":       {"prt_result", "prt_credential", "error_type"},
		"prt_renewals_total":           {"prt_result", "prt_credential", "error_type"},
		"prt_renewal_age_seconds":      {"prt_result", "error_type"},
		"prt_data_key_unlocks_total":   {"prt_result", "error_type"},
		"tpm_command_duration_seconds": {"tpm_command_class", "tpm_response_class"},
		"dsreg_recoveries_total":       {"dsreg_recovery_by", "dsreg_recovery_outcome", "prt_result", "error_type"},
		"idp_nonce_refusals_total":     {"idp_nonce_reason"},
		"idp_policy_decisions_total":   {"idp_policy_decision"},
		"idp_policy_reports_total":     {"idp_policy_decision"},
	}
	for name := range all {
		all[name] = append(all[name], placed()...)
	}
	return all
}

// fullDay is a day in which something of everything happens.
func fullDay(t *testing.T) map[string][]*dto.MetricFamily {
	t.Helper()
	m := &meters{texts: map[string]http.Handler{}}
	w, wire := tapped(t, lab.Config{TPM: "mem:", MetricReader: m.reader})
	c := &calendar{world: w, day: 1, hour: atNine - time.Hour, password: w.tenant.Password, renews: true}
	if _, err := w.admin().PutPolicy(t.Context(), &directoryv1.PutPolicyRequest{TenantId: "6babcaad-604b-40ac-a9d7-9fd97c0b779f", Policy: &directoryv1.Policy{
		Name: "What if all needed a second factor", State: "report", IncludeUsers: []string{"All"}, IncludeResources: []string{"All"}, Grant: "mfa",
	}}); err != nil {
		t.Fatal(err)
	}
	w.join(w.device)
	if _, _, err := w.device.LogonUI.SignIn(t.Context(), w.tenant.User, secret.NewText("a wrong password")); err == nil {
		t.Fatal("a wrong password signs in")
	}
	c.at(atNine)
	c.logon(false)
	c.mustApp()
	c.mustBrowse()
	old := ""
	for _, e := range wire.took() {
		if e.form.Has("request") {
			old = e.form.Get("request")
		}
	}
	c.at(atFive)
	wire.set(func(form url.Values) { form.Set("request", old) })
	if _, err := w.token(w.device, c.desktop); err == nil {
		t.Fatal("an old request is taken")
	}
	wire.set(nil)
	c.mustApp()
	c.logoff()
	c.lostTPM()
	return m.scrape(t)
}

// TestOBS12_NoLabelSaysWho runs a whole lab day and reads every metric of every component:
// each is known, has been recorded, and has no label and no value that is not on a closed
// list. So no user, address or key is in any.
func TestOBS12_NoLabelSaysWho(t *testing.T) {
	families := fullDay(t)
	for name, fs := range families {
		labels, known := exported()[name]
		if !known {
			t.Errorf("%s is exported, and on no list", name)
		}
		for _, f := range fs {
			for _, m := range f.GetMetric() {
				for _, where := range placed() {
					if !slices.ContainsFunc(m.GetLabel(), func(l *dto.LabelPair) bool { return l.GetName() == where }) {
						t.Errorf("%s does not say where it was counted: no %s", name, where)
					}
				}
				for _, l := range m.GetLabel() {
					if !slices.Contains(labels, l.GetName()) || !slices.Contains(vocabulary()[l.GetName()], l.GetValue()) {
						t.Errorf("%s has the label %s=%q", name, l.GetName(), l.GetValue())
					}
				}
				if h := m.GetHistogram(); h != nil && slices.ContainsFunc(h.GetBucket(), func(b *dto.Bucket) bool { return b.GetExemplar() != nil }) {
					t.Errorf("%s has an exemplar, which ties it to a trace", name)
				}
			}
		}
	}
	for name := range exported() {
		if families[name] == nil {
			t.Errorf("%s is not exported after a whole day", name)
		}
	}
	if t.Failed() {
		t.Log("exported:", strings.Join(slices.Sorted(maps.Keys(families)), " "))
	}
	t.Run("values", func(t *testing.T) { wantCounts(t, families) })
	t.Run("observe", func(t *testing.T) { wantObserved(t, families) })
}

// wantCounts looks for what the day must have counted.
func wantCounts(t *testing.T, families map[string][]*dto.MetricFamily) {
	t.Helper()
	for _, want := range []struct {
		name   string
		labels map[string]string
	}{
		{"prt_acquisitions_total", map[string]string{"prt_result": "success", "prt_credential": "password"}},
		{"prt_acquisitions_total", map[string]string{"prt_result": "failure", "prt_credential": "password", "error_type": "unauthenticated"}},
		{"prt_renewals_total", map[string]string{"prt_result": "success", "prt_credential": "password"}},
		{"prt_data_key_unlocks_total", map[string]string{"prt_result": "success"}},
		{"dsreg_recoveries_total", map[string]string{"dsreg_recovery_by": "administrator", "dsreg_recovery_outcome": "recovered", "prt_result": "success"}},
		{"idp_nonce_refusals_total", map[string]string{"idp_nonce_reason": "expired"}},
		{"idp_policy_decisions_total", map[string]string{"idp_policy_decision": "grant"}},
		{"idp_policy_reports_total", map[string]string{"idp_policy_decision": "interaction"}},
	} {
		if count(families[want.name], want.labels) < 1 {
			t.Errorf("%s%v was not counted", want.name, want.labels)
		}
	}
}

// count adds up the counters with exactly these labels, wherever they are.
func count(fs []*dto.MetricFamily, labels map[string]string) (n float64) {
	for _, f := range fs {
		for _, m := range f.GetMetric() {
			got := map[string]string{}
			for _, l := range m.GetLabel() {
				if !slices.Contains(placed(), l.GetName()) {
					got[l.GetName()] = l.GetValue()
				}
			}
			if maps.Equal(got, labels) {
				n += m.GetCounter().GetValue()
			}
		}
	}
	return n
}
