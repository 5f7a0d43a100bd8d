package wambroker_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/step"
	stepv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/step/v1"
	wamv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/wam/v1"
)

type attr = attribute.KeyValue

// rows are the spans of lettered rows in the order in which they began.
func rows(spans tracetest.SpanStubs) (letters string, names []string) {
	slices.SortStableFunc(spans, func(a, b tracetest.SpanStub) int { return a.StartTime.Compare(b.StartTime) })
	for _, s := range spans {
		if slices.ContainsFunc(s.Attributes, func(a attr) bool { return a.Key == step.StepKey }) {
			letters += s.Name[:1]
			names = append(names, s.Name)
		}
	}
	return letters, names
}

func TestAPP01_TheAppAsksTheBrokerAndThatItsPlugin(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	tp := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
	d := start(t, newWorld(), t.TempDir(), tp)

	d.token(t)
	spans := exporter.GetSpans()
	if got, names := rows(spans); got != "ACDE" {
		t.Errorf("the first token runs rows %s: %q", got, names)
	}
	byName := map[string]tracetest.SpanStub{}
	for _, s := range spans {
		if s.SpanKind.String() != "client" {
			byName[s.Name] = s
		}
	}
	name := func(s stepv1.Step) string { return step.Letter(s) + " " + step.RowOf(s).GetDoes() }
	a, e := byName[name(stepv1.Step_STEP_APP_TOKEN_A)], byName[name(stepv1.Step_STEP_APP_TOKEN_E)]
	plugin := byName["prt.wam.v1.PluginService/GetToken"]
	if !slices.ContainsFunc(a.Attributes, func(kv attr) bool { return kv.Key == "prt.caller" && kv.Value.AsString() == "app" }) {
		t.Errorf("row A does not say who asked: %v", a.Attributes)
	}
	if !plugin.SpanContext.IsValid() || plugin.StartTime.Before(a.StartTime) || plugin.EndTime.After(e.StartTime) {
		t.Error("the plug-in does not run between A and E")
	}
	for _, s := range spans {
		if s.SpanContext.TraceID() != a.SpanContext.TraceID() {
			t.Errorf("span %q is of another trace", s.Name)
		}
	}

	exporter.Reset()
	d.token(t, force)
	if got, names := rows(exporter.GetSpans()); got != "ABE" {
		t.Errorf("the second token runs rows %s: %q", got, names)
	}
	exporter.Reset()
	d.token(t)
	if got, names := rows(exporter.GetSpans()); got != "AE" {
		t.Errorf("a cached token runs rows %s: %q", got, names)
	}
}

func TestAPP05_AnAppWithoutRefreshTokenUsesThePRT(t *testing.T) {
	d := newDevice(t)
	if resp := d.token(t); resp.GetAccessToken() == "" {
		t.Fatal("no access token")
	}
	if len(d.redeemed) != 1 || d.redeemed[0].refresh != "" {
		t.Fatalf("redeemed %+v", d.redeemed)
	}
	if want := "ms-appx-web://Microsoft.AAD.BrokerPlugin/" + outlook; d.redeemed[0].redirect != want {
		t.Errorf("redirect %q, want %q", d.redeemed[0].redirect, want)
	}
	// Another app of the same user has no refresh token either.
	d.token(t, fromNote)
	if d.count("RedeemPRT") != 2 || d.count("RedeemRefreshToken") != 0 {
		t.Errorf("calls %v", d.calls)
	}
}

func TestAPP02_TheSecondTokenUsesTheRefreshToken(t *testing.T) {
	d := newDevice(t)
	d.token(t)
	d.token(t, func(r *wamv1.RequestTokenRequest) { r.Resource = "https://outlook.office.com" })
	if d.count("RedeemPRT") != 1 || d.count("RedeemRefreshToken") != 1 {
		t.Fatalf("calls %v", d.calls)
	}
	if got := d.redeemed[1].refresh; !strings.HasPrefix(got, canaryRT) {
		t.Errorf("the second request holds %q", got)
	}
	// Each answer brings a new refresh token, which takes the place of the old.
	d.token(t, force)
	if d.redeemed[2].refresh == d.redeemed[1].refresh {
		t.Error("the old refresh token was used again")
	}
}

func TestAPP07_TheRefreshTokenIsKeptAndSurvivesARestart(t *testing.T) {
	d := newDevice(t)
	d.token(t)
	d.token(t, force)
	if err := d.service.Close(); err != nil {
		t.Fatal(err)
	}
	again := start(t, d.world, d.dir, nil)
	again.token(t) // the access token was in memory only
	if again.count("RedeemPRT") != 1 || again.count("RedeemRefreshToken") != 2 {
		t.Errorf("the PRT was sent again: calls %v", again.calls)
	}
}

func TestAPP08_ANewPRTGoesDownToTheAuthority(t *testing.T) {
	for name, refuse := range map[string]error{"adopted": nil, "refused": prterr.New(prterr.Denied, "not the user's PRT")} {
		t.Run(name, func(t *testing.T) {
			d := newDevice(t)
			d.set(func(w *world) { w.newPRT = "0.new.prt"; w.refuse["OfferPRT"] = refuse })
			if d.token(t).GetAccessToken() == "" {
				t.Error("no access token")
			}
			if len(d.offers) != 1 || d.offers[0] != "0.new.prt" {
				t.Errorf("offered %q", d.offers)
			}
			d.token(t, force)
			if len(d.offers) != 1 {
				t.Errorf("a refresh token brought a PRT: %q", d.offers)
			}
		})
	}
}

func TestAPP09_TheTokenIsTheOneAskedFor(t *testing.T) {
	d := newDevice(t)
	resp := d.token(t, func(r *wamv1.RequestTokenRequest) {
		r.ClientId = strings.ToUpper(outlook)
		r.RedirectUri = "https://app.contoso.test/cb"
	})
	tok, err := jose.Parse(resp.GetAccessToken())
	if err != nil {
		t.Fatal(err)
	}
	var c struct{ Aud, AppID, Scp, Oid, Tid string }
	if err := tok.Claims(&c); err != nil {
		t.Fatal(err)
	}
	if c.Aud != graph || c.AppID != outlook || c.Scp != resp.GetScope() || c.Oid != resp.GetUserId() || c.Tid != resp.GetTenantId() {
		t.Errorf("claims %+v, answer for user %s, scope %q", c, resp.GetUserId(), resp.GetScope())
	}
	if resp.GetUserPrincipalName() != "alice@contoso.test" || d.redeemed[0].redirect != "https://app.contoso.test/cb" {
		t.Errorf("upn %q, redirect %q", resp.GetUserPrincipalName(), d.redeemed[0].redirect)
	}
}

func TestParallelRequestsMakeOneWay(t *testing.T) {
	d := newDevice(t)
	hold, arrived := make(chan struct{}), make(chan struct{}, 100)
	d.set(func(w *world) { w.hold, w.beforeHold = hold, func() { arrived <- struct{}{} } })
	var wg sync.WaitGroup
	tokens := make([]string, 100)
	for i := range tokens {
		wg.Go(func() {
			resp, err := d.client.RequestToken(t.Context(), ask())
			if err != nil {
				t.Error(err)
				return
			}
			tokens[i] = resp.GetAccessToken()
		})
	}
	<-arrived // one is at the identity provider, the others come to wait or find its token
	close(hold)
	wg.Wait()
	if n := d.count("RedeemPRT") + d.count("RedeemRefreshToken"); n != 1 {
		t.Errorf("%d ways to the identity provider", n)
	}
	for _, tok := range tokens {
		if tok != tokens[0] {
			t.Fatal("two different tokens")
		}
	}
}

func TestACachedTokenCostsNoNetworkAndNoTPM(t *testing.T) {
	d := newDevice(t)
	first := d.token(t)
	d.set(func(w *world) { clear(w.calls) })
	if d.token(t).GetAccessToken() != first.GetAccessToken() {
		t.Error("another token")
	}
	if len(d.calls) != 1 || d.calls["DescribeAccount"] != 1 {
		t.Errorf("calls %v", d.calls)
	}
}
