package tpmfault

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Effect is what a rule does.
type Effect int

// The effects.
const (
	// Code answers with a response code; the TPM does not see the command.
	Code Effect = iota + 1
	// Gone is a TPM that cannot be reached.
	Gone
	// Lost lets the TPM work and loses its answer.
	Lost
	// Delay makes the TPM slow by one time.
	Delay
	// Latency makes it slow as TPMs in the field are: half of the commands take up to
	// 200 ms, one in twenty more than 600 ms.
	Latency
	// Cleared clears the TPM for real before the command, once.
	Cleared
	// Locked answers as after too many wrong PINs, to commands with an authorisation.
	Locked
	// WrongKey makes the TPM work with another key: blobs do not load, ciphers do not
	// open, signatures do not verify.
	WrongKey
)

// Rule is one fault.
type Rule struct {
	// Command is the command code that it hits; 0 is every one.
	Command uint32
	Effect  Effect
	// Code is the response code of effect Code.
	Code uint32
	// Delay is that of effect Delay.
	Delay time.Duration
	// Skip is how many commands that fit pass first, Times how many are hit then; 0 is
	// all.
	Skip, Times int
}

// maxDelay bounds a delay: a TPM that is slower than this is gone.
const maxDelay = 10 * time.Minute

func (r Rule) check() error {
	switch {
	case r.Effect < Code || r.Effect > WrongKey:
		return fmt.Errorf("tpmfault: effect %d is none", int(r.Effect))
	case r.Effect == Code && r.Code == 0:
		return fmt.Errorf("tpmfault: a response code of 0 is success: give another")
	case r.Effect != Code && r.Code != 0, r.Effect != Delay && r.Delay != 0:
		return fmt.Errorf("tpmfault: the effect %s takes no code or delay", r.Effect)
	case r.Effect == Delay && (r.Delay <= 0 || r.Delay > maxDelay):
		return fmt.Errorf("tpmfault: a delay is more than 0 and at most %v", maxDelay)
	case r.Effect == Cleared && r.Times > 1:
		return fmt.Errorf("tpmfault: a TPM is cleared once by a rule")
	case r.Skip < 0 || r.Times < 0:
		return fmt.Errorf("tpmfault: skip and times are not below 0")
	}
	return nil
}

func (r Rule) fits(command []byte) bool {
	if r.Command != 0 && r.Command != codeOf(command) {
		return false
	}
	return r.Effect != Locked || binary.BigEndian.Uint16(command) == tagSessions
}

// String is the effect's word in the language.
func (e Effect) String() string {
	switch e {
	case Code:
		return "rc"
	case Gone:
		return "gone"
	case Lost:
		return "lost"
	case Delay:
		return "delay"
	case Latency:
		return "latency=field"
	case Cleared:
		return "cleared"
	case Locked:
		return "locked"
	case WrongKey:
		return "wrongkey"
	default:
		return "none"
	}
}

// String writes the rule in the language of [Parse].
func (r Rule) String() string {
	var b strings.Builder
	b.WriteString(commandName(r.Command) + ":" + r.Effect.String())
	switch r.Effect {
	case Code:
		fmt.Fprintf(&b, "=%#x", r.Code)
	case Delay:
		b.WriteString("=" + r.Delay.String())
	default:
	}
	if r.Skip > 0 {
		fmt.Fprintf(&b, ":skip=%d", r.Skip)
	}
	if r.Times > 0 && r.Effect != Cleared {
		fmt.Fprintf(&b, ":times=%d", r.Times)
	}
	return b.String()
}

// Parse reads rules, one a line or between semicolons:
//
//	Sign:rc=0x101:times=2      the next two signatures answer TPM_RC_FAILURE
//	*:gone                     no command reaches the TPM
//	HMAC:lost:skip=1:times=1   the second HMAC is done, its answer does not come
//	RSA_Decrypt:delay=200ms    slow
//	latency=field              every command as slow as in the field
//	Load:cleared               somebody clears the TPM before the next Load
//	*:locked                   locked after wrong PINs
//	*:wrongkey                 another key than it was
//
// Commands are named as in TCG Part 3, without "TPM2_", or by code as 0x15d.
func Parse(text string) ([]Rule, error) {
	var rules []Rule
	for _, line := range strings.FieldsFunc(text, func(r rune) bool { return r == ';' || r == '\n' }) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		r, err := parseRule(line)
		if err != nil {
			return nil, err
		}
		rules = append(rules, r)
	}
	return rules, nil
}

func parseRule(line string) (Rule, error) {
	parts := strings.Split(line, ":")
	if parts[0] == Latency.String() {
		parts = append([]string{"*"}, parts...)
	}
	var r Rule
	var err error
	if r.Command, err = commandCode(parts[0]); err != nil {
		return r, fmt.Errorf("tpmfault: rule %q: %w", line, err)
	}
	if len(parts) < 2 {
		return r, fmt.Errorf("tpmfault: rule %q: the effect is missing: rc=CODE, gone, lost, delay=TIME, latency=field, cleared, locked or wrongkey", line)
	}
	if err = r.parseEffect(parts[1]); err != nil {
		return r, fmt.Errorf("tpmfault: rule %q: %w", line, err)
	}
	for _, p := range parts[2:] {
		name, value, _ := strings.Cut(p, "=")
		n, err := strconv.ParseUint(value, 10, 31)
		switch {
		case err != nil || n == 0:
			return r, fmt.Errorf("tpmfault: rule %q: %q is not skip=N or times=N", line, p)
		case name == "skip" && r.Skip == 0:
			r.Skip = int(n)
		case name == "times" && r.Times == 0:
			r.Times = int(n)
		default:
			return r, fmt.Errorf("tpmfault: rule %q: %q is not skip=N or times=N, once each", line, p)
		}
	}
	if r.Effect == Cleared && r.Times == 0 {
		r.Times = 1
	}
	return r, r.check()
}

func (r *Rule) parseEffect(word string) error {
	name, value, has := strings.Cut(word, "=")
	switch name {
	case "rc":
		n, err := strconv.ParseUint(value, 0, 32)
		r.Effect, r.Code = Code, uint32(n)
		return err
	case "delay":
		d, err := time.ParseDuration(value)
		r.Effect, r.Delay = Delay, d
		return err
	}
	for e := Gone; e <= WrongKey; e++ {
		if word == e.String() && (has == (e == Latency)) {
			r.Effect = e
			return nil
		}
	}
	return fmt.Errorf("there is no effect %q", word)
}
