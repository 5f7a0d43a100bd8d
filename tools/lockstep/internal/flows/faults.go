package flows

import (
	"context"
	"fmt"
	"strings"

	"github.com/cockroachdb/datadriven"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

// Commands about stand-ins. Rules stand below the command in a script, and on its line
// elsewhere: fault tpm-agent (delay 200ms)
const (
	faultCommand  = "fault"  // fault COMPONENT [device=device-2] RULES: a stand-in breaks its calls
	healCommand   = "heal"   // heal COMPONENT: the stand-in hands everything on
	faultsCommand = "faults" // faults COMPONENT: what struck how often
)

// withRules takes the rules off a command that has some, from its first parenthesis, or
// its first comment, on.
func withRules(line string) (command, rules string) {
	if word, _, _ := strings.Cut(strings.TrimSpace(line), " "); word != faultCommand {
		return line, ""
	}
	if at := strings.IndexAny(line, "(;"); at >= 0 {
		return line[:at], line[at:]
	}
	return line, ""
}

// faults carries out a command about stand-ins; known is false when it is none.
func (r *Runner) faults(ctx context.Context, d *datadriven.TestData) (out string, known bool) {
	if d.Cmd != faultCommand && d.Cmd != healCommand && d.Cmd != faultsCommand {
		return "", false
	}
	if len(d.CmdArgs) == 0 || len(d.CmdArgs[0].Vals) > 0 {
		return failure(prterr.New(prterr.Invalid, "say whom: %s tpm-agent, or another component of the device, idp or adfs", d.Cmd)), true
	}
	component := d.CmdArgs[0].Key
	key := component
	if component != "idp" && component != "adfs" {
		key = r.device.Key(component)
	}
	switch d.Cmd {
	case healCommand:
		return outcome(component+" is whole again", r.lab.Heal(ctx, key)), true
	case faultsCommand:
		return r.struck(ctx, key), true
	}
	if strings.TrimSpace(d.Input) == "" {
		return failure(prterr.New(prterr.Invalid, "say how %s fails, such as (unavailable); with heal %s it is whole again", component, component)), true
	}
	// What starts stays longer than the command.
	if err := r.lab.SwapIn(context.WithoutCancel(ctx), key, d.Input); err != nil {
		return failure(err), true
	}
	return fmt.Sprintf("a stand-in for %s breaks what it is told to\n", component), true
}

// struck tells the rules of a stand-in with their counts.
func (r *Runner) struck(ctx context.Context, key string) string {
	rules, err := r.lab.Rules(ctx, key)
	if err != nil {
		return failure(err)
	}
	var b strings.Builder
	for _, s := range rules.GetRules() {
		fmt.Fprintf(&b, "%s: fitted %d, struck %d\n", s.GetRule(), s.GetSeen(), s.GetStruck())
	}
	if b.Len() == 0 {
		return "nothing breaks\n"
	}
	return b.String()
}
