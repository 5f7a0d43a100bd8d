package keystore

import (
	"context"
	"errors"
	"time"

	"github.com/google/go-tpm/tpm2"

	"github.com/lockstep-sso/lockstep/pkg/tpmca"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/tpmio"
)

// The defence against guessing that a TPM of the agent's own gets (tpm.md, D13):
// factories set as few as 3 tries, and some TPMs count an unclean stop as one.
const (
	lockoutTries    = 32
	lockoutRecovery = 600 * time.Second
)

// provision sets the defence against guessing on a TPM that the agent has to itself.
// One that others use too is left as its owner set it.
func (p *chip) provision(c *tpmio.Conn) error {
	if !p.private() {
		return nil
	}
	l, err := readLockout(c)
	if err != nil {
		return err
	}
	if l.owned || l.Limit == lockoutTries && l.Recovery == lockoutRecovery {
		return nil
	}
	return c.SetLockoutParameters(nil, lockoutTries, uint32(lockoutRecovery/time.Second), uint32(lockoutRecovery/time.Second))
}

// Lockout is the TPM's count of wrong PINs.
type Lockout struct {
	// Failed are not healed yet; at Limit keys with a PIN are refused. Recovery heals
	// one.
	Failed, Limit uint32
	Recovery      time.Duration
	Locked        bool
	// owned says that somebody has set an authorisation value for the lockout.
	owned bool
}

func readLockout(c *tpmio.Conn) (Lockout, error) {
	var l Lockout
	var recovery, permanent uint32
	for which, into := range map[tpm2.TPMPT]*uint32{
		tpm2.TPMPTLockoutCounter: &l.Failed, tpm2.TPMPTMaxAuthFail: &l.Limit, tpm2.TPMPTLockoutInterval: &recovery,
		tpm2.TPMPTPermanent: &permanent,
	} {
		v, err := tpmca.Property(c, which)
		if err != nil {
			return Lockout{}, err
		}
		*into = v
	}
	const lockoutAuthSet, inLockout = 1 << 2, 1 << 9 // TPMA_PERMANENT
	l.Recovery, l.owned, l.Locked = time.Duration(recovery)*time.Second, permanent&lockoutAuthSet != 0, permanent&inLockout != 0
	return l, nil
}

// close empties the slots and tells the TPM that the stop is a clean one. A TPM
// that does not answer needs neither.
func (p *chip) close(ctx context.Context) error {
	err := p.owner.Do(ctx, func(c *tpmio.Conn) error {
		p.sync(c)
		if p.root == nil {
			return nil
		}
		p.drop(c)
		_, err := tpm2.Shutdown{ShutdownType: tpm2.TPMSUClear}.Execute(c)
		return err
	})
	if errors.As(err, new(*tpmio.LinkError)) {
		return nil
	}
	return tpmio.Named(err, "shut the TPM down")
}
