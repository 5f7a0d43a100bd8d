package registration

import (
	"context"
	"errors"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/attestation"
	"github.com/lockstep-sso/lockstep/services/idp/internal/replay"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// proven is what is proven of the keys of a device.
type proven struct {
	protection store.Protection
	// storage is the public area of the storage key that session keys may be wrapped
	// for, or empty.
	storage []byte
}

// Challenge makes a credential that only the TPM of an endorsement key opens, for a
// registration at a tenant, named by its id or a domain. Nothing is kept and nothing
// is logged: anybody may ask, as for a nonce.
func (s *Service) Challenge(name string, k attestation.Keys) (attestation.Challenge, error) {
	home, err := s.gate.Tenants.Named(name)
	if err != nil {
		return attestation.Challenge{}, err
	}
	if home.Tenant == nil {
		return attestation.Challenge{}, prterr.New(prterr.Invalid, "tenant names no tenant in particular: send its id or one of its domains")
	}
	return s.attestations.Challenge(home.Tenant, k)
}

// prove finds out what is proven of the keys of a registration. An attestation that
// is there and wrong refuses the registration everywhere. What is not proven by a
// trusted maker's TPM is refused where the profile demands that.
func (s *Service) prove(ctx context.Context, home *tenant.Tenant, a *attestation.Attestation, k keys, e *signinlog.Event) (proven, error) {
	p := proven{protection: store.ProtectionSoftware}
	if a != nil {
		v, err := s.attestations.Verify(home.ID, *a, k.device, k.transport)
		if err != nil {
			var why attestation.Reason
			if errors.As(err, &why) {
				e.Hidden = string(why)
			}
			return p, err
		}
		if err := s.once(ctx, home, v); err != nil {
			return p, err
		}
		p.protection = v.Protection
		if home.NativeSessionKeys {
			p.storage = v.StorageKey
		}
	}
	e.Protection = string(p.protection)
	if home.Profile.AttestedKeys && !p.protection.Attested() {
		return p, notAttested()
	}
	return p, nil
}

// once lets a challenge be answered one time, where the profile wants that.
func (s *Service) once(ctx context.Context, home *tenant.Tenant, v attestation.Verdict) error {
	if !home.Profile.ChallengeOnce {
		return nil
	}
	first, err := s.gate.Replays.UseOnce(ctx, replay.Digest(v.Use), v.Made, v.Ends)
	if err == nil && !first {
		return prterr.New(prterr.Invalid, "attestation answers a challenge that was answered before: ask for another one")
	}
	return err
}

func notAttested() error {
	return prterr.AADSTS(aadsts.RegistrationNotAllowed, "This tenant takes only devices whose keys are attested by a TPM of a maker it trusts: register with the TPM of the device, and have its maker's root added to the tenant.")
}
