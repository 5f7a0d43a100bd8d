package acceptance_test

import (
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"

	"github.com/lockstep-sso/lockstep/pkg/secret"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// services are those that a trace went through, each once.
func (w *world) services(id trace.TraceID) []string {
	w.t.Helper()
	if err := w.lab.Recorder().AwaitIdle(w.t.Context(), id); err != nil {
		w.t.Fatal(err)
	}
	var all []string
	for _, s := range w.lab.Recorder().Trace(id) {
		all = append(all, s.Service)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// correlations are the Correlation IDs in the sign-in log of the tenant, as the digits of
// a trace id.
func (w *world) correlations() []string {
	w.t.Helper()
	conn, err := w.lab.Dial(w.t.Context(), "operator", "idp")
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := directoryv1.NewReadServiceClient(conn).ListSignIns(w.t.Context(), &directoryv1.ListSignInsRequest{Limit: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	var all []string
	for _, s := range r.GetSignIns() {
		all = append(all, strings.ReplaceAll(s.GetCorrelationId(), "-", ""))
	}
	return all
}

// TestOBS05_OneTraceFromKeyboardToToken: each flow is one trace over all services that
// take part, over both carriers, and its id is the Correlation ID of the sign-in log; that
// of an attempt that failed is the Correlation ID in the status of the device too.
func TestOBS05_OneTraceFromKeyboardToToken(t *testing.T) {
	for name, https := range map[string]bool{"gRPC": false, "HTTPS": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, lab.Config{TPM: "mem:", HTTPS: https})
			w.join(w.device)
			desktop, signIn, err := w.device.LogonUI.SignIn(t.Context(), w.tenant.User, w.tenant.Password)
			if err != nil {
				t.Fatal(err)
			}
			_, token, err := w.device.App(w.tenant.App).Token(t.Context(), desktop, w.tenant.Resource, true)
			if err != nil {
				t.Fatal(err)
			}
			visit, err := w.device.Browser.Open(t.Context(), desktop, w.tenant.Page, secret.Text{})
			if err != nil {
				t.Fatal(err)
			}
			_, refused, err := w.device.LogonUI.SignIn(t.Context(), w.tenant.User, secret.NewText("wrong"))
			if err == nil {
				t.Fatal("a wrong password was taken")
			}
			logged := w.correlations()
			for _, one := range []struct {
				what string
				id   trace.TraceID
				want []string
			}{
				{"first sign-in", signIn, []string{"dsreg", "idp", "logonui", "lsa-cloudap", "tpm-agent"}},
				{"app token", token, []string{"app", "dsreg", "idp", "lsa-cloudap", "tpm-agent", "wam-broker"}},
				{"browser", visit.Trace, []string{"browser", "browsercore", "idp", "lsa-cloudap", "tpm-agent"}},
				{"refused sign-in", refused, []string{"dsreg", "idp", "logonui", "lsa-cloudap", "tpm-agent"}},
			} {
				got := w.services(one.id)
				for _, s := range one.want {
					if s != "browsercore" && !slices.Contains(got, s) {
						t.Errorf("%s: the trace has no span of %s, only of %v", one.what, s, got)
					}
				}
				if !slices.Contains(logged, one.id.String()) {
					t.Errorf("%s: trace %s is no Correlation ID of the sign-in log: %v", one.what, one.id, logged)
				}
			}
			parts, err := w.device.Operator.SSOState(t.Context())
			if err != nil || len(parts) != 1 {
				t.Fatalf("%v, %v", parts, err)
			}
			if got := strings.ReplaceAll(parts[0].GetLastAcquire().GetCorrelationId(), "-", ""); got != refused.String() {
				t.Errorf("the status shows Correlation ID %q, the trace was %s", got, refused)
			}
		})
	}
}
