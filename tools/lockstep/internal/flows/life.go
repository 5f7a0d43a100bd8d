package flows

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/actor"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// pendingMinutes bounds the wait for a PRT behind a sign-in by the domain, in minutes by
// the clock of the lab; each takes pendingWait.
const (
	pendingMinutes = 60
	pendingWait    = 50 * time.Millisecond
)

// foreignProvider is a credential provider that nobody here knows.
const foreignProvider = "{9f9a1c1e-3a0c-4c39-9d4b-1f0e6a1f7c55}"

// life carries out the commands about how a session lives; known is false for every
// other one.
func (r *Runner) life(ctx context.Context, command string, arg map[string]string) (out string, known bool) {
	do, known := map[string]func(context.Context, map[string]string) string{
		"unlock":           r.unlock,          // unlock user=alice [password=wrong] [pin=135790]
		"guess":            r.guess,           // guess user=alice n=9: so many wrong passwords
		"local-account":    r.localAccount,    // local-account name=frank password=own-password
		"local-sign-in":    r.localSignIn,     // local-sign-in name=frank password=own-password
		"unknown-provider": r.unknownProvider, // unknown-provider user=alice
		"reach":            r.reach,           // reach part=idp|domain [off|stall]
		"break-glass":      r.breakGlass,      // break-glass for=24h|close
		"await-prt":        r.awaitPRT,        // await-prt user=carol
		"standing":         r.standing,        // standing: what the device learnt of PRTs and users
		"days":             r.days,            // days n=15 user=alice: each day an unlock and a fresh token
	}[command]
	if !known {
		return "", false
	}
	return do(ctx, arg), true
}

func (r *Runner) localAccount(ctx context.Context, arg map[string]string) string {
	id, err := r.device.Operator.PutLocalAccount(ctx, arg["name"], secret.NewText(arg["password"]))
	return outcome("the device has an account "+arg["name"]+" of its own, "+stableSID(id), err)
}

// guess types wrong passwords at the sign-in screen and shows what the last one gets.
func (r *Runner) guess(ctx context.Context, arg map[string]string) string {
	upn, _, err := r.person(arg)
	if err != nil {
		return failure(err)
	}
	n, err := count(arg["n"])
	for range n {
		if _, _, err = r.device.LogonUI.SignIn(ctx, upn, secret.NewText("a guess")); err == nil {
			err = errors.New("a guess was right")
			break
		}
	}
	return failure(err)
}

// count reads a number of times.
func count(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > 60 {
		return 0, fmt.Errorf("n is %.20q: 1 to 60", s)
	}
	return n, nil
}

func (r *Runner) unknownProvider(ctx context.Context, arg map[string]string) string {
	upn, _, err := r.person(arg)
	if err != nil {
		return failure(err)
	}
	_, id, err := r.device.LogonUI.SignInOther(ctx, upn, foreignProvider, secret.NewBytes([]byte("what it gave")))
	return r.ladder(ctx, id) + outcome("signed in", err)
}

func (r *Runner) reach(_ context.Context, arg map[string]string) string {
	if arg["stall"] != "" {
		return outcome(arg["part"]+" takes what is sent and answers nothing", r.device.Stall(arg["part"]))
	}
	off := arg["off"] != ""
	how := "back"
	if off {
		how = "out of reach"
	}
	return outcome(arg["part"]+" is "+how, r.device.SetReach(arg["part"], off))
}

func (r *Runner) unlock(ctx context.Context, arg map[string]string) string {
	_, password, err := r.person(arg)
	if err != nil {
		return failure(err)
	}
	renewing, kind, id, err := r.device.LogonUI.Unlock(ctx, r.desktops[arg["user"]], password, secret.NewText(arg["pin"]))
	if err != nil {
		return r.ladder(ctx, id) + failure(err)
	}
	said := "unlocked, nothing is due"
	if renewing {
		if err := r.device.Operator.AwaitSSOState(ctx, nil); err != nil {
			return failure(err)
		}
		said = "unlocked, and a renewal went on behind it"
	}
	out := r.ladder(ctx, id) + said + "\n"
	if d := r.desktops[arg["user"]]; d.Kind != kind {
		d.Kind = kind
		r.desktops[arg["user"]] = d
		out += "the session is one of " + kind + " now\n"
	}
	return out
}

func (r *Runner) localSignIn(ctx context.Context, arg map[string]string) string {
	desktop, id, err := r.device.LogonUI.SignIn(ctx, arg["name"], secret.NewText(arg["password"]))
	if err != nil {
		return r.ladder(ctx, id) + failure(err)
	}
	r.desktops[arg["name"]] = desktop
	return r.ladder(ctx, id) + fmt.Sprintf("%s is in as %s, without a PRT\n", desktop.DisplayName, stableSID(desktop.SID))
}

func (r *Runner) breakGlass(ctx context.Context, arg map[string]string) string {
	if arg["close"] != "" {
		return outcome("break-glass is closed", r.device.Operator.CloseBreakGlass(ctx))
	}
	d, err := lab.ParseDuration(arg["for"])
	if err == nil {
		err = r.device.Operator.OpenBreakGlass(ctx, d)
	}
	return outcome("break-glass is open for "+arg["for"], err)
}

// awaitPRT waits for what goes on behind a sign-in by the domain, and lets the minutes
// pass after which it is tried again.
func (r *Runner) awaitPRT(ctx context.Context, arg map[string]string) string {
	upn, _, err := r.person(arg)
	if err != nil {
		return failure(err)
	}
	for range pendingMinutes {
		parts, err := r.device.Operator.SSOState(ctx)
		if err != nil {
			return failure(err)
		}
		for _, p := range parts {
			if p.GetUserPrincipalName() == upn && p.GetSessions() > 0 {
				return "the session has its PRT, and nobody did anything\n"
			}
		}
		time.Sleep(pendingWait)
		if err := r.lab.Advance(ctx, time.Minute); err != nil {
			return failure(err)
		}
	}
	return failure(errors.New("no PRT has come"))
}

// standing is what the device learnt of PRTs and of users.
func (r *Runner) standing(ctx context.Context, _ map[string]string) string {
	state, err := r.device.Operator.State(ctx)
	if err != nil {
		return failure(err)
	}
	var b strings.Builder
	for _, p := range state.GetPartitions() {
		used := map[uint32]string{0: "nobody is signed in with it", 1: "one session uses it"}[p.GetSessions()]
		if used == "" {
			used = fmt.Sprintf("%d sessions use it", p.GetSessions())
		}
		fmt.Fprintf(&b, "%s %s: the PRT is %s, %s\n", p.GetUserPrincipalName(), p.GetCredentialKind(), inWords(p.GetValidity()), used)
	}
	for _, u := range state.GetUsers() {
		if u.GetBlockedCode() != 0 {
			fmt.Fprintf(&b, "%s is kept out: %s\n", u.GetUserPrincipalName(), aadsts.Code(u.GetBlockedCode()))
		}
	}
	if state.GetBreakGlassUntil() != nil {
		b.WriteString("break-glass is open\n")
	}
	if b.Len() == 0 {
		return "the device knows nobody\n"
	}
	return b.String()
}

// inWords is what a device knows of a PRT.
func inWords(v authorityv1.PRTValidity) string {
	return map[authorityv1.PRTValidity]string{
		authorityv1.PRTValidity_PRT_VALIDITY_GOOD:           "good",
		authorityv1.PRTValidity_PRT_VALIDITY_EXPIRED:        "past its end",
		authorityv1.PRTValidity_PRT_VALIDITY_REVOKED:        "refused for good",
		authorityv1.PRTValidity_PRT_VALIDITY_DEVICE_INVALID: "of a device that is refused",
		authorityv1.PRTValidity_PRT_VALIDITY_KEYS_LOST:      "without its key",
	}[v]
}

// days lives some days in a row: on each the user comes back to the locked screen, and
// an app asks anew. Every answer has to come without a question.
func (r *Runner) days(ctx context.Context, arg map[string]string) string {
	_, password, err := r.person(arg)
	if err != nil {
		return failure(err)
	}
	n, err := count(arg["n"])
	if err != nil {
		return failure(err)
	}
	prts := map[string]bool{}
	for day := range n {
		if err := r.Advance(ctx, 24*time.Hour); err != nil {
			return failure(err)
		}
		_, _, _, err := r.device.LogonUI.Unlock(ctx, r.desktops[arg["user"]], password, secret.Text{})
		if err == nil {
			err = r.device.Operator.AwaitSSOState(ctx, nil)
		}
		if err == nil {
			_, _, err = r.device.App(r.tenant.App).Ask(ctx, r.desktops[arg["user"]], actor.Wish{Resource: r.tenant.Resource, Fresh: true})
		}
		if err != nil {
			return failure(fmt.Errorf("on day %d: %w", day+1, err))
		}
		parts, err := r.device.Operator.SSOState(ctx)
		if err != nil {
			return failure(err)
		}
		for _, p := range parts {
			prts[p.GetPrtDigest()] = true
		}
	}
	return fmt.Sprintf("%d days, each with its unlock, its token and its PRT: %d PRTs, no question\n", n, len(prts))
}

var machineSID = regexp.MustCompile(`^S-1-5-21-\d+-\d+-\d+-`)

// stableSID has no number that is drawn at random: the one of the machine.
func stableSID(s string) string { return machineSID.ReplaceAllString(s, "S-1-5-21-<this machine>-") }
