package keystore

import (
	"context"
	"crypto/rsa"

	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/tpmio"
)

// HelloDescription is what there is for a user.
type HelloDescription struct {
	// Public is nil when there is no key.
	Public *rsa.PublicKey
	// Resettable: a PIN reset service can keep the key.
	Resettable bool
	// Wrong PINs that are not healed yet; at Limit the user is refused.
	Wrong, Limit int
	// The attributes as the TPM keeps them; Protected is the opposite of noDA.
	FixedTPM, SensitiveDataOrigin, Protected bool
}

// DescribeHello tells what there is for a user. The TPM is not asked.
func (s *Store) DescribeHello(u HelloUser) (HelloDescription, error) {
	d := HelloDescription{Limit: userTries}
	set, _, err := s.current()
	if err != nil {
		return d, err
	}
	s.hello.mu.Lock()
	defer s.hello.mu.Unlock()
	k, err := s.readHello(set, u)
	switch kind := prterr.KindOf(err); {
	case err != nil && (kind == prterr.NotFound || kind == prterr.KeysLost):
		return d, nil
	case err != nil:
		return d, err
	}
	k.heal(s.cfg.Clock.Now())
	area, err := k.Key.area()
	if err != nil {
		return d, err
	}
	if d.Public, err = k.Key.rsaKey(); err != nil {
		return d, err
	}
	a := area.ObjectAttributes
	d.Resettable, d.Wrong = !k.Reset.empty(), k.Wrong
	d.FixedTPM, d.SensitiveDataOrigin, d.Protected = a.FixedTPM, a.SensitiveDataOrigin, !a.NoDA
	return d, nil
}

// DeleteHello destroys the Hello key of a user: the destructive PIN reset.
func (s *Store) DeleteHello(ctx context.Context, u HelloUser) error {
	set, p, err := s.current()
	if err != nil {
		return err
	}
	s.hello.mu.Lock()
	defer s.hello.mu.Unlock()
	k, err := readHelloFile(s.helloPath(u))
	if err != nil {
		return err
	}
	if err := durable.Remove(s.helloPath(u)); err != nil {
		return err
	}
	err = p.run(ctx, use{what: "destroy the Hello key", purpose: purposeHello, set: set.ID, owner: u.owner()}, func(c *tpmio.Conn) error {
		p.evict(c, k.Key)
		n := s.counter(u)
		defer n.auth.Wipe()
		n.remove(c) // so that the key does not come back with its file
		return nil
	})
	if err != nil {
		// The blob is destroyed; what may be left is a key in a slot, until the TPM is
		// started again, and its counter.
		s.cfg.Log.WarnContext(ctx, "a destroyed Hello key was not evicted from the TPM", "error", err)
	}
	return nil
}
