// Package attestation judges whether the keys of a device live in one TPM, and
// whose TPM that is.
//
// What lives here: the challenge that only the TPM of an endorsement key can open
// (TPM 2.0 Part 1, 24), the check of that key's certificate, and the check of what
// the attestation key then states of the device's keys (TPM2_Certify). What never
// may: a TPM, a private key, memory of a challenge; a challenge holds all that is
// needed to check its answer, sealed. The structures are go-tpm's, and nothing here
// sends a command. The registration room asks before it registers keys.
//
// What a statement that verifies proves: the attestation key is restricted, so it
// signs only what its TPM says; its name is in the credential, so it is in the TPM
// that opened it; and that TPM holds the endorsement key.
package attestation

import (
	"fmt"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// Bounds of what comes from outside, in bytes. A TPM's own structures for the keys
// in question are less than half of it.
const (
	maxStructure   = 1 << 10
	maxCertificate = 4 << 10
	maxChallenge   = 4 << 10
)

// Sealer seals and opens; the issuance room is one.
type Sealer interface {
	SealState(plain []byte) secret.Text
	OpenState(text secret.Text) ([]byte, error)
}

// Config of the room.
type Config struct {
	// Sealer keeps challenges from being made or read outside. It must be there.
	Sealer Sealer
	// Clock tells the time, which bounds challenges and certificates.
	Clock clock.Clock
	// Makers of TPMs whom every tenant trusts beside its own; empty for a
	// provider that matters.
	Makers []tenant.Maker
}

// Service judges attestations. It is safe for concurrent use and keeps nothing.
type Service struct {
	sealer Sealer
	clock  clock.Clock
	makers []trusted
}

// New makes the service.
func New(cfg Config) (*Service, error) {
	if cfg.Sealer == nil {
		return nil, fmt.Errorf("attestation: Sealer is missing")
	}
	return &Service{sealer: cfg.Sealer, clock: clock.Or(cfg.Clock), makers: trust(cfg.Makers)}, nil
}

// Reason is what exactly is wrong with an attestation, for the log. The device is
// told one text for all of it: who forges one must not learn how far it got.
type Reason string

func (r Reason) Error() string { return string(r) }

func reason(format string, args ...any) Reason { return Reason(fmt.Sprintf(format, args...)) }

// refused is the one error for an attestation that proves nothing.
func refused(why Reason) error {
	return prterr.Wrap(prterr.Invalid, why, "attestation does not prove that the keys live in the TPM of its challenge: ask for another challenge and certify the keys anew")
}
