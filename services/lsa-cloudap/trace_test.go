package lsacloudap_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/sdk/trace"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/step"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
)

// ended are the spans so far, in the order in which they began.
func (w *world) ended() []trace.ReadOnlySpan {
	synctest.Wait()
	spans := w.spans.Ended()
	slices.SortStableFunc(spans, func(a, b trace.ReadOnlySpan) int { return a.StartTime().Compare(b.StartTime()) })
	return spans
}

// ladder is the set of rows of one flow in a trace, each with its count.
func ladder(spans []trace.ReadOnlySpan, flow step.Flow) map[string]int {
	rows := map[string]int{}
	for _, s := range spans {
		row, inFlow := "", false
		for _, a := range s.Attributes() {
			switch a.Key {
			case step.FlowKey:
				inFlow = a.Value.AsString() == string(flow)
			case step.StepKey:
				row = a.Value.AsString()
			}
		}
		if inFlow {
			rows[row[strings.LastIndex(row, "_")+1:]]++
		}
	}
	return rows
}

func sameTrace(t *testing.T, spans []trace.ReadOnlySpan) {
	t.Helper()
	for _, s := range spans {
		if s.SpanContext().TraceID() != spans[0].SpanContext().TraceID() {
			t.Errorf("span %q is in another trace", s.Name())
		}
	}
}

func TestISS01_OneTraceShowsTheFourHops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start().signIn(alice)
		spans := w.ended()
		sameTrace(t, spans)
		byID := map[string]trace.ReadOnlySpan{}
		var hop trace.ReadOnlySpan
		for _, s := range spans {
			byID[s.SpanContext().SpanID().String()] = s
			if strings.Contains(s.Name(), "PluginService/AuthenticateUser") && s.SpanKind().String() == "server" {
				hop = s
			}
		}
		var path []string
		for hop != nil {
			path = append(path, fmt.Sprintf("%s %s", hop.SpanKind(), hop.Name()))
			hop = byID[hop.Parent().SpanID().String()]
		}
		slices.Reverse(path)
		want := []string{
			"client prt.lsa.v1.LogonService/LogonUser",
			"server A hand over the credentials through LSA and CloudAP",
			"internal CloudAP",
			"client prt.cloudap.v1.PluginService/AuthenticateUser",
			"server prt.cloudap.v1.PluginService/AuthenticateUser",
		}
		if !slices.Equal(path, want) {
			t.Errorf("hops:\n%s", strings.Join(path, "\n"))
		}
		if rows := ladder(spans, step.FirstSignIn); fmt.Sprint(rows) != "map[A:1 B:1 C:1 D:1 E:1 F:1]" {
			t.Errorf("rows %v", rows)
		}
	})
}

func TestREN02_OneTraceShowsTheRenewalAndTheDesktopOpensFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		m.logoff(m.signIn(alice).GetLogonSession())
		time.Sleep(5 * time.Hour)
		w.idp.set(func(f *faults) { f.slow = time.Second })
		synctest.Wait()
		w.spans.Reset()
		m.signIn(alice)
		time.Sleep(time.Minute)
		spans := w.ended()
		sameTrace(t, spans)
		if rows := ladder(spans, step.Renewal); fmt.Sprint(rows) != "map[A:1 B:1 C:1 D:1 E:1 F:1 G:1]" {
			t.Errorf("rows %v", rows)
		}
		var opened, renewed time.Time
		for _, s := range spans {
			if strings.HasPrefix(s.Name(), "A ") {
				opened = s.EndTime()
			}
			if strings.HasPrefix(s.Name(), "G ") {
				renewed = s.EndTime()
			}
		}
		if !opened.Before(renewed) {
			t.Errorf("desktop at %v, renewal at %v", opened, renewed)
		}
	})
}

func TestARenewalOnTheClockHasATraceOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start().signIn(alice)
		synctest.Wait()
		w.spans.Reset()
		time.Sleep(4 * time.Hour)
		spans := w.ended()
		sameTrace(t, spans)
		if rows := ladder(spans, step.Renewal); fmt.Sprint(rows) != "map[B:1 C:1 D:1 E:1 F:1 G:1]" {
			t.Errorf("rows %v", rows)
		}
	})
}

func TestAPP08_ValidationIsPartOfStepD(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		session := m.signIn(alice).GetLogonSession()
		var r request
		signed, err := m.sign(session)
		if err != nil || !readToken(signed, &r) {
			t.Fatal(err)
		}
		w.idp.mu.Lock()
		offered := w.idp.mint(aliceID, r.Key)
		w.idp.mu.Unlock()
		synctest.Wait()
		w.spans.Reset()
		_, err = m.tokens.OfferPRT(step.In(t.Context(), step.AppToken), &authorityv1.OfferPRTRequest{LogonSession: session, Prt: offered, ExpiresIn: 3600})
		spans := w.ended()
		sameTrace(t, spans)
		if rows := ladder(spans, step.AppToken); err != nil || len(rows) != 0 {
			t.Errorf("the validation shows as rows %v, %v", rows, err)
		}
	})
}

func TestISS01_ThePasswordIsInNoSpanLogOrError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		var errs []error
		try := func(upn string) {
			if _, err := m.try(upn, password); err != nil {
				errs = append(errs, err)
			}
		}
		w.idp.password = "another" // the provider's error quotes what it got
		try(alice)
		w.idp.password = password
		try(alice)
		try(ada)
		w.idp.password = "another"
		time.Sleep(5 * time.Hour) // a renewal that the provider refuses
		try(alice)
		synctest.Wait()
		s, err := m.cookies.CreatePRTCookie(t.Context(), &authorityv1.CreatePRTCookieRequest{LogonSession: "x", SignInUri: "https://" + password})
		if err == nil {
			t.Errorf("got a cookie: %v", s)
		}
		errs = append(errs, err)
		if len(errs) != 2 || prterr.KindOf(errs[0]) != prterr.Unauthenticated {
			t.Errorf("errors %v", errs)
		}
		seen := w.logged() + fmt.Sprint(errs) + m.stateText()
		for _, sp := range w.ended() {
			seen += fmt.Sprintln(sp.Name(), sp.Attributes(), sp.Events())
			// The span of the very call that the provider answered keeps its text;
			// that span is pkg/rpc's. From there on it must be gone.
			if text := sp.Status().Description; !strings.HasPrefix(text, "no: ") {
				seen += fmt.Sprintln(text)
			}
		}
		for _, hidden := range []string{password, "1.prt.", "jwe.", "saml:"} {
			if i := strings.Index(seen, hidden); i >= 0 {
				t.Errorf("%q is visible: ...%s...", hidden, seen[max(0, i-200):min(len(seen), i+80)])
			}
		}
	})
}

func (m *machine) stateText() string {
	s, err := m.state.GetSSOState(m.w.t.Context(), nil)
	return fmt.Sprint(s, err)
}
