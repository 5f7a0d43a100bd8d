package partition

import (
	"errors"
	"fmt"

	"github.com/alexedwards/argon2id"

	"github.com/lockstep-sso/lockstep/pkg/secret"
)

// The cost of one guess: 7 MiB and five passes, the OWASP minimum for Argon2id.
// Bounds are what a file may ask for: a damaged or hostile file must not make the
// process run out of memory or panic.
const (
	verifierMemoryKiB  = 7 << 10
	verifierIterations = 5
	maxMemoryKiB       = 256 << 10
	maxIterations      = 64
)

// Verifier checks a password without the network. It is an Argon2id hash in PHC
// form ("$argon2id$v=19$m=...") and does not print, because it allows guessing.
type Verifier struct{ phc secret.Text }

// NewVerifier hashes a password with a fresh salt.
func NewVerifier(password secret.Text) (Verifier, error) {
	phc, err := argon2id.CreateHash(password.Reveal(), &argon2id.Params{
		Memory: verifierMemoryKiB, Iterations: verifierIterations, Parallelism: 1, SaltLength: 16, KeyLength: 32,
	})
	if err != nil {
		return Verifier{}, fmt.Errorf("password verifier: %w", err)
	}
	return Verifier{phc: secret.NewText(phc)}, nil
}

// PHC is its form on disk.
func (v Verifier) PHC() secret.Text { return v.phc }

// ParseVerifier reads one from a file.
func ParseVerifier(phc secret.Text) (Verifier, error) {
	params, salt, key, err := argon2id.DecodeHash(phc.Reveal())
	if err != nil {
		return Verifier{}, errors.New("password_verifier is not an Argon2id hash in PHC form")
	}
	switch {
	case params.Memory < 8 || params.Memory > maxMemoryKiB,
		params.Iterations < 1 || params.Iterations > maxIterations,
		params.Parallelism < 1, len(salt) < 8, len(key) < 16:
		return Verifier{}, errors.New("password_verifier has parameters out of bounds")
	}
	return Verifier{phc: phc}, nil
}

// Matches checks a password in constant time. A verifier that cannot be used
// matches nothing.
func (v Verifier) Matches(password secret.Text) bool {
	ok, err := argon2id.ComparePasswordAndHash(password.Reveal(), v.phc.Reveal())
	return err == nil && ok
}

// Empty reports whether there is none.
func (v Verifier) Empty() bool { return v.phc.Empty() }
