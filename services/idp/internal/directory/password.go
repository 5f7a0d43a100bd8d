package directory

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"runtime"
	"sync/atomic"

	"github.com/alexedwards/argon2id"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// maxPassword bounds a password in bytes: hashing reads all of it.
const maxPassword = 256

// passwords hashes and checks passwords. All hashes have the same parameters, so
// that the time of a check tells nothing about the user.
type passwords struct {
	// params are what a hash costs.
	params argon2id.Params
	// turns bounds the hashes that are computed at once: each takes 7 MiB and a
	// processor for some 20 ms, and more at once would only make all of them late.
	turns chan struct{}
	// decoy is checked for users that do not exist.
	decoy secret.Text
	// seeds are the passwords that the tenant file has in clear, by user. They are
	// hashed when they are first asked for: a start that hashes them all takes a
	// processor 20 ms for each, and most are never used.
	seeds map[ids.UserID]*seed
}

// seed is a password of the tenant file. It holds until the store has a hash.
type seed struct {
	plain secret.Text
	hash  atomic.Pointer[secret.Text]
}

// cost is what hashes cost: the usual, or as little as there is.
func cost(quick bool) argon2id.Params {
	p := argon2id.Params{
		Memory: tenant.HashMemory, Iterations: tenant.HashPasses, Parallelism: tenant.HashParallelism,
		SaltLength: tenant.HashSalt, KeyLength: tenant.HashKey,
	}
	if quick {
		p.Memory, p.Iterations = 32, 1
	}
	return p
}

func newPasswords(p argon2id.Params) *passwords {
	return &passwords{params: p, turns: make(chan struct{}, runtime.GOMAXPROCS(0)), decoy: decoy(p), seeds: map[ids.UserID]*seed{}}
}

// decoy is a hash of that cost that no password is known for.
func decoy(p argon2id.Params) secret.Text {
	var salt [tenant.HashSalt]byte
	var key [tenant.HashKey]byte
	_, _ = rand.Read(salt[:]) // never fails: crypto/rand ends the process instead
	_, _ = rand.Read(key[:])
	b64 := base64.RawStdEncoding.EncodeToString
	return secret.NewText(fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", p.Memory, p.Iterations, p.Parallelism, b64(salt[:]), b64(key[:])))
}

// of checks the password of a user, who may be the zero User, at the cost of one
// hash whatever the outcome. A password of the tenant file that was never asked
// for is compared as it is while its hash is made for the next time.
func (p *passwords) of(ctx context.Context, u store.User, password secret.Text) (bool, error) {
	s := p.seeds[u.ID]
	if s == nil || !u.PasswordHash.Empty() {
		return p.matches(ctx, password, u.PasswordHash)
	}
	if h := s.hash.Load(); h != nil {
		return p.matches(ctx, password, *h)
	}
	h, err := p.hash(ctx, s.plain)
	if err != nil {
		return false, err
	}
	s.hash.Store(&h)
	return s.plain.Equal(password), nil
}

func (p *passwords) hash(ctx context.Context, password secret.Text) (secret.Text, error) {
	if n := len(password.Reveal()); n == 0 || n > maxPassword {
		return secret.Text{}, prterr.New(prterr.Invalid, "password is not 1 to %d bytes", maxPassword)
	}
	if err := p.wait(ctx); err != nil {
		return secret.Text{}, err
	}
	defer p.done()
	phc, err := argon2id.CreateHash(password.Reveal(), &p.params)
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
