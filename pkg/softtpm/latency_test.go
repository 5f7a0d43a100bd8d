package softtpm_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/lockstep-sso/lockstep/pkg/softtpm"
)

// The field's figures for signing, and the same sequence for the same seed.
func TestFLT04_FieldLatency(t *testing.T) {
	draw := func(seed uint64) []time.Duration {
		f := softtpm.FieldLatency(seed)
		d := make([]time.Duration, 20_000)
		for i := range d {
			d[i] = f(tpm2.TPMCCSign)
		}
		return d
	}
	d := draw(1)
	if !slices.Equal(d, draw(1)) {
		t.Error("one seed, two sequences")
	}
	if slices.Equal(d, draw(2)) {
		t.Error("two seeds, one sequence")
	}
	slices.Sort(d)
	for _, v := range []struct {
		at   int // per mille
		want time.Duration
	}{{500, 200 * time.Millisecond}, {950, 600 * time.Millisecond}} {
		if got := d[len(d)*v.at/1000]; got < v.want*95/100 || got > v.want*105/100 {
			t.Errorf("P%d is %v, want %v", v.at/10, got, v.want)
		}
	}
	if d[0] <= 0 || d[len(d)-1] > 5*time.Second {
		t.Errorf("from %v to %v", d[0], d[len(d)-1])
	}
	if n := softtpm.FieldLatency(1)(tpm2.TPMCCGetRandom); n != 0 {
		t.Errorf("GetRandom takes %v", n)
	}
}

// A slow TPM sleeps once for each command that succeeds, and refuses at once.
func TestLatency(t *testing.T) {
	var slept []time.Duration
	tpm := newTPM(t, softtpm.Config{
		Latency: func(cc tpm2.TPMCC) time.Duration {
			if cc == tpm2.TPMCCHMAC {
				return 3 * time.Hour
			}
			return 0
		},
		Sleep: func(d time.Duration) { slept = append(slept, d) },
	})
	k := made(t, tpm, srk(t, tpm), skTemplate(true), "", span(0, 32))
	must[[]byte](t)(hmacOf(tpm, k.auth(), nil))
	_, err := hmacOf(tpm, k.pw("wrong"), nil)
	wantRC(t, "wrong value", err, 0x9a2)
	if !slices.Equal(slept, []time.Duration{3 * time.Hour}) {
		t.Errorf("slept %v", slept)
	}
}
