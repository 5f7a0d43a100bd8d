// Package demo runs the four documented flows once, on one device, and shows
// every step. It is the shortest complete example of how a Primary Refresh Token
// is issued, renewed and used: read Run from top to bottom.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/pkg/step"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	stepv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/step/v1"
	"github.com/lockstep-sso/lockstep/tools/ladder"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/actor"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

const (
	// flowTime bounds one flow, and with it the wait for its background part; farTime does
	// where the components are elsewhere, and their spans take a way over collectors. What a
	// person waits for is bounded by flowTime there too.
	flowTime, farTime = 30 * time.Second, 3 * time.Minute
	// endTime bounds the end of a demo in a deployment.
	endTime = 10 * time.Second
	// renewalDue is a little more than the renewal cycle of four hours.
	renewalDue = 4*time.Hour + time.Minute
)

// Config says how the demo shows what it did.
type Config struct {
	Lab *lab.Lab
	Out io.Writer
	// JSON prints one object a step instead of tables.
	JSON bool
	// Hops also shows the calls between components that have no letter.
	Hops bool
	// Flow is the one flow that is shown; empty shows all. What it stands on runs too.
	Flow step.Flow
	// User is the first name of who signs in, one of People; empty is alice. The flows after
	// the first sign-in are those of alice's tenant.
	User string
	// Device is the name of a device of a deployment; empty is the first.
	Device string
	// Progress is told what takes long, and called with "" when it is over.
	Progress func(what string)
}

// Demo is one run.
type Demo struct {
	cfg     Config
	tenant  Tenant
	device  *lab.Device
	desktop actor.Desktop
	seen    map[stepv1.Step]bool
	summary []line
	// keys says where the keys of the device are, and what was proven of them.
	keys string
	ran  []Run
}

// Run is a flow that ran.
type Run struct {
	Flow step.Flow
	// Rows of its table that it has to have, in order.
	Rows  []stepv1.Step
	Trace trace.TraceID
}

// Ran are the flows that ran, in order.
func (d *Demo) Ran() []Run { return slices.Clone(d.ran) }

// New prepares a run.
func New(cfg Config) *Demo {
	if cfg.Progress == nil {
		cfg.Progress = func(string) {}
	}
	d := &Demo{cfg: cfg, tenant: DefaultTenant(), seen: map[stepv1.Step]bool{}}
	if d.cfg.User == "" {
		d.cfg.User = "alice"
	}
	who := People()[d.cfg.User]
	d.tenant.User, d.tenant.Password = who.UPN, who.Password
	return d
}

// part is one part of the demo, and the flow that it shows.
type part struct {
	flow step.Flow
	run  func(context.Context) error
}

// Run joins a device to the tenant and then runs the flows in the order in which
// a user meets them. It fails when a documented step is missing or out of order.
func (d *Demo) Run(ctx context.Context) (err error) {
	began := time.Now()
	defer func() { err = errors.Join(err, d.end(ctx)) }()
	most := flowTime
	if d.cfg.Lab.Elsewhere() {
		most = farTime
	}
	for _, p := range []part{
		{"", d.join},
		{step.FirstSignIn, d.firstSignIn},
		{step.AppToken, d.firstAppToken},
		{step.AppToken, d.secondAppToken},
		{step.BrowserSSO, d.browserSSO},
		{step.Renewal, d.renewal},
	} {
		// Every flow stands on a device that is joined and a user who is signed in.
		if p.flow != "" && p.flow != step.FirstSignIn && !d.shows(p.flow) {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, most)
		err := p.run(ctx)
		cancel()
		if err != nil {
			return err
		}
	}
	rows := 0
	for _, s := range step.All() {
		switch {
		case !d.shows(step.FlowOf(s)):
		case !d.seen[s]:
			return fmt.Errorf("flow %s: step %s never ran", step.FlowOf(s), step.Letter(s))
		default:
			rows++
		}
	}
	d.printSummary(time.Since(began), rows)
	return nil
}

// shows says whether a flow is to be shown.
func (d *Demo) shows(f step.Flow) bool { return d.cfg.Flow == "" || d.cfg.Flow == f }

// join gives the device an identity: a device key and a transport key, both made
// in its TPM, and a certificate from the tenant.
func (d *Demo) join(ctx context.Context) error {
	d.cfg.Progress("starting a device")
	defer d.cfg.Progress("")
	var err error
	if d.device, err = d.take(ctx); err != nil {
		return err
	}
	if err := d.leave(ctx); err != nil {
		return err
	}
	d.cfg.Progress("joining the device: its TPM makes two RSA-2048 keys")
	began := time.Now()
	by := joiner(d.cfg.User)
	joined, err := d.device.Operator.Join(ctx, by.UPN, by.Password, "DESKTOP-1")
	if err != nil {
		return fmt.Errorf("join the device: %w", err)
	}
	d.note("join", "device "+joined.GetDeviceId()+" joined", time.Since(began))
	s, err := d.device.Operator.DeviceState(ctx)
	if err != nil {
		return fmt.Errorf("state of the device: %w", err)
	}
	d.keys = "keys: " + s.GetKeyProvider() + "; the tenant knows them to be " + s.GetAttestedProtection()
	return nil
}

// take takes the device that is meant; a deployment has no more devices than it has.
func (d *Demo) take(ctx context.Context) (*lab.Device, error) {
	for {
		device, err := d.cfg.Lab.AddDevice(ctx)
		if err != nil || d.cfg.Device == "" || device.Name == d.cfg.Device {
			return device, err
		}
	}
}

// leave takes a device of a deployment out of the tenant that an earlier demo joined it
// to, so that a demo can run again and again.
func (d *Demo) leave(ctx context.Context) error {
	if !d.cfg.Lab.Elsewhere() {
		return nil
	}
	s, err := d.device.Operator.DeviceState(ctx)
	if err != nil {
		return fmt.Errorf("state of the device: %w", err)
	}
	if s.GetJoinState() == dsregv1.JoinState_JOIN_STATE_UNSPECIFIED || s.GetJoinState() == dsregv1.JoinState_JOIN_STATE_NONE {
		return nil
	}
	d.cfg.Progress("taking the device out of the tenant that an earlier demo joined it to")
	err = d.device.Operator.Leave(ctx)
	if prterr.CodeOf(err) == aadsts.DeviceAuthenticationFailed {
		d.cfg.Progress("the tenant does not know the device: its cloud is another one than that it joined")
		err = d.device.Operator.LeaveUntold(ctx)
	}
	if err != nil {
		return fmt.Errorf("leave the tenant: %w", err)
	}
	return nil
}

// firstSignIn: the device knows nothing of the user, so the credential goes to
// the identity provider, signed with the device key, and a PRT comes back.
func (d *Demo) firstSignIn(ctx context.Context) error {
	acting, cancel := context.WithTimeout(ctx, flowTime)
	defer cancel()
	desktop, id, err := d.device.LogonUI.SignIn(acting, d.tenant.User, d.tenant.Password)
	if err != nil {
		return fmt.Errorf("first sign-in: %w", err)
	}
	d.desktop = desktop
	return d.show(ctx, step.FirstSignIn, id, "PRT issuance during first sign-in", "ABCDEF")
}

// firstAppToken: the app has no refresh token yet, so WAM redeems the PRT.
func (d *Demo) firstAppToken(ctx context.Context) error {
	return d.appToken(ctx, "App token, the app's first request: no refresh token yet", "ACDE")
}

// secondAppToken: now it has one, and the PRT stays where it is.
func (d *Demo) secondAppToken(ctx context.Context) error {
	return d.appToken(ctx, "App token, a later request: the app's refresh token is used", "ABE")
}

func (d *Demo) appToken(ctx context.Context, title, rows string) error {
	acting, cancel := context.WithTimeout(ctx, flowTime)
	defer cancel()
	_, id, err := d.device.App(d.tenant.App).Token(acting, d.desktop, d.tenant.Resource, true)
	if err != nil {
		return fmt.Errorf("app token: %w", err)
	}
	return d.show(ctx, step.AppToken, id, title, rows)
}

// browserSSO: a web page sends the browser to the identity provider, and the PRT
// cookie signs the user in without a question.
func (d *Demo) browserSSO(ctx context.Context) error {
	acting, cancel := context.WithTimeout(ctx, flowTime)
	defer cancel()
	visit, err := d.device.Browser.Open(acting, d.desktop, d.tenant.Page, secret.Text{})
	if err != nil {
		return fmt.Errorf("browser sign-in: %w", err)
	}
	if visit.SignInPage {
		return fmt.Errorf("browser sign-in: the identity provider asked for a credential")
	}
	return d.show(ctx, step.BrowserSSO, visit.Trace, "Browser SSO with the PRT", "ABCDEF")
}

// renewal: four hours later the user unlocks the device. The credential is
// checked on the device, the desktop opens, and the PRT is renewed behind it.
func (d *Demo) renewal(ctx context.Context) error {
	// While a session is open the PRT is renewed on the clock; sign out, so that
	// the next sign-in is what starts the renewal.
	if err := d.device.LogonUI.SignOut(ctx, d.desktop); err != nil {
		return fmt.Errorf("sign out: %w", err)
	}
	d.desktop = actor.Desktop{}
	if err := d.cfg.Lab.Advance(ctx, renewalDue); err != nil {
		return err
	}
	desktop, id, err := d.device.LogonUI.SignIn(ctx, d.tenant.User, d.tenant.Password)
	if err != nil {
		return fmt.Errorf("cached sign-in: %w", err)
	}
	d.desktop = desktop
	return d.show(ctx, step.Renewal, id, "PRT renewal at a later sign-in, four hours on", "ABCDEFG")
}

// end signs the user out of the device of a deployment, also when a flow failed: the device
// goes on after the demo and would renew the PRT of an open session for ever.
func (d *Demo) end(ctx context.Context) error {
	if !d.cfg.Lab.Elsewhere() || d.desktop.Session.Empty() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTime)
	defer cancel()
	if err := d.device.LogonUI.SignOut(ctx, d.desktop); err != nil {
		return fmt.Errorf("sign out: %w", err)
	}
	return nil
}

// show waits for the whole flow, checks it and prints it.
func (d *Demo) show(ctx context.Context, flow step.Flow, id trace.TraceID, title, rows string) error {
	if !d.shows(flow) {
		return nil
	}
	want := rowsOf(flow, rows)
	d.ran = append(d.ran, Run{Flow: flow, Rows: want, Trace: id})
	read := ladder.Await
	if d.cfg.Lab.Elsewhere() {
		read, title = ladder.AwaitWhole, title+", trace "+id.String()
	}
	spans, waitErr := read(ctx, d.cfg.Lab.Traces(), id, want)
	l := ladder.Build(flow, id, spans, d.cfg.Hops)
	for _, s := range l.Rows() {
		d.seen[s] = true
	}
	if d.cfg.JSON {
		if err := l.JSON(d.cfg.Out); err != nil {
			return err
		}
	} else {
		l.Print(d.cfg.Out, title)
	}
	d.note(string(flow), "rows "+rows, l.Total)
	if err := l.Check(want); err != nil {
		return errors.Join(err, waitErr)
	}
	return waitErr
}

func rowsOf(flow step.Flow, letters string) []stepv1.Step {
	var rows []stepv1.Step
	for _, l := range letters {
		for _, s := range step.All() {
			if step.FlowOf(s) == flow && step.Letter(s) == string(l) {
				rows = append(rows, s)
			}
		}
	}
	return rows
}
