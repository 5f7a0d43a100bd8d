// Package flows runs flow scripts: a few commands that people and administrators
// would give, and below each the ladder of what then happened. The scripts under
// testdata are documentation that is checked; someone can learn the Primary
// Refresh Token by reading them.
package flows

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/datadriven"
	"go.opentelemetry.io/otel/trace"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/pkg/step"
	labv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lab/v1"
	"github.com/lockstep-sso/lockstep/tools/ladder"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/actor"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/chip"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/demo"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
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
	// faultSeed has what a script's rules leave to chance be the same in each run.
	faultSeed = 1
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
	crash atomic.Value
	die   func(at string)
	log   *logged
	// meters are what is counted, nil when nobody collects.
	meters *meters
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
	cfg.FaultSeed = cmp.Or(cfg.FaultSeed, faultSeed)
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
	case "lab": // lab [domain] [without-broker] [profile=strict] [idle=240h] [crash-points] [log=debug] [metrics] [set=(lsa-cloudap/NAME=VALUE)]
		return r.configure(d)
	case "plug": // plug chip|absent|old|file
		return r.plug(d)
	}
	if err := r.here(d.Cmd); err != nil {
		return failure(err)
	}
	// A command may say which device it is for: device=device-2.
	if err := r.sit(ctx, arg["device"]); err != nil {
		return failure(err)
	}
	if out, known := r.faults(ctx, d); known {
		return out
	}
	for _, s := range r.subjects() {
		if out, known := s(ctx, d.Cmd, arg); known {
			return out
		}
	}
	return fmt.Sprintf("there is no command %q: those of every day are join, sign-in, token, browse, sign-out, offline, online, advance, admin, stop, start, restart, state\n", d.Cmd)
}

// Play carries out one command as a person types it, such as "sign-in user=alice", on
// a device, the first one when it has no name. It answers what a reader should see,
// the trace that ran, if any, and whether the command failed.
func (r *Runner) Play(ctx context.Context, line, device string) (output string, id trace.TraceID, failed bool) {
	line, rules := withRules(line)
	cmd, args, err := datadriven.ParseLine(line)
	if err != nil || cmd == "" {
		return failure(prterr.New(prterr.Invalid, "%.80q is no command such as: sign-in user=alice", line)), id, true
	}
	if device != "" {
		args = append(args, datadriven.CmdArg{Key: "device", Vals: []string{device}})
	}
	r.last = trace.TraceID{}
	output = r.Run(ctx, &datadriven.TestData{Cmd: cmd, CmdArgs: args, Input: rules})
	for l := range strings.Lines(output) {
		failed = failed || strings.HasPrefix(l, "error (") || strings.HasPrefix(l, "there is no command")
	}
	return output, r.last, failed
}

// PlayCommand is Play in the words of prt.lab.v1.
func (r *Runner) PlayCommand(ctx context.Context, q *labv1.PlayCommandRequest) *labv1.PlayCommandResponse {
	output, id, failed := r.Play(ctx, q.GetCommand(), q.GetDevice())
	resp := &labv1.PlayCommandResponse{Output: output, Failed: failed}
	if id.IsValid() {
		resp.TraceId = id.String()
	}
	return resp
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
		return "", secret.Text{}, prterr.New(prterr.Invalid, "there is no user %.80q: say user= and one of %s", arg["user"], strings.Join(slices.Sorted(maps.Keys(demo.People())), ", "))
	}
	if pw := arg["password"]; pw != "" {
		return p.UPN, secret.NewText(strings.ReplaceAll(pw, "-", " ")), nil
	}
	return p.UPN, p.Password, nil
}

// ladder waits for the trace to be whole and draws it. That of a deployment is on its way
// over collectors, and is drawn by lockstep ladder.
func (r *Runner) ladder(ctx context.Context, id trace.TraceID) string {
	if r.lab.Elsewhere() {
		r.last = id
		return ""
	}
	if err := r.lab.Recorder().AwaitIdle(ctx, id); err != nil {
		return failure(err)
	}
	r.awaitOthers(ctx, id)
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
