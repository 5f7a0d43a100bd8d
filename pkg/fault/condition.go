package fault

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/step"
	stepv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/step/v1"
)

// Words of conditions.
const (
	WordMethod = "method"
	WordStep   = "step"
	WordFlow   = "flow"
	WordCaller = "caller"
	WordUser   = "user"
	WordDevice = "device"
	WordPath   = "path"
	WordNth    = "nth"
	WordFrom   = "from"
	WordFirst  = "first"
	WordChance = "chance"
	WordAnd    = "and"
	WordOr     = "or"
	WordNot    = "not"
)

// million is the unit of Condition.N for a chance: parts of a million.
const million = 1_000_000

// Condition is one condition of a rule, as Parse makes it.
type Condition struct {
	// Word says which it is.
	Word string
	// Text is what a condition on text compares with: a method, caller, user, device or
	// path, the first and the last as patterns of path.Match.
	Text string
	// Step and Flow are those of the conditions of that name.
	Step stepv1.Step
	Flow step.Flow
	// N is the number of nth, from and first, and the parts of a million of chance.
	N int
	// Of are the conditions that and, or and not speak of.
	Of []Condition
}

// String writes the condition in the language of Parse.
func (c Condition) String() string {
	var b strings.Builder
	b.WriteString("(" + c.Word)
	switch c.Word {
	case WordMethod, WordUser, WordDevice, WordPath:
		b.WriteString(" " + strconv.Quote(c.Text))
	case WordCaller:
		b.WriteString(" " + c.Text)
	case WordStep:
		b.WriteString(" " + strings.TrimPrefix(c.Step.String(), stepPrefix))
	case WordFlow:
		b.WriteString(" " + string(c.Flow))
	case WordNth, WordFrom, WordFirst:
		fmt.Fprintf(&b, " %d", c.N)
	case WordChance:
		b.WriteString(" " + percent(c.N))
	}
	for _, of := range c.Of {
		b.WriteString(" " + of.String())
	}
	b.WriteByte(')')
	return b.String()
}

// percent writes parts of a million as per cent, without zeros at the end.
func percent(n int) string {
	const unit = million / 100
	if n%unit == 0 {
		return strconv.Itoa(n/unit) + "%"
	}
	return strings.TrimRight(fmt.Sprintf("%d.%04d", n/unit, n%unit), "0") + "%"
}

// Walk calls f for the condition and for all in it.
func (c Condition) Walk(f func(Condition)) {
	f(c)
	for _, of := range c.Of {
		of.Walk(f)
	}
}

// counts says that the condition depends on how many calls fitted before, or on chance.
func (c Condition) counts() bool {
	return slices.Contains([]string{WordNth, WordFrom, WordFirst, WordChance}, c.Word) || slices.ContainsFunc(c.Of, Condition.counts)
}

// conjuncts are the conditions of a rule with and taken apart: all of them have to hold.
func conjuncts(when []Condition) (all []Condition) {
	for _, c := range when {
		if c.Word == WordAnd {
			all = append(all, conjuncts(c.Of)...)
		} else {
			all = append(all, c)
		}
	}
	return all
}

// holds says whether a condition holds for a call that is the nth that fitted; draw
// decides a chance.
func (c Condition) holds(call Call, nth uint64, draw func(parts int) bool) bool {
	in := func(c Condition) bool { return c.holds(call, nth, draw) }
	switch c.Word {
	case WordMethod:
		return MatchMethod(c.Text, call.Method)
	case WordPath:
		ok, _ := path.Match(c.Text, call.Path) // the pattern was read before
		return ok && call.Path != ""
	case WordStep:
		return call.Step == c.Step
	case WordFlow:
		return call.Flow == c.Flow
	case WordCaller:
		return call.Caller == c.Text
	case WordUser:
		return call.User != "" && strings.EqualFold(call.User, c.Text)
	case WordDevice:
		return call.Device != "" && strings.EqualFold(call.Device, c.Text)
	case WordNth:
		return nth == uint64(c.N)
	case WordFrom:
		return nth >= uint64(c.N)
	case WordFirst:
		return nth <= uint64(c.N)
	case WordChance:
		return draw(c.N)
	case WordAnd:
		return !slices.ContainsFunc(c.Of, func(c Condition) bool { return !in(c) })
	case WordOr:
		return slices.ContainsFunc(c.Of, in)
	case WordNot:
		return !in(c.Of[0])
	default:
		return false
	}
}

// MatchMethod says whether a full method name, as /prt.tpm.v1.KeyService/SignAssertion,
// fits a pattern such as KeyService/SignAssertion, KeyService/* or
// prt.tpm.v1.KeyService/Sign*: the package of the service may be left out.
func MatchMethod(pattern, method string) bool {
	method = strings.TrimPrefix(method, "/")
	whole, _ := path.Match(pattern, method)
	short := method
	if slash := strings.IndexByte(method, '/'); slash > 0 {
		short = method[strings.LastIndexByte(method[:slash], '.')+1:]
	}
	bare, _ := path.Match(pattern, short)
	return (whole || bare) && method != ""
}
