// Package flows runs flow scripts: a few commands that people and administrators
// would give, and below each the ladder of what then happened. The scripts under
// testdata are documentation that is checked; someone can learn the Primary
// Refresh Token by reading them.
package flows

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/datadriven"
	"go.opentelemetry.io/otel/trace"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/pkg/step"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/actor"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/chip"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/demo"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/ladder"
)

const (
	// commandTime bounds one command of a script.
	commandTime = 30 * time.Second
	// renewalCycle is how often a PRT is renewed while its user is signed in.
	renewalCycle = 4 * time.Hour
	// longestRetry is the longest wait after a renewal that met no network.
	longestRetry = 30 * time.Minute
	// wakeTime bounds the wait for a renewal clock that has nothing to do.
	wakeTime = 2 * time.Second
)

// Runner runs the commands of one script on one lab.
type Runner struct {
	cfg lab.Config
	lab *lab.Lab
	// own is true when the lab is the script's, not one that ran already.
	own    bool
	tenant demo.Tenant
	seats  map[string]*seat
	// device and desktops are those of the seat that the command is for.
	device   *lab.Device
	desktops map[string]actor.Desktop
	seat     *seat
	// chip is the TPM that a script handles, nil for one that handles none; saved is the
	// folder of a backup, or empty.
	chip  *chip.Chip
	saved string
	// profile and idle change the embedded tenants; empty is as they are.
	profile, idle string
	// crash is a crash point of lsa-cloudap that is armed, or empty; log is what the
	// components of a script's lab wrote.
	crash  atomic.Value
	die    func(at string)
	log    *logged
	passes map[string]secret.Text
	names  map[string]string
	// moving is told before the clocks are moved; nil is nobody.
	moving func(by time.Duration) error
	// last is the trace whose ladder was drawn last.
	last trace.TraceID
}

// New prepares a script with a lab of its own, which starts with the first command
// that needs one. cfg says how its devices reach the cloud and how session keys come
// to them; the script may add to it.
func New(cfg lab.Config) *Runner {
	return &Runner{cfg: cfg, tenant: demo.DefaultTenant(), seats: map[string]*seat{}, passes: map[string]secret.Text{}, names: map[string]string{}}
}

// On runs commands on a lab that runs already, whose first device is the one that is
// meant when a command names none. The lab stays the caller's.
func On(l *lab.Lab, devices ...*lab.Device) *Runner {
	r := New(lab.Config{})
	r.lab = l
	for _, d := range devices {
		r.seats[d.Name] = &seat{device: d, desktops: map[string]actor.Desktop{}}
	}
	return r
}

// BeforeAdvance has f called before the clocks are moved, by whatever command; they are
// not when it fails.
func (r *Runner) BeforeAdvance(f func(by time.Duration) error) { r.moving = f }

// OnCrash says how lsa-cloudap dies at a crash point that a script armed: do does not
// return. Without it a script has no crash points.
func (r *Runner) OnCrash(do func(at string)) { r.die = do }

// Close ends the lab of a script.
func (r *Runner) Close() error {
	var failed error
	if r.own {
		failed = r.lab.Close()
	}
	if r.chip != nil {
		failed = errors.Join(failed, r.chip.Close())
	}
	if r.saved != "" {
		failed = errors.Join(failed, os.RemoveAll(r.saved))
	}
	if r.profile != "" || r.idle != "" {
		failed = errors.Join(failed, os.Remove(r.cfg.Tenants))
	}
	return failed
}

// Run carries out one command and returns what a reader should see of it. The
// commands are documented at their cases.
func (r *Runner) Run(ctx context.Context, d *datadriven.TestData) string {
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	arg := args(d)
	switch d.Cmd {
	case proves: // proves REG10 what a reader should see
		return said(words(d))
	case "lab": // lab [domain] [without-broker] [profile=strict] [idle=240h] [crash-points] [log=debug] [set=(lsa-cloudap/NAME=VALUE)]
		return r.configure(d)
	case "plug": // plug chip|absent|old|file
		return r.plug(d)
	}
	// A command may say which device it is for: device=device-2.
	if err := r.sit(ctx, arg["device"]); err != nil {
		return failure(err)
	}
	return r.command(ctx, d, arg)
}

func (r *Runner) command(ctx context.Context, d *datadriven.TestData, arg map[string]string) string {
	switch d.Cmd {
	case "join": // join user=alice
		return r.join(ctx, arg)
	case "hybrid-join": // hybrid-join [tenant=fabrikam]
		return r.hybridJoin(ctx, arg)
	case "sync": // sync
		return outcome("the domain was synchronised with the tenant", r.device.Operator.Sync(ctx))
	case "recover": // recover user=alice
		return r.recoverDevice(ctx, arg)
	case "device": // device
		return r.deviceState(ctx)
	case "leave": // leave
		return outcome("the device left its tenant", r.device.Operator.Leave(ctx))
	case "sign-in": // sign-in user=alice [password=wrong] [pin=135790] [page with=pass]
		return r.signIn(ctx, arg)
	case "sign-out": // sign-out user=alice
		return r.signOut(ctx, arg)
	case "token": // token user=alice [app=CLIENTID] [resource=URI] [fresh] [interactive with=code]
		return r.token(ctx, arg)
	case "browse": // browse user=alice [private] [prompt=login] [cookie]
		return r.browse(ctx, arg)
	case "advance": // advance by=4h1m
		return r.advance(ctx, arg)
	case "offline": // offline
		return outcome("the device has no network", r.device.SetOffline(true))
	case "online": // online
		return outcome("the device has its network back", r.device.SetOffline(false))
	case "restart": // restart component=lsa-cloudap
		return outcome(arg["component"]+" was restarted", r.device.Restart(ctx, arg["component"]))
	case "admin", "sign-ins": // see admin.go
		return r.operate(ctx, d.Cmd, arg)
	case "state": // state
		return r.state(ctx)
	default:
		if out, known := r.onDevice(ctx, d, arg); known {
			return out
		}
		return r.further(ctx, d.Cmd, arg)
	}
}

// Play carries out one command as a person types it, such as "sign-in user=alice", on
// a device, the first one when it has no name. It answers what a reader should see,
// the trace that ran, if any, and whether the command failed.
func (r *Runner) Play(ctx context.Context, line, device string) (output string, id trace.TraceID, failed bool) {
	cmd, args, err := datadriven.ParseLine(line)
	if err != nil || cmd == "" {
		return failure(prterr.New(prterr.Invalid, "%.80q is no command such as: sign-in user=alice", line)), id, true
	}
	if device != "" {
		args = append(args, datadriven.CmdArg{Key: "device", Vals: []string{device}})
	}
	r.last = trace.TraceID{}
	output = r.Run(ctx, &datadriven.TestData{Cmd: cmd, CmdArgs: args})
	for l := range strings.Lines(output) {
		failed = failed || strings.HasPrefix(l, "error (") || strings.HasPrefix(l, "there is no command")
	}
	return output, r.last, failed
}

// args reads the arguments; one without a value is "yes".
func args(d *datadriven.TestData) map[string]string {
	m := map[string]string{}
	for _, a := range d.CmdArgs {
		m[a.Key] = "yes"
		if len(a.Vals) > 0 {
			m[a.Key] = strings.Join(a.Vals, ",")
		}
	}
	return m
}

// people are the users of the embedded tenants, with their passwords.
func (r *Runner) person(arg map[string]string) (string, secret.Text, error) {
	p, ok := demo.People()[arg["user"]]
	if !ok {
		return "", secret.Text{}, fmt.Errorf("there is no user %q", arg["user"])
	}
	if pw := arg["password"]; pw != "" {
		return p.UPN, secret.NewText(strings.ReplaceAll(pw, "-", " ")), nil
	}
	return p.UPN, p.Password, nil
}

func (r *Runner) join(ctx context.Context, arg map[string]string) string {
	upn, password, err := r.person(arg)
	if err == nil {
		_, err = r.device.Operator.Join(ctx, upn, password, r.seat.computer())
	}
	return outcome("the device joined the tenant of "+upn, err)
}

func (r *Runner) signIn(ctx context.Context, arg map[string]string) string {
	upn, password, err := r.person(arg)
	if err != nil {
		return failure(err)
	}
	var desktop actor.Desktop
	var id trace.TraceID
	said := ""
	switch {
	case arg["pin"] != "":
		desktop, id, err = r.device.LogonUI.SignInPIN(ctx, upn, secret.NewText(arg["pin"]))
	case arg["page"] != "":
		var prompts []string
		desktop, prompts, id, err = r.atPage(ctx, arg, upn)
		said = asked(desktop.DisplayName, prompts)
	default:
		desktop, id, err = r.device.LogonUI.SignIn(ctx, upn, password)
	}
	if err != nil {
		return r.ladder(ctx, id) + failure(err)
	}
	r.desktops[arg["user"]] = desktop
	if desktop.RenewalStarted {
		if err := r.device.Operator.AwaitSSOState(untraced(ctx), nil); err != nil {
			return failure(err)
		}
	}
	from := "by the identity provider"
	switch {
	case desktop.FromCache:
		from = "from the cache"
	case desktop.ByDomain:
		from = "by the domain"
	}
	if desktop.PRTPending {
		return r.ladder(ctx, id) + fmt.Sprintf("%s is in, checked by the domain; the PRT is still to come\n", desktop.DisplayName)
	}
	out := r.ladder(ctx, id) + said + fmt.Sprintf("%s is in, checked %s\n", desktop.DisplayName, from)
	if desktop.Kind != "password" {
		out += fmt.Sprintf("the session is one of %s\n", desktop.Kind)
	}
	return out
}

func (r *Runner) signOut(ctx context.Context, arg map[string]string) string {
	desktop := r.desktops[arg["user"]]
	delete(r.desktops, arg["user"])
	return outcome("signed out", r.device.LogonUI.SignOut(ctx, desktop))
}

func (r *Runner) token(ctx context.Context, arg map[string]string) string {
	app, resource := r.tenant.App, r.tenant.Resource
	if arg["app"] != "" {
		app = arg["app"]
	}
	if arg["resource"] != "" {
		resource = arg["resource"]
	}
	wish := actor.Wish{Resource: resource, Fresh: arg["fresh"] != "", Interactive: arg["interactive"] != ""}
	resp, said, id, err := r.ask(ctx, arg, app, wish)
	if err != nil {
		return r.ladder(ctx, id) + said + failure(err)
	}
	return r.ladder(ctx, id) + said + fmt.Sprintf("access token of %s for %s, scope %s\n", resp.GetUserPrincipalName(), resource, resp.GetScope())
}

func (r *Runner) browse(ctx context.Context, arg map[string]string) string {
	b := r.device.Browser
	b.Private = arg["private"] != ""
	page := r.tenant.Page
	page.Prompt = arg["prompt"]
	var cookie secret.Text
	if arg["cookie"] != "" {
		cookie = r.seat.cookie
	}
	v, err := b.Open(ctx, r.desktops[arg["user"]], page, cookie)
	switch {
	case err != nil:
		return r.ladder(ctx, v.Trace) + failure(err)
	case v.SignInPage:
		return r.ladder(ctx, v.Trace) + "the sign-in page asks for a credential\n"
	}
	r.seat.cookie = v.Cookie
	return r.ladder(ctx, v.Trace) + "signed in to the page without a question\n"
}

// state lists the partitions, with a name for each PRT in place of its digest.
func (r *Runner) state(ctx context.Context) string {
	parts, err := r.device.Operator.SSOState(ctx)
	if err != nil {
		return failure(err)
	}
	var b strings.Builder
	for _, p := range parts {
		fmt.Fprintf(&b, "%s %s: %s", p.GetUserPrincipalName(), p.GetCredentialKind(), r.prtName(p.GetPrtDigest()))
		if p.GetLastError() != "" {
			fmt.Fprintf(&b, ", last attempt failed: %s", p.GetLastError())
		}
		b.WriteByte('\n')
	}
	if len(parts) == 0 {
		return "no PRT on this device\n"
	}
	return b.String()
}

// ladder waits for the trace to be whole and draws it.
func (r *Runner) ladder(ctx context.Context, id trace.TraceID) string {
	if err := r.lab.Recorder().AwaitIdle(ctx, id); err != nil {
		return failure(err)
	}
	r.last = id
	spans := r.lab.Recorder().Trace(id)
	flow := step.Flow("")
	if all := ladder.Flows(spans); len(all) > 0 {
		flow = all[0]
	}
	return ladder.Build(flow, id, spans, true).Text()
}

func outcome(what string, err error) string {
	if err != nil {
		return failure(err)
	}
	return what + "\n"
}

func failure(err error) string {
	return fmt.Sprintf("error (%s): %v\n", prterr.KindOf(err), err)
}
