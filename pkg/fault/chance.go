package fault

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"time"
)

// dice rolls what depends on the seed, the rule and its count alone. It is no source of
// secrets: whoever knows the seed is meant to get the same again.
type dice struct{ seed, rule, nth, rolled uint64 }

func (d *dice) roll() uint64 {
	var b [32]byte
	for i, n := range [...]uint64{d.seed, d.rule, d.nth, d.rolled} {
		binary.BigEndian.PutUint64(b[8*i:], n)
	}
	d.rolled++
	sum := sha256.Sum256(b[:])
	return binary.BigEndian.Uint64(sum[:])
}

// chance is true for so many parts of a million.
func (d *dice) chance(parts int) bool { return share(d.roll()) < float64(parts)/million }

// share is a number from 0 to 1, both left out.
func share(roll uint64) float64 { return (float64(roll>>11) + 0.5) / (1 << 53) }

// The profile of slow machines in the field, and what cuts its tail.
const (
	fieldP50  = 200 * time.Millisecond
	fieldP95  = 600 * time.Millisecond
	fieldMost = 5 * time.Second
	// z95 is the normal distribution's 95th percentile in standard deviations.
	z95 = 1.6448536269514722
)

// fieldDelay is log-normal with those two percentiles.
func fieldDelay(roll uint64) time.Duration {
	z := math.Sqrt2 * math.Erfinv(2*share(roll)-1)
	sigma := math.Log(float64(fieldP95)/float64(fieldP50)) / z95
	return min(time.Duration(float64(fieldP50)*math.Exp(sigma*z)), fieldMost)
}
