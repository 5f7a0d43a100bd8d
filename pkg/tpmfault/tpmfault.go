// Package tpmfault is a TPM that fails on purpose: it stands before any other, one
// in software or a chip, and injects faults by rules that can be changed while it
// runs.
//
// What lives here: the rules, their one-line language (see [Parse]) and what each
// does to the command that it hits. What never may: a fault that no TPM shows; a
// system that survives these must survive real ones. Tests and demonstrations of
// the tpm-agent use it; nothing puts it before a TPM by itself.
package tpmfault

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Transport takes a TPM 2.0 command and gives the answer.
type Transport interface {
	Send(command []byte) ([]byte, error)
}

// Config says what fails, and when.
type Config struct {
	// Below is the TPM that works.
	Below Transport
	Rules []Rule
}

// TPM is a TPM that fails by rules. It is safe for concurrent use if the one below
// is.
type TPM struct {
	below Transport
	// breaks counts what a caller must take for a broken link.
	breaks atomic.Uint64

	mu    sync.Mutex
	rules []*state
}

// state is a rule at work.
type state struct {
	Rule
	seen, hits int
}

// New puts rules before a TPM.
func New(cfg Config) (*TPM, error) {
	if cfg.Below == nil {
		return nil, errors.New("tpmfault: the TPM below is missing")
	}
	t := &TPM{below: cfg.Below}
	return t, t.Set(cfg.Rules...)
}

// Set replaces all rules; none makes the TPM whole. Counts begin anew.
func (t *TPM) Set(rules ...Rule) error {
	all := make([]*state, len(rules))
	for i, r := range rules {
		if err := r.check(); err != nil {
			return err
		}
		if r.Effect == Cleared {
			r.Times = 1
		}
		all[i] = &state{Rule: r}
	}
	t.mu.Lock()
	t.rules = all
	t.mu.Unlock()
	return nil
}

// Rules lists the rules, those that are used up included.
func (t *TPM) Rules() []Rule {
	t.mu.Lock()
	defer t.mu.Unlock()
	var rules []Rule
	for _, s := range t.rules {
		rules = append(rules, s.Rule)
	}
	return rules
}

// Hits is how often each rule struck, in the order of Rules.
func (t *TPM) Hits() []int {
	t.mu.Lock()
	defer t.mu.Unlock()
	hits := make([]int, len(t.rules))
	for i, s := range t.rules {
		hits[i] = s.hits
	}
	return hits
}

// Epoch changes when the link to the TPM breaks, by a rule or by itself.
func (t *TPM) Epoch() uint64 {
	n := t.breaks.Load()
	if below, ok := t.below.(interface{ Epoch() uint64 }); ok {
		n += below.Epoch()
	}
	return n
}

// GoneError is a command that met no TPM. Its effect is nil for sure, unless the
// answer alone was lost.
type GoneError struct{ lost bool }

func (e *GoneError) Error() string {
	if e.lost {
		return "the answer of the TPM was lost (injected fault)"
	}
	return "the TPM is gone (injected fault)"
}

// NotSent reports that the command had no effect.
func (e *GoneError) NotSent() bool { return !e.lost }

const (
	headerSize  = 10
	tagSessions = 0x8002
)

// Send sends a command through the rules. Each rule that fits strikes, in order,
// until one gives the answer.
func (t *TPM) Send(command []byte) ([]byte, error) {
	if len(command) < headerSize {
		return t.below.Send(command)
	}
	var after []Rule
	for _, r := range t.strike(command) {
		if r.Effect == WrongKey || r.Effect == Lost {
			after = append(after, r)
			continue
		}
		out, err := t.before(r, command)
		if out != nil || err != nil {
			return out, err
		}
	}
	for _, r := range after {
		if r.Effect == WrongKey {
			if code := wrongKeyCode(codeOf(command)); code != 0 {
				return answer(code), nil
			}
		}
	}
	out, err := t.below.Send(command)
	for _, r := range after {
		if err != nil {
			break
		}
		if r.Effect == Lost {
			t.breaks.Add(1)
			return nil, &GoneError{lost: true}
		}
		out = otherKey(codeOf(command), out)
	}
	return out, err
}

// strike finds the rules that hit a command, and counts.
func (t *TPM) strike(command []byte) []Rule {
	t.mu.Lock()
	defer t.mu.Unlock()
	var hit []Rule
	for _, s := range t.rules {
		if !s.fits(command) {
			continue
		}
		if s.seen++; s.seen <= s.Skip || s.Times > 0 && s.hits >= s.Times {
			continue
		}
		s.hits++
		hit = append(hit, s.Rule)
		if s.Effect == Code || s.Effect == Gone || s.Effect == Locked {
			break // it gives the answer
		}
	}
	return hit
}

// before does what a rule does before a command reaches the TPM.
func (t *TPM) before(r Rule, command []byte) ([]byte, error) {
	switch r.Effect {
	case Code:
		return answer(r.Code), nil
	case Locked:
		return answer(rcLockout), nil
	case Gone:
		t.breaks.Add(1)
		return nil, &GoneError{}
	case Delay:
		time.Sleep(r.Delay)
	case Latency:
		time.Sleep(fieldLatency())
	case Cleared:
		if codeOf(command) != ccClear {
			return nil, t.clear()
		}
	case Lost, WrongKey: // they act on the answer
	}
	return nil, nil
}

// clear clears the TPM below for real, as a user of its firmware's setup does: by
// the lockout authorisation, or by that of the platform.
func (t *TPM) clear() error {
	var codes []uint32
	for _, hierarchy := range []uint32{rhLockout, rhPlatform} {
		b := binary.BigEndian.AppendUint32([]byte{0x80, 0x02, 0, 0, 0, 27}, ccClear)
		b = binary.BigEndian.AppendUint32(b, hierarchy)
		b = append(b, 0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0) // an empty password
		out, err := t.below.Send(b)
		if err != nil {
			return err
		}
		if len(out) < headerSize {
			return errors.New("tpmfault: clear: the answer is shorter than its header")
		}
		code := binary.BigEndian.Uint32(out[6:])
		if code == 0 {
			return nil
		}
		codes = append(codes, code)
	}
	return fmt.Errorf("tpmfault: the TPM cannot be cleared: it answers %#x, and %#x to the platform: set neither authorisation", codes[0], codes[1])
}

// answer is a TPM answer without parameters.
func answer(code uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{0x80, 1, 0, 0, 0, headerSize}, code)
}

func codeOf(command []byte) uint32 { return binary.BigEndian.Uint32(command[6:]) }

// wrongKeyCode is what a command answers when the key it needs is another.
func wrongKeyCode(cc uint32) uint32 {
	switch cc {
	case ccLoad:
		return rcIntegrity
	case ccRSADecrypt:
		return rcValue
	}
	return 0
}

// otherKey makes of a signature one that does not verify.
func otherKey(cc uint32, out []byte) []byte {
	if !slices.Contains([]uint32{ccSign, ccHMAC, ccCertify, ccQuote}, cc) || len(out) <= headerSize+4 {
		return out
	}
	end := len(out)
	if binary.BigEndian.Uint16(out) == tagSessions {
		if n := int(binary.BigEndian.Uint32(out[headerSize:])); n > 0 && headerSize+4+n <= len(out) {
			end = headerSize + 4 + n
		}
	}
	changed := slices.Clone(out)
	changed[end-1] ^= 1
	return changed
}
