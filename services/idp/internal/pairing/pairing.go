// Package pairing brings a person's authenticator and a registration page together.
//
// What lives here: the code that the page shows and the app takes, for ten minutes
// and one app. What never may: the page, the app, and the question who may add an
// authenticator. The room of the security information begins a pairing and asks
// what became of it; the authenticator's side comes through PairAuthenticator.
package pairing

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/directory"
	"github.com/lockstep-sso/lockstep/services/idp/internal/grants"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

const (
	pairingKind = "authenticator_pairing"
	// Life is how long a code is good.
	Life = 10 * time.Minute
)

// Waiting is the part of the store that keeps what waits for an app.
type Waiting interface {
	AddPending(ctx context.Context, p store.Pending) error
	Pending(ctx context.Context, kind, key string, now time.Time) (store.Pending, error)
	UpdatePending(ctx context.Context, kind, key string, now time.Time, change func(*store.Pending) error) error
}

// Config of the room. Every field must be set, but for Added.
type Config struct {
	Waiting   Waiting
	Directory *directory.Directory
	Clock     clock.Clock
	// Added is told of every authenticator that was added; nil is nobody.
	Added func(ctx context.Context, u store.User, name string)
}

// Service pairs. It is safe for concurrent use.
type Service struct{ cfg Config }

// New makes the room.
func New(cfg Config) *Service { return &Service{cfg: cfg} }

// kept is what is known of a pairing; the authenticator is there once it answered.
type kept struct {
	Tenant        ids.TenantID `json:"t"`
	Authenticator string       `json:"a,omitempty"`
	// Proven says that who began it had proven a second factor.
	Proven bool `json:"m,omitempty"`
	// PasswordEpoch and SessionEpoch are the user's at the beginning.
	PasswordEpoch uint64 `json:"p,omitempty"`
	SessionEpoch  uint64 `json:"s,omitempty"`
}

// stands says whether a pairing may still end: nothing of the user was revoked since,
// and one that was begun with a first factor alone brings the first method and never
// another, which is what a thief of the password would wait for.
func (k kept) stands(u store.User, now time.Time) bool {
	first := len(grants.Registered(u)) == 0 && !u.AccessPass.Usable(now)
	return k.Tenant == u.Tenant && k.PasswordEpoch == u.PasswordEpoch && k.SessionEpoch == u.SessionEpoch && (k.Proven || first)
}

// key names a pairing. The code itself is not kept.
func key(user ids.UserID, code secret.Text) string {
	sum := sha256.Sum256([]byte("pairing|" + string(user) + "|" + code.Reveal()))
	return hex.EncodeToString(sum[:])
}

// Begin makes the activation code that the page shows: nine digits, for ten minutes.
// Proven says that the user proved a second factor to begin it.
func (s *Service) Begin(ctx context.Context, u store.User, proven bool) (secret.Text, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000_000))
	if err != nil {
		return secret.Text{}, prterr.Wrap(prterr.Internal, err, "the activation code cannot be made")
	}
	code := secret.NewText(fmt.Sprintf("%09d", n.Int64()))
	data, err := json.Marshal(kept{Tenant: u.Tenant, Proven: proven, PasswordEpoch: u.PasswordEpoch, SessionEpoch: u.SessionEpoch})
	if err == nil {
		err = s.cfg.Waiting.AddPending(ctx, store.Pending{
			Kind: pairingKind, Key: key(u.ID, code), User: u.ID, Expires: s.cfg.Clock.Now().Add(Life), Data: data,
		})
	}
	if err != nil {
		return secret.Text{}, prterr.Wrap(prterr.Internal, err, "the pairing cannot be kept")
	}
	return code, nil
}

// App is the authenticator's half of a pairing.
type App struct {
	User ids.UPN
	Code secret.Text
	// Name such as Pixel 9; empty is "Authenticator app".
	Name string
	// PhoneSignIn turns signing in without a password on.
	PhoneSignIn bool
}

// Pair adds the app to the user whose page shows the code. A code that is wrong, of
// somebody else, used or too old is one error.
func (s *Service) Pair(ctx context.Context, a App) error {
	none := prterr.New(prterr.NotFound, "activation_code is not one that a page of the user shows now: begin again there")
	if len(a.Name) > 256 {
		return prterr.New(prterr.Invalid, "device_name is longer than 256 characters")
	}
	if a.Name == "" {
		a.Name = tenant.StandardAuthenticator
	}
	u, err := s.cfg.Directory.UserByName(ctx, a.User)
	if prterr.KindOf(err) == prterr.Internal {
		return err
	}
	code := secret.NewText(strings.ReplaceAll(a.Code.Reveal(), " ", ""))
	if err != nil || !u.Enabled {
		return none
	}
	many := prterr.New(prterr.Conflict, "the user has %d authenticators already: remove one", tenant.MaxAuthenticators)
	if len(u.Push) >= tenant.MaxAuthenticators {
		return many // before the code is used up
	}
	var begun kept
	added := store.Authenticator{ID: uuid.NewString(), Name: a.Name, PhoneSignIn: a.PhoneSignIn, Added: s.cfg.Clock.Now()}
	err = s.cfg.Waiting.UpdatePending(ctx, pairingKind, key(u.ID, code), s.cfg.Clock.Now(), func(p *store.Pending) error {
		var k kept
		if err := json.Unmarshal(p.Data, &k); err != nil {
			return err
		}
		if k.Authenticator != "" || p.User != u.ID || !k.stands(u, s.cfg.Clock.Now()) {
			return store.ErrNotFound
		}
		begun, k.Authenticator = k, added.ID
		p.Data, err = json.Marshal(k)
		return err
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return none
	case err != nil:
		return prterr.Wrap(prterr.Internal, err, "the pairing cannot be kept")
	}
	err = s.cfg.Directory.ChangeMethods(ctx, u.Tenant, u.ID, func(next *store.User) error {
		switch {
		case len(next.Push) >= tenant.MaxAuthenticators:
			return many
		case !begun.stands(*next, s.cfg.Clock.Now()): // once more, as it is now
			return none
		}
		next.Push = append(next.Push, added)
		return nil
	})
	if err == nil && s.cfg.Added != nil {
		s.cfg.Added(ctx, u, added.Name)
	}
	return err
}

// Paired says which authenticator took the code, and the empty text while none has.
func (s *Service) Paired(ctx context.Context, t ids.TenantID, user ids.UserID, code secret.Text) (string, error) {
	p, err := s.cfg.Waiting.Pending(ctx, pairingKind, key(user, code), s.cfg.Clock.Now())
	if errors.Is(err, store.ErrNotFound) {
		return "", prterr.New(prterr.NotFound, "the activation code is too old: begin again")
	}
	var k kept
	if err == nil {
		err = json.Unmarshal(p.Data, &k)
	}
	switch {
	case err != nil:
		return "", prterr.Wrap(prterr.Internal, err, "the pairing cannot be read")
	case k.Tenant != t || p.User != user:
		return "", prterr.New(prterr.NotFound, "the activation code is too old: begin again")
	}
	return k.Authenticator, nil
}
