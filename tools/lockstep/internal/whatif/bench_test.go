package whatif_test

import (
	"testing"

	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/whatif"
)

// BenchmarkLattice runs the lattice of the embedded people on two device states; cells/s
// is what there is of it in a second, devices and Windows Hello made beforehand.
func BenchmarkLattice(b *testing.B) {
	for name, n := range map[string]whatif.Narrow{
		"all":     {},
		"native":  {Modes: []whatif.Mode{whatif.Native}},
		"browser": {Modes: []whatif.Mode{whatif.Browser}},
		"private": {Modes: []whatif.Mode{whatif.Private}},
	} {
		b.Run(name, func(b *testing.B) {
			n.Devices = []whatif.DeviceState{whatif.Joined, whatif.JoinedCompliant}
			w := world(b, whatif.Config{})
			under(b, w, "none", n) // makes devices and keys
			b.ResetTimer()
			cells := 0
			for range b.N {
				cells += len(under(b, w, "passwordless-windows-and-mfa", n))
			}
			b.ReportMetric(float64(cells)/b.Elapsed().Seconds(), "cells/s")
			b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(cells), "ms/cell")
		})
	}
}
