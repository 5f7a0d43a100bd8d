package signin

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/flowstate"
	"github.com/lockstep-sso/lockstep/services/idp/internal/methods"
	"github.com/lockstep-sso/lockstep/services/idp/internal/outbox"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

const (
	// callKind is a second factor, phoneKind a sign-in without a password. They are
	// kept apart, so that an answer to one is never one to the other.
	callKind, phoneKind = "second_factor", "phone_sign_in"
	// callLife is how long a telephone waits for an answer.
	callLife = time.Minute
	// maxAgent bounds what is shown of a browser, in bytes.
	maxAgent = 200
)

// Where is what the edge saw of who asks, for the person at the telephone to judge.
type Where struct{ IP, Agent string }

// challenge waits for a telephone.
type challenge struct {
	Tenant ids.TenantID `json:"t"`
	Method string       `json:"m"`
	// Number that the page shows; 0 where there is none to compare.
	Number int `json:"n,omitempty"`
	// Answer is empty, approved or denied.
	Answer string `json:"a,omitempty"`
	// Application, IP and Agent are what the telephone shows.
	Application string `json:"p,omitempty"`
	IP          string `json:"i,omitempty"`
	Agent       string `json:"g,omitempty"`
}

const (
	approved = "approved"
	denied   = "denied"
)

// call asks the telephone of a user: an app with a number to compare, or a call
// that wants the key #. What nobody approves is counted, so that nobody is asked
// without end (AADSTS50053).
func (s *Service) call(ctx context.Context, st *flowstate.State, u store.User, method string, from Where) (number int, err error) {
	if err := s.attempts.Try(ctx, askedKey(method, u.ID)); err != nil {
		return 0, err
	}
	c := s.challenge(st, u.Tenant, method, from)
	if method == methods.IDVoice {
		c.Number = 0
		s.outbox.Send(outbox.Message{
			User: u.UPN, Channel: outbox.Voice, Phone: u.Phone, Text: secret.NewText("Thank you for using the sign-in verification of " + s.organization(u.Tenant) + ". Press the # key to finish your verification."),
		})
	} else if c.Number, err = drawNumber(); err != nil {
		return 0, err
	}
	return c.Number, s.wait(ctx, callKind, st.ID, u.ID, c)
}

// askedKey names the counter of questions to a telephone.
func askedKey(method string, u ids.UserID) string { return "asked|" + method + "|" + string(u) }

func (s *Service) challenge(st *flowstate.State, t ids.TenantID, method string, from Where) challenge {
	return challenge{
		Tenant: t, Method: method, Application: s.next.Application(st, t), IP: from.IP, Agent: from.Agent[:min(len(from.Agent), maxAgent)],
	}
}

func (s *Service) organization(t ids.TenantID) string {
	home, ok := s.tenants.Tenant(t)
	if !ok {
		return "your organisation"
	}
	return home.DisplayName
}

// drawNumber is what page and telephone compare, 10 to 99.
func drawNumber() (int, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(90))
	if err != nil {
		return 0, fmt.Errorf("number of a challenge: %w", err)
	}
	return 10 + int(n.Int64()), nil
}

// wait keeps a challenge. A sign-in has one of a kind; a new one takes the place of
// the old, so that an answer to the old number does nothing.
func (s *Service) wait(ctx context.Context, kind, id string, u ids.UserID, c challenge) error {
	data, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("challenge: %w", err)
	}
	return s.putPending(ctx, store.Pending{Kind: kind, Key: id, User: u, Expires: s.clock.Now().Add(callLife), Data: data})
}

// putPending keeps what waits in place of what waited under that key.
func (s *Service) putPending(ctx context.Context, p store.Pending) error {
	if err := s.waiting.DeletePending(ctx, p.Kind, p.Key); err != nil && !errors.Is(err, store.ErrNotFound) {
		return prterr.Wrap(prterr.Internal, err, "the challenge cannot be kept")
	}
	switch err := s.waiting.AddPending(ctx, p); {
	case errors.Is(err, store.ErrExists): // somebody asked at the same time
		return prterr.AADSTS(aadsts.StrongAuthFailed, "")
	case err != nil:
		return prterr.Wrap(prterr.Internal, err, "the challenge cannot be kept")
	}
	return nil
}

// answered looks whether the telephone was answered. An answer is used up.
func (s *Service) answered(ctx context.Context, st *flowstate.State) (result string, err error) {
	silent, no := resultSilent, resultDenied
	if st.Method == methods.IDVoice {
		silent, no = resultHungUp, resultHungUp
	}
	p, c, err := s.waitingFor(ctx, callKind, st.ID)
	if errors.Is(err, store.ErrNotFound) {
		return silent, prterr.AADSTS(aadsts.StrongAuthFailed, "nobody answered on the telephone: ask again")
	}
	if err != nil {
		return "", err
	}
	if c.Answer == "" {
		return resultPending, nil
	}
	// Of several who ask at once, one hears the answer.
	if err := s.waiting.DeletePending(ctx, callKind, st.ID); err != nil {
		return silent, prterr.AADSTS(aadsts.StrongAuthFailed, "the answer was used already: ask again")
	}
	if c.Answer != approved || p.User != st.Proof.User || c.Tenant != st.Proof.Tenant || c.Method != st.Method {
		return no, prterr.AADSTS(aadsts.StrongAuthFailed, "it was denied on the telephone")
	}
	s.attempts.Right(ctx, askedKey(st.Method, p.User))
	return resultSuccess, nil
}

// waitingFor reads a challenge; store.ErrNotFound for one that is not there any more.
func (s *Service) waitingFor(ctx context.Context, kind, id string) (store.Pending, challenge, error) {
	return waitingAs[challenge](ctx, s, kind, id)
}

// waitingAs reads what waits for somebody; store.ErrNotFound when it is not there any
// more, and an error of ours for everything else.
func waitingAs[T any](ctx context.Context, s *Service, kind, id string) (p store.Pending, data T, err error) {
	p, err = s.waiting.Pending(ctx, kind, id, s.clock.Now())
	if errors.Is(err, store.ErrNotFound) {
		return p, data, err
	}
	if err == nil {
		err = json.Unmarshal(p.Data, &data)
	}
	if err != nil {
		return p, data, prterr.Wrap(prterr.Internal, err, "what waits for the user cannot be read")
	}
	return p, data, nil
}

// Challenge is a question that waits, for an operator to see.
type Challenge struct {
	ID      string
	User    ids.UPN
	Method  string
	Expires time.Time
	// Number that the page shows, 0 where there is none.
	Number                 int
	Application, IP, Agent string
	// PhoneSignIn is a sign-in without a password.
	PhoneSignIn bool

	kind string
}

// Challenges lists what waits for an answer, the oldest first; of one user, or of
// all when the name is empty.
func (s *Service) Challenges(ctx context.Context, name ids.UPN) ([]Challenge, error) {
	var out []Challenge
	for _, kind := range []string{callKind, phoneKind} {
		all, err := s.waiting.Pendings(ctx, kind, s.clock.Now())
		if err != nil {
			return nil, prterr.Wrap(prterr.Internal, err, "the challenges cannot be read")
		}
		for _, p := range all {
			var c challenge
			if err := json.Unmarshal(p.Data, &c); err != nil || c.Answer != "" || p.User == "" {
				continue
			}
			u, err := s.directory.User(ctx, c.Tenant, p.User)
			if err != nil || name != "" && u.UPN != name {
				continue
			}
			out = append(out, Challenge{
				ID: p.Key, User: u.UPN, Method: c.Method, Expires: p.Expires, Number: c.Number, Application: c.Application,
				IP: c.IP, Agent: c.Agent, PhoneSignIn: kind == phoneKind, kind: kind,
			})
		}
	}
	slices.SortStableFunc(out, func(a, b Challenge) int { return a.Expires.Compare(b.Expires) })
	return out, nil
}
