package directory

import (
	"context"
	"crypto/rand"
	"fmt"
	"runtime"

	"github.com/alexedwards/argon2id"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// maxPassword bounds a password in bytes: hashing reads all of it.
const maxPassword = 256

// passwords hashes and checks passwords. All hashes have the same parameters, so
// that the time of a check tells nothing about the user.
type passwords struct {
	// turns bounds the hashes that are computed at once: each takes 7 MiB and a
	// processor for some 20 ms, and more at once would only make all of them late.
	turns chan struct{}
	// decoy is checked for users that do not exist.
	decoy secret.Text
}

func newPasswords() (*passwords, error) {
	p := &passwords{turns: make(chan struct{}, runtime.GOMAXPROCS(0))}
	var err error
	p.decoy, err = p.hash(context.Background(), secret.NewText(rand.Text()))
	return p, err
}

func (p *passwords) hash(ctx context.Context, password secret.Text) (secret.Text, error) {
	if n := len(password.Reveal()); n == 0 || n > maxPassword {
		return secret.Text{}, prterr.New(prterr.Invalid, "password is not 1 to %d bytes", maxPassword)
	}
	if err := p.wait(ctx); err != nil {
		return secret.Text{}, err
	}
	defer p.done()
	phc, err := argon2id.CreateHash(password.Reveal(), &argon2id.Params{
		Memory: tenant.HashMemory, Iterations: tenant.HashPasses, Parallelism: tenant.HashParallelism,
		SaltLength: tenant.HashSalt, KeyLength: tenant.HashKey,
	})
	if err != nil {
		return secret.Text{}, fmt.Errorf("password hash: %w", err)
	}
	return secret.NewText(phc), nil
}

// matches compares in the time of one hash. An empty hash, of a user that does
// not exist or has no password, matches nothing and takes as long.
func (p *passwords) matches(ctx context.Context, password, hash secret.Text) (bool, error) {
	known := !hash.Empty() && len(password.Reveal()) <= maxPassword
	candidate := password.Reveal()
	if !known {
		hash, candidate = p.decoy, ""
	}
	if err := p.wait(ctx); err != nil {
		return false, err
	}
	defer p.done()
	ok, err := argon2id.ComparePasswordAndHash(candidate, hash.Reveal())
	if err != nil {
		return false, fmt.Errorf("password hash of the directory: %w", err)
	}
	return ok && known, nil
}

func (p *passwords) wait(ctx context.Context) error {
	select {
	case p.turns <- struct{}{}:
		return nil
	case <-ctx.Done():
		return prterr.FromContext(ctx)
	}
}

func (p *passwords) done() { <-p.turns }
