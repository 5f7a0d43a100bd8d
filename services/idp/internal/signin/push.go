package signin

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/authorize"
	"github.com/lockstep-sso/lockstep/services/idp/internal/flowstate"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

const (
	pushKind = "second_factor"
	// pushLife is how long a telephone waits for an answer.
	pushLife = time.Minute
)

// challenge waits for a telephone.
type challenge struct {
	Tenant ids.TenantID `json:"t"`
	// Number that the page shows.
	Number int `json:"n"`
	// Answer is empty, approved or denied.
	Answer string `json:"a,omitempty"`
}

const (
	approved = "approved"
	denied   = "denied"
)

// push asks the telephone of a user. A sign-in has one challenge; a new one takes
// the place of the old, so that an answer to the old number does nothing.
func (s *Service) push(ctx context.Context, st *flowstate.State, u store.User) (number int, err error) {
	n, err := rand.Int(rand.Reader, big.NewInt(90))
	if err != nil {
		return 0, fmt.Errorf("number of a challenge: %w", err)
	}
	number = 10 + int(n.Int64())
	data, err := json.Marshal(challenge{Tenant: u.Tenant, Number: number})
	if err != nil {
		return 0, fmt.Errorf("challenge: %w", err)
	}
	if err := s.waiting.DeletePending(ctx, pushKind, st.ID); err != nil && !errors.Is(err, store.ErrNotFound) {
		return 0, prterr.Wrap(prterr.Internal, err, "the challenge cannot be kept")
	}
	p := store.Pending{Kind: pushKind, Key: st.ID, User: u.ID, Expires: s.clock.Now().Add(pushLife), Data: data}
	switch err := s.waiting.AddPending(ctx, p); {
	case errors.Is(err, store.ErrExists): // somebody asked at the same time
		return 0, prterr.AADSTS(aadsts.StrongAuthFailed, "")
	case err != nil:
		return 0, prterr.Wrap(prterr.Internal, err, "the challenge cannot be kept")
	}
	return number, nil
}

// answered looks whether the telephone was answered. An answer is used up.
func (s *Service) answered(ctx context.Context, st *flowstate.State) (result string, err error) {
	p, err := s.waiting.Pending(ctx, pushKind, st.ID, s.clock.Now())
	if errors.Is(err, store.ErrNotFound) {
		return resultSilent, prterr.AADSTS(aadsts.StrongAuthFailed, "nobody answered on the telephone: ask again")
	}
	var c challenge
	if err == nil {
		err = json.Unmarshal(p.Data, &c)
	}
	if err != nil {
		return "", prterr.Wrap(prterr.Internal, err, "the challenge cannot be read")
	}
	if c.Answer == "" {
		return resultPending, nil
	}
	// Of several who ask at once, one hears the answer.
	if err := s.waiting.DeletePending(ctx, pushKind, st.ID); err != nil {
		return resultSilent, prterr.AADSTS(aadsts.StrongAuthFailed, "the answer was used already: ask again")
	}
	if c.Answer != approved || p.User != st.Proof.User || c.Tenant != st.Proof.Tenant {
		return resultDenied, prterr.AADSTS(aadsts.StrongAuthFailed, "it was denied on the telephone")
	}
	return resultSuccess, nil
}

// Challenge is a second factor that waits, for an operator to see.
type Challenge struct {
	ID      string
	User    ids.UPN
	Method  string
	Expires time.Time
}

// Challenges lists what waits for an answer, the oldest first; of one user, or of
// all when the name is empty.
func (s *Service) Challenges(ctx context.Context, name ids.UPN) ([]Challenge, error) {
	all, err := s.waiting.Pendings(ctx, pushKind, s.clock.Now())
	if err != nil {
		return nil, prterr.Wrap(prterr.Internal, err, "the challenges cannot be read")
	}
	var out []Challenge
	for _, p := range all {
		var c challenge
		if err := json.Unmarshal(p.Data, &c); err != nil || c.Answer != "" {
			continue
		}
		u, err := s.directory.User(ctx, c.Tenant, p.User)
		if err != nil || name != "" && u.UPN != name {
			continue
		}
		out = append(out, Challenge{ID: p.Key, User: u.UPN, Method: authorize.MethodPush, Expires: p.Expires})
	}
	return out, nil
}
