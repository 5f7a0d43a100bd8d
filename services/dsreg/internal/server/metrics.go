package server

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/lockstep-sso/lockstep/pkg/obs"
	"github.com/lockstep-sso/lockstep/services/dsreg/internal/enrol"
)

// Meter counts what the edge saw.
type Meter struct{ recoveries metric.Int64Counter }

// The labels of a recovery: who did it, and what came of it.
const (
	byKey      = attribute.Key("dsreg.recovery.by")
	outcomeKey = attribute.Key("dsreg.recovery.outcome")
)

// NewMeter makes the instruments; a nil provider records nothing.
func NewMeter(mp metric.MeterProvider) (*Meter, error) {
	recoveries, err := obs.MeterOr(mp).Meter("github.com/lockstep-sso/lockstep/services/dsreg").Int64Counter("dsreg.recoveries",
		metric.WithUnit("{attempt}"), metric.WithDescription("Recoveries of lost device keys, by who did it and what came of it."))
	if err != nil {
		return nil, fmt.Errorf("metrics of recoveries: %w", err)
	}
	return &Meter{recoveries}, nil
}

func (m *Meter) recovered(ctx context.Context, by string, o enrol.Outcome, err error) {
	outcome := map[enrol.Outcome]string{
		enrol.NotNeeded: "not_needed", enrol.Recovered: "recovered", enrol.Waiting: "pending", enrol.AdministratorNeeded: "administrator_needed",
	}[o]
	if err != nil {
		outcome = "failed"
	}
	m.recoveries.Add(ctx, 1, obs.Ended(err, byKey.String(by), outcomeKey.String(outcome)))
}
