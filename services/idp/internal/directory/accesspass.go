package directory

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"math/big"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/methods"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

const (
	// shortestPass, longestPass and standardPass are lives of a Temporary Access
	// Pass, as at the public service.
	shortestPass, longestPass, standardPass = 10 * time.Minute, 30 * 24 * time.Hour, time.Hour
	// passLength characters of passAlphabet are 69 bits of chance. A person types
	// them; none of them looks like another.
	passLength   = 12
	passAlphabet = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz"
	// maxPass bounds what somebody types, in bytes.
	maxPass = 64
)

// IssuePass gives a user a Temporary Access Pass in place of an earlier one. A life
// of zero is an hour. The pass is shown once.
func (d *Directory) IssuePass(ctx context.Context, upn ids.UPN, life time.Duration, oneTime bool, now time.Time) (secret.Text, time.Time, error) {
	if life == 0 {
		life = standardPass
	}
	if life < shortestPass || life > longestPass {
		return secret.Text{}, time.Time{}, prterr.New(prterr.Invalid, "lifetime_seconds is not 0 or %d to %d", int64(shortestPass/time.Second), int64(longestPass/time.Second))
	}
	pass, err := drawPass()
	if err != nil {
		return secret.Text{}, time.Time{}, prterr.Wrap(prterr.Internal, err, "the pass cannot be made")
	}
	ends := now.Add(life).Truncate(time.Second)
	err = d.changeUser(ctx, upn, func(u *store.User) error {
		u.AccessPass = store.AccessPass{Hash: passHash(u.ID, pass), Issued: now, Expires: ends, OneTime: oneTime}
		return nil
	})
	if err != nil {
		return secret.Text{}, time.Time{}, err
	}
	return pass, ends, nil
}

func drawPass() (secret.Text, error) {
	out := make([]byte, passLength)
	for i := range out {
		n, err := rand.Int(rand.Reader, big.NewInt(int64(len(passAlphabet))))
		if err != nil {
			return secret.Text{}, err
		}
		out[i] = passAlphabet[n.Int64()]
	}
	return secret.NewText(string(out)), nil
}

// passHash is what is kept of a pass. A slow hash would add nothing: the pass is
// drawn by us at random and not chosen by a person, so that there is no list to
// try, and it is worthless within a month. The user's id makes hashes of two users
// different.
func passHash(user ids.UserID, pass secret.Text) []byte {
	mac := hmac.New(sha256.New, []byte("access-pass|"+string(user)))
	_, _ = mac.Write([]byte(pass.Reveal()))
	return mac.Sum(nil)
}

// TypedPass checks a Temporary Access Pass that somebody typed, and uses it up when
// it is for one time. Whatever is wrong, also that there is no such user, is one
// error, AADSTS130503; wrong ones are counted by name, AADSTS50053.
func (d *Directory) TypedPass(ctx context.Context, upn ids.UPN, pass secret.Text, now time.Time) (store.User, error) {
	key := "pass|" + string(upn)
	if err := d.attempts.Try(ctx, key); err != nil {
		return store.User{}, err
	}
	u, err := d.store.UserByUPN(ctx, upn)
	known := err == nil
	if e := named(err, "user"); prterr.KindOf(e) == prterr.Internal {
		return store.User{}, e
	}
	wrong := prterr.AADSTS(aadsts.WrongAccessPass, "")
	// The same work for a name that is nobody's.
	hash := passHash(u.ID, pass)
	if !hmac.Equal(hash, u.AccessPass.Hash) || !known || len(pass.Reveal()) > maxPass {
		return u, wrong
	}
	if !u.Enabled {
		return u, prterr.AADSTS(aadsts.UserDisabled, "")
	}
	if err := d.usePass(ctx, u, hash, now); err != nil {
		return u, err
	}
	d.attempts.Right(ctx, key)
	return u, nil
}

// usePass looks once more inside the change: of two that use a pass for one time at
// once, one signs in.
func (d *Directory) usePass(ctx context.Context, u store.User, hash []byte, now time.Time) error {
	return named(d.store.UpdateUser(ctx, u.Tenant, u.ID, func(next *store.User) error {
		if !next.AccessPass.Usable(now) || !hmac.Equal(hash, next.AccessPass.Hash) {
			return prterr.AADSTS(aadsts.WrongAccessPass, "")
		}
		next.AccessPass.Used = true
		return nil
	}), "user")
}

// passMethod is the method that a pass is.
func passMethod(p store.AccessPass) methods.Method {
	if p.OneTime {
		return methods.AccessPassOnce
	}
	return methods.AccessPassMany
}

// PassMethod is the method that the user's pass is.
func PassMethod(u store.User) methods.Method { return passMethod(u.AccessPass) }
