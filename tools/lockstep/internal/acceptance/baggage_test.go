package acceptance_test

import (
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace/noop"
	"google.golang.org/grpc/metadata"

	"github.com/lockstep-sso/lockstep/pkg/secret"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/actor"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/demo"
)

// planted stands in everything that the relays put beside calls.
const planted = "canary"

// beside is all that somebody may put beside a call and hope that it goes on: baggage with
// and without a flow, the state of a trace, headers of every name.
func beside(component string) metadata.MD {
	return metadata.Pairs(
		"traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "tracestate", planted+"="+component,
		"baggage", planted+"-"+component+"=alice,prt.flow=first_sign_in;"+planted+"=property,user="+planted,
		"x-"+planted, component, "authorization", "Bearer "+planted, "x-b3-traceid", planted, "uber-trace-id", planted,
	)
}

// TestT8_NothingBesideACallGoesOn puts baggage and other things beside each call at every
// border, and looks at all calls that components make thereupon: the ids of the trace and
// the name of one of the flows go on, and nothing else.
func TestT8_NothingBesideACallGoesOn(t *testing.T) {
	r := newRelays(t, beside)
	tracer := noop.NewTracerProvider().Tracer("")
	tenant, people := demo.DefaultTenant(), demo.People()
	operator := actor.Operator{Dsreg: r.dial("operator", "dsreg"), LSA: r.dial("operator", "lsa-cloudap")}
	if _, err := operator.Join(t.Context(), people["frank"].UPN, people["frank"].Password, "DESKTOP"); err != nil {
		t.Fatal(err)
	}
	logonUI := actor.LogonUI{LSA: r.dial("logonui", "lsa-cloudap"), Tracer: tracer}
	// A user of a federated organisation, whose way leads past every component.
	desktop, _, err := logonUI.SignIn(t.Context(), people["carol"].UPN, people["carol"].Password)
	if err != nil {
		t.Fatal(err)
	}
	app := actor.App{Broker: r.dial("app", "wam-broker"), Tracer: tracer, ClientID: tenant.App}
	if _, _, err := app.Token(t.Context(), desktop, tenant.Resource, true); err != nil {
		t.Fatal(err)
	}
	if _, err := authorityv1.NewCookieAuthorityServiceClient(r.dial("browsercore", "lsa-cloudap")).CreatePRTCookie(t.Context(), &authorityv1.CreatePRTCookieRequest{
		LogonSession: desktop.Session.Reveal(), SignInUri: tenant.Page.Authorize + "?sso_nonce=none.of.theirs",
	}); err != nil {
		t.Fatal(err)
	}
	browser := actor.Browser{IdP: r.dial("browser", "idp"), Tracer: tracer, Private: true}
	if _, err := browser.Open(t.Context(), desktop, tenant.Page, secret.Text{}); err != nil {
		t.Fatal(err)
	}

	crossed := map[string]int{}
	for _, c := range r.calls() {
		crossed[c.from+" -> "+c.to]++
		for k, values := range c.beside {
			for _, v := range values {
				if strings.Contains(k+v, planted) || k == "baggage" && !strings.HasPrefix(v, "prt.flow=") {
					t.Errorf("%s -> %s, %s carries %s: %s", c.from, c.to, c.method, k, v)
				}
			}
			switch k {
			case ":authority", "content-type", "user-agent", "grpc-accept-encoding", "traceparent", "baggage":
			default:
				t.Errorf("%s -> %s, %s carries %s, which is none of ours", c.from, c.to, c.method, k)
			}
		}
	}
	for _, edge := range []string{
		"operator -> dsreg", "dsreg -> tpm-agent", "dsreg -> idp", "logonui -> lsa-cloudap", "lsa-cloudap -> tpm-agent", "lsa-cloudap -> dsreg", "lsa-cloudap -> idp",
		"lsa-cloudap -> adfs", "app -> wam-broker", "wam-broker -> lsa-cloudap", "wam-broker -> dsreg", "wam-broker -> idp", "browsercore -> lsa-cloudap", "browser -> idp",
	} {
		if crossed[edge] == 0 {
			t.Errorf("nobody went %s", edge)
		}
	}
}
