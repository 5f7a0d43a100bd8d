// Package prtmeter counts what becomes of PRTs on a device.
//
// What lives here: the instruments of whoever is the authority of a PRT, lsa-cloudap on
// joined devices and wam-broker on registered ones, so that both count under the same
// names. What never may: a label that says whose PRT it was, or which. An error is
// counted by its kind alone.
package prtmeter

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/lockstep-sso/lockstep/pkg/obs"
)

const instrumentation = "github.com/lockstep-sso/lockstep/pkg/authority/prtmeter"

// Meter has the instruments; a nil one counts nothing. It is safe for concurrent use.
type Meter struct {
	acquisitions, renewals, unlocks metric.Int64Counter
	age                             metric.Float64Histogram
}

// ages are the borders of the ages, in seconds: a PRT is renewed each 4 hours and lives
// for 14 days, so what is beyond the first few is a renewal that came late.
func ages() []float64 {
	const hour, day = 3600, 24 * 3600
	return []float64{hour, 2 * hour, 4 * hour, 5 * hour, 8 * hour, 12 * hour, day, 2 * day, 4 * day, 7 * day, 14 * day}
}

// New makes the instruments; a nil provider records nothing.
func New(mp metric.MeterProvider) (*Meter, error) {
	m := obs.MeterOr(mp).Meter(instrumentation)
	var made Meter
	var err error
	count := func(into *metric.Int64Counter, name, unit, about string) {
		if err == nil {
			*into, err = m.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(about))
		}
	}
	count(&made.acquisitions, "prt.acquisitions", "{attempt}", "Attempts to obtain a PRT with a credential, by how they ended.")
	count(&made.renewals, "prt.renewals", "{attempt}", "Attempts to renew a PRT, by how they ended.")
	count(&made.unlocks, "prt.data_key.unlocks", "{attempt}", "Attempts to unlock the data-protection key of a user, by how they ended.")
	if err == nil {
		made.age, err = m.Float64Histogram("prt.renewal.age", metric.WithUnit("s"),
			metric.WithDescription("Age of the PRT when an attempt to renew it ended."), metric.WithExplicitBucketBoundaries(ages()...))
	}
	if err != nil {
		return nil, fmt.Errorf("metrics of PRTs: %w", err)
	}
	return &made, nil
}

// Acquired counts an attempt to obtain a PRT. The credential is a word of obs.CredentialKey.
func (m *Meter) Acquired(ctx context.Context, credential string, err error) {
	if m == nil {
		return
	}
	m.acquisitions.Add(ctx, 1, obs.Ended(err, obs.CredentialKey.String(credential)))
}

// Renewed counts an attempt to renew one of an age.
func (m *Meter) Renewed(ctx context.Context, credential string, age time.Duration, err error) {
	if m == nil {
		return
	}
	m.renewals.Add(ctx, 1, obs.Ended(err, obs.CredentialKey.String(credential)))
	m.age.Record(ctx, age.Seconds(), obs.Ended(err))
}

// Unlocked counts an attempt to unlock a data-protection key.
func (m *Meter) Unlocked(ctx context.Context, err error) {
	if m != nil {
		m.unlocks.Add(ctx, 1, obs.Ended(err))
	}
}
