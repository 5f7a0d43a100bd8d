package flowstate

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

// maxPlain bounds a state in bytes: it stands in addresses and headers of some
// clients.
const maxPlain = 14 << 10

// Sealer seals and opens; the issuance room is one.
type Sealer interface {
	SealState(plain []byte) secret.Text
	OpenState(text secret.Text) ([]byte, error)
}

// Keeper makes states and takes its own back. It is safe for concurrent use.
type Keeper struct {
	Sealer Sealer
	Clock  clock.Clock
}

// Begin makes the state of a new sign-in.
func (k Keeper) Begin(a Asked, correlation string) *State {
	return &State{ID: uuid.NewString(), Canary: rand.Text(), Step: SignIn, Began: k.Clock.Now().Unix(), Correlation: correlation, Asked: a}
}

// Seal makes the flow token of a state.
func (k Keeper) Seal(s *State) (secret.Text, error) {
	plain, err := json.Marshal(s)
	if err != nil {
		return secret.Text{}, fmt.Errorf("state of a sign-in: %w", err)
	}
	defer clear(plain)
	if len(plain) > maxPlain {
		return secret.Text{}, prterr.AADSTS(aadsts.InvalidRequest, "the request is longer than a sign-in can carry: shorten state or scope")
	}
	return k.Sealer.SealState(plain), nil
}

// Open reads a flow token. AADSTS50089 for one that has expired and for one that
// is not ours: the user begins again either way.
func (k Keeper) Open(token secret.Text) (*State, error) {
	over := prterr.AADSTS(aadsts.FlowTokenExpired, "")
	plain, err := k.Sealer.OpenState(token)
	if err != nil {
		return nil, over
	}
	defer clear(plain)
	var s State
	if err := json.Unmarshal(plain, &s); err != nil {
		return nil, over // authenticated before: an older version's, at worst
	}
	if age := k.Clock.Now().Sub(time.Unix(s.Began, 0)); age < -time.Minute || age > Lifetime {
		return nil, over
	}
	s.Carried = s.Proof.Known()
	return &s, nil
}

// Form opens the flow token of a form: of the step that the form belongs to, with
// the canary that was beside it. AADSTS50089.
func (k Keeper) Form(token secret.Text, canary string, steps ...Step) (*State, error) {
	s, err := k.Open(token)
	if err != nil {
		return nil, err
	}
	if !secret.NewText(canary).Equal(secret.NewText(s.Canary)) {
		return nil, prterr.AADSTS(aadsts.FlowTokenExpired, "")
	}
	return s, s.At(steps...)
}

// At checks the step; AADSTS50089.
func (s *State) At(steps ...Step) error {
	for _, want := range steps {
		if s.Step == want {
			return nil
		}
	}
	return prterr.AADSTS(aadsts.FlowTokenExpired, "")
}
