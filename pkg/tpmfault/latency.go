package tpmfault

import (
	"crypto/rand"
	"encoding/binary"
	"math"
	"time"
)

// The profile of TPMs in the field.
const (
	fieldP50 = 200 * time.Millisecond
	fieldP95 = 600 * time.Millisecond
	// z95 is the normal distribution's 95th percentile in standard deviations.
	z95 = 1.6448536269514722
	// fieldMost cuts the tail.
	fieldMost = 5 * time.Second
)

// fieldLatency draws from a log-normal distribution with those two percentiles.
func fieldLatency() time.Duration {
	var b [8]byte
	_, _ = rand.Read(b[:])                                              // never fails: crypto/rand ends the process instead
	u := (float64(binary.BigEndian.Uint64(b[:])>>11) + 0.5) / (1 << 53) // in (0, 1)
	return quantile(u)
}

func quantile(u float64) time.Duration {
	z := math.Sqrt2 * math.Erfinv(2*u-1)
	sigma := math.Log(float64(fieldP95)/float64(fieldP50)) / z95
	return min(time.Duration(float64(fieldP50)*math.Exp(sigma*z)), fieldMost)
}
