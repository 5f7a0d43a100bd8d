package attestation_test

import (
	"testing"

	"github.com/lockstep-sso/lockstep/services/idp/internal/attestation"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// The goal is 1.4 ms of CPU for what the server does with statements.
func BenchmarkVerify(b *testing.B) {
	x, dk, tk := load(b, "swtpm-rsa.json")
	w := newWorld(b, maker(b, tenant.MakesEmulated, []byte(x.Authority)))
	w.clock.now = x.Made
	a := attestation.Attestation{Challenge: w.Sealed(b, contoso, x.AttestationKey, x.Secret, x.Made), Device: x.Device, Transport: x.Transport, Storage: &x.Storage}
	for b.Loop() {
		if _, err := w.Verify(contoso, a, dk, tk); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkChallenge(b *testing.B) {
	for name := range recorded() {
		b.Run(name, func(b *testing.B) {
			x, _, _ := load(b, name)
			w := newWorld(b, maker(b, tenant.MakesEmulated, []byte(x.Authority)))
			w.clock.now = x.Made
			k := attestation.Keys{EndorsementKey: x.EndorsementKey, EndorsementCertificate: x.EndorsementCertificate, AttestationKey: x.AttestationKey}
			for b.Loop() {
				if _, err := w.Challenge(w.home, k); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
