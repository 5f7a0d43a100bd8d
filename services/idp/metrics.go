package idp

import (
	"context"
	"fmt"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/lockstep-sso/lockstep/pkg/obs"
	"github.com/lockstep-sso/lockstep/services/idp/internal/nonce"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
)

// The labels: why a nonce was refused, and what the policies said.
const (
	reasonKey   = attribute.Key("idp.nonce.reason")
	decisionKey = attribute.Key("idp.policy.decision")
)

// meter counts what the identity provider decides, never for whom.
type meter struct{ refusals, decisions, reports metric.Int64Counter }

func newMeter(mp metric.MeterProvider) (meter, error) {
	at := obs.MeterOr(mp).Meter("github.com/lockstep-sso/lockstep/services/idp")
	var m meter
	for _, c := range []struct {
		into              *metric.Int64Counter
		name, unit, about string
	}{
		{&m.refusals, "idp.nonce.refusals", "{nonce}", "Nonces that were refused, by the reason, which the client is not told."},
		{&m.decisions, "idp.policy.decisions", "{decision}", "Conditional access: what all policies in force said together of a sign-in."},
		{&m.reports, "idp.policy.reports", "{result}", "Conditional access: what a policy in report-only mode would have said of a sign-in."},
	} {
		var err error
		if *c.into, err = at.Int64Counter(c.name, metric.WithUnit(c.unit), metric.WithDescription(c.about)); err != nil {
			return meter{}, fmt.Errorf("metrics: %w", err)
		}
	}
	return m, nil
}

// refused counts a nonce.
func (m meter) refused(r nonce.Reason) {
	m.refusals.Add(context.Background(), 1, metric.WithAttributes(reasonKey.String(string(r))))
}

// noted counts what the policies said of a sign-in. Each that is written down counts once,
// however often they were asked on the way.
func (m meter) noted(e signinlog.Event) {
	if e.Decision == "" {
		return
	}
	ctx := context.Background()
	m.decisions.Add(ctx, 1, metric.WithAttributes(decisionKey.String(string(e.Decision))))
	for _, p := range e.Policies {
		said := strings.TrimPrefix(p.Result, "reportOnly")
		if said == p.Result || said == "NotApplied" {
			continue
		}
		m.reports.Add(ctx, 1, metric.WithAttributes(decisionKey.String(reportWord(said))))
	}
}

// reportWord is what a policy would have decided, in the words of decisions.
func reportWord(said string) string {
	switch said {
	case "Success":
		return string(signinlog.Grant)
	case "Interrupted":
		return string(signinlog.Interact)
	default:
		return string(signinlog.Block)
	}
}

// sinks has a second one of the sign-in log told after the first, unless it is nil.
func sinks(first, second func(signinlog.Event)) func(signinlog.Event) {
	return func(e signinlog.Event) {
		first(e)
		if second != nil {
			second(e)
		}
	}
}
