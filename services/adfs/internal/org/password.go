package org

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"runtime"

	"github.com/alexedwards/argon2id"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

// ErrRefused is the one answer to a wrong password, an unknown user and a name
// that is no user name, so that none can be told from another.
var ErrRefused = errors.New("user name or password refused")

// maxPassword bounds a password, in bytes.
const maxPassword = 1024

// params are the cost of every password, 7 MiB and 5 passes. One cost for all:
// with a cheaper hash for one user the time would tell who exists.
func params() *argon2id.Params {
	return &argon2id.Params{Memory: 7 * 1024, Iterations: 5, Parallelism: 1, SaltLength: 16, KeyLength: 32}
}

// phc is a password hash in PHC string format. It does not print.
type phc string

func (phc) String() string       { return "[redacted]" }
func (phc) GoString() string     { return "[redacted]" }
func (phc) LogValue() slog.Value { return slog.StringValue("[redacted]") }

func hashPassword(p secret.Text) (phc, error) {
	if len(p.Reveal()) > maxPassword {
		return "", fmt.Errorf("password is longer than %d bytes", maxPassword)
	}
	h, err := argon2id.CreateHash(p.Reveal(), params())
	if err != nil {
		return "", errors.New("password cannot be hashed")
	}
	return phc(h), nil
}

func (h phc) check() error {
	got, salt, key, err := argon2id.DecodeHash(string(h))
	want := params()
	if err != nil || got.Memory != want.Memory || got.Iterations != want.Iterations || got.Parallelism != want.Parallelism ||
		len(salt) != int(want.SaltLength) || len(key) != int(want.KeyLength) {
		return errors.New("password_hash is not an argon2id PHC string with m=7168,t=5,p=1, 16 bytes of salt and 32 of key")
	}
	return nil
}

// checker bounds the memory that guesses can take: as many checks at a time as
// there are processors, 7 MiB each.
type checker struct {
	slots chan struct{}
	decoy phc
}

func newChecker() (*checker, error) {
	decoy, err := hashPassword(secret.NewText(rand.Text()))
	if err != nil {
		return nil, err
	}
	return &checker{slots: make(chan struct{}, runtime.GOMAXPROCS(0)), decoy: decoy}, nil
}

func (c *checker) match(ctx context.Context, p secret.Text, h phc) (bool, error) {
	if err := prterr.FromContext(ctx); err != nil {
		return false, err // also when a slot is free: nobody waits for the answer
	}
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return false, prterr.FromContext(ctx)
	}
	ok, err := argon2id.ComparePasswordAndHash(p.Reveal(), string(h))
	if err != nil {
		return false, prterr.New(prterr.Internal, "a stored password hash cannot be read")
	}
	return ok, nil
}

// Authenticate checks a password. Every refusal is ErrRefused and costs one
// hash, whether the user exists or not; other errors mean that nothing was
// checked.
func (o *Organisation) Authenticate(ctx context.Context, name string, password secret.Text) (User, error) {
	hash, known := o.passwords.decoy, false
	var user User
	if upn, err := ids.ParseUPN(name); err == nil {
		if a := o.users[upn]; a != nil {
			hash, known, user = a.hash, true, a.User
		}
	}
	p := password
	if len(p.Reveal()) > maxPassword {
		p, known = secret.NewText(""), false // longer than any password here, and never hashed at length
	}
	ok, err := o.passwords.match(ctx, p, hash)
	switch {
	case err != nil:
		return User{}, err
	case !ok || !known:
		return User{}, ErrRefused
	}
	return user, nil
}

// User finds a person who proved who they are by other means than a password; an
// unknown one is ErrRefused.
func (o *Organisation) User(name string) (User, error) {
	upn, err := ids.ParseUPN(name)
	if err != nil || o.users[upn] == nil {
		return User{}, ErrRefused
	}
	return o.users[upn].User, nil
}
