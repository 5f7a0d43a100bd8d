// Package fault is the language of faults, and the engine that says which calls they
// strike.
//
// What lives here: rules of one line, how they are read and written (see [Parse]), and
// an Engine that counts calls and draws chances from a seed. What never may: a fault
// itself. Who breaks calls is services/faulty, in a laboratory alone, and no component
// links this package, so that none can be told to fail.
package fault

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/step"
	stepv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/step/v1"
)

// Call is what an Engine is told of a call. What is not known is empty, and then no
// condition on it holds.
type Call struct {
	// Method is the full name of a gRPC method, as /prt.tpm.v1.KeyService/SignAssertion.
	Method string
	// Path is that of an HTTPS request.
	Path   string
	Caller string
	// Step is the row that the call carries out in the flow that runs.
	Step stepv1.Step
	Flow step.Flow
	// User is a user principal name, Device a device id, where the message names them.
	User, Device string
}

// Strike is a rule that struck a call.
type Strike struct {
	// Index of the rule, from 0.
	Index int
	Rule  Rule
	// Delay is how long to wait for the actions Delay and FieldDelay.
	Delay time.Duration
	// Draw is 64 bits that depend on the seed, the rule and its count alone: for choices
	// that an action leaves open, as which bit to change.
	Draw uint64
}

// RuleState is a rule at work.
type RuleState struct {
	Rule Rule
	// Seen is how many calls fitted it but for its counts and chances, Struck how many it
	// struck, and Last when it did, by the engine's clock.
	Seen, Struck uint64
	Last         time.Time
}

// Config is what an Engine needs.
type Config struct {
	Rules Rules
	// Seed of what is left to chance; 0 chooses one.
	Seed uint64
	// Clock is the time of RuleState.Last; nil is the machine's.
	Clock clock.Clock
}

// Engine says which rules strike a call. It is safe for concurrent use. The nth call
// that fits a rule is struck or not by the seed alone, whatever other calls come
// between; which call is the nth is up to the callers.
type Engine struct {
	clock clock.Clock

	mu    sync.Mutex
	seed  uint64
	rules []*work
}

// work is a rule with its counts.
type work struct {
	RuleState
	// plain conditions make a call fit, counted ones then decide.
	plain, counted []Condition
}

// New makes an engine.
func New(cfg Config) (*Engine, error) {
	e := &Engine{clock: clock.Or(cfg.Clock)}
	return e, e.Set(cfg.Rules, cfg.Seed)
}

// Set replaces all rules and begins all counts anew; no rules strike nothing. A seed of 0
// chooses one. Rules that are not as Parse makes them change nothing.
func (e *Engine) Set(rules Rules, seed uint64) error {
	if len(rules) > maxRules {
		return fmt.Errorf("rules: there are %d, at most %d are taken", len(rules), maxRules)
	}
	if again, err := Parse(rules.String()); err != nil || len(rules) > 0 && !reflect.DeepEqual(again, rules) {
		return errors.Join(errors.New("rules: they are not as they are read from text"), err)
	}
	for seed == 0 {
		var b [8]byte
		_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
		seed = binary.BigEndian.Uint64(b[:])
	}
	all := make([]*work, len(rules))
	for i, r := range rules {
		all[i] = &work{RuleState: RuleState{Rule: r}}
		for _, c := range conjuncts(r.When) {
			if c.counts() {
				all[i].counted = append(all[i].counted, c)
			} else {
				all[i].plain = append(all[i].plain, c)
			}
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.rules, e.seed = all, seed
	return nil
}

// Strike counts a call and gives the rules that strike it, in their order: delays, and at
// last one that decides.
func (e *Engine) Strike(c Call) []Strike {
	e.mu.Lock()
	defer e.mu.Unlock()
	var strikes []Strike
	for i, w := range e.rules {
		if w.Rule.Action == TPM || !all(w.plain, func(cond Condition) bool { return cond.holds(c, 0, nil) }) {
			continue
		}
		w.Seen++
		d := dice{seed: e.seed, rule: uint64(i), nth: w.Seen}
		if !all(w.counted, func(cond Condition) bool { return cond.holds(c, w.Seen, d.chance) }) {
			continue
		}
		w.Struck++
		w.Last = e.clock.Now()
		s := Strike{Index: i, Rule: w.Rule, Delay: w.Rule.Duration, Draw: d.roll()}
		switch w.Rule.Action {
		case FieldDelay:
			s.Delay = fieldDelay(d.roll())
		case Throttle: // says for how long, and does not wait
			s.Delay = 0
		default:
		}
		strikes = append(strikes, s)
		if w.Rule.Decides() {
			break
		}
	}
	return strikes
}

func all(conditions []Condition, holds func(Condition) bool) bool {
	return !slices.ContainsFunc(conditions, func(c Condition) bool { return !holds(c) })
}

// State tells of all rules in their order.
func (e *Engine) State() []RuleState {
	e.mu.Lock()
	defer e.mu.Unlock()
	states := make([]RuleState, len(e.rules))
	for i, w := range e.rules {
		states[i] = w.RuleState
	}
	return states
}

// Seed is the seed that is in force.
func (e *Engine) Seed() uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.seed
}

// Rules are the rules that are in force.
func (e *Engine) Rules() Rules {
	e.mu.Lock()
	defer e.mu.Unlock()
	rules := make(Rules, len(e.rules))
	for i, w := range e.rules {
		rules[i] = w.Rule
	}
	return rules
}
