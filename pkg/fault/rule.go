package fault

import (
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

// Action is what a rule does to a call.
type Action int

// The actions.
const (
	// Unavailable answers as a component that is not there.
	Unavailable Action = iota + 1
	// Delay waits before the call goes on.
	Delay
	// FieldDelay waits as long as slow machines in the field take.
	FieldDelay
	// Drop never answers: the call ends with the caller's deadline, nothing is done.
	Drop
	// ExecuteThenTimeout has the real component act and tells the caller at once that the
	// deadline passed.
	ExecuteThenTimeout
	// Corrupt changes one field of the answer, or of the request.
	Corrupt
	// Duplicate delivers the request twice and returns the second answer.
	Duplicate
	// Reorder keeps the answer back until the next call was answered.
	Reorder
	// OtherDevice delivers the call to another device's component.
	OtherDevice
	// Answer gives an error in place of the real component's answer.
	Answer
	// Throttle refuses for a while and says for how long.
	Throttle
	// TPM is a rule for the TPM behind the stand-in; it strikes no call.
	TPM
)

// String is the action's word in the language.
func (a Action) String() string {
	words := [...]string{
		Unavailable: "unavailable", Delay: "delay", FieldDelay: "delay field", Drop: "drop", ExecuteThenTimeout: "execute-then-timeout",
		Corrupt: "corrupt", Duplicate: "duplicate", Reorder: "reorder", OtherDevice: "other-device", Answer: "answer", Throttle: "throttle", TPM: "tpm",
	}
	if a < Unavailable || int(a) >= len(words) {
		return "none"
	}
	return words[a]
}

// Rule is one fault, as Parse makes it.
type Rule struct {
	Action Action
	// Duration of Delay, more than 0 and at most 10 minutes, or of Throttle, at most a day
	// in whole seconds.
	Duration time.Duration
	// Field of Corrupt is the path of a field, names of protobuf with dots between; Request
	// says that it is the request's.
	Field   string
	Request bool
	// Code of Answer, or Kind where it is no code of the identity provider.
	Code aadsts.Code
	Kind prterr.Kind
	// TPM is a rule in the language of pkg/tpmfault.
	TPM string
	// When are conditions that all hold for a call that is struck.
	When []Condition
}

// Rules are asked in their order.
type Rules []Rule

// String writes the rules in the language of Parse, one a line.
func (rs Rules) String() string {
	var b strings.Builder
	for _, r := range rs {
		b.WriteString(r.String())
		b.WriteByte('\n')
	}
	return b.String()
}

// String writes the rule in the language of Parse.
func (r Rule) String() string {
	var b strings.Builder
	b.WriteByte('(')
	b.WriteString(r.Action.String())
	switch r.Action {
	case Delay, Throttle:
		b.WriteString(" " + r.Duration.String())
	case Corrupt:
		if r.Request {
			b.WriteString(" request")
		}
		b.WriteString(" " + strconv.Quote(r.Field))
	case Answer:
		if r.Code != 0 {
			b.WriteString(" " + strconv.Itoa(int(r.Code)))
		} else {
			b.WriteString(" " + string(r.Kind))
		}
	case TPM:
		b.WriteString(" " + strconv.Quote(r.TPM))
	default:
	}
	for _, c := range r.When {
		b.WriteString(" " + c.String())
	}
	b.WriteByte(')')
	return b.String()
}

// Decides says that no later rule is asked about a call that this one struck.
func (r Rule) Decides() bool { return r.Action != Delay && r.Action != FieldDelay }
