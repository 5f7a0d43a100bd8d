package flows

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/status"
)

// show answers the commands that ask how sign-in on the device is; known is false for
// every other one.
func (r *Runner) show(ctx context.Context, cmd string, arg map[string]string) (out string, known bool) {
	switch cmd {
	case "status": // status [section=sso-state] [user=alice] [live]
		return r.status(ctx, arg), true
	case "check": // check [user=alice] [live]
		return r.check(ctx, arg), true
	case "why": // why [user=alice] [live]
		return r.why(ctx, arg), true
	case "partitions": // partitions [user=alice]
		return r.partitions(ctx, arg), true
	case "events": // events [all]: what the components logged since the last time, or ever
		if arg["all"] != "" {
			r.seat.log = nil
		}
		return r.events(ctx), true
	case "setting": // setting component=lsa-cloudap name=hello value=off
		r.device.Set(arg["component"], arg["name"], arg["value"])
		return outcome(fmt.Sprintf("%s has %s=%s", arg["component"], arg["name"], arg["value"]), r.device.Restart(ctx, arg["component"])), true
	case "stop": // stop component=wam-broker
		return outcome(arg["component"]+" was stopped", r.device.Stop(arg["component"])), true
	case "start": // start component=wam-broker
		return outcome(arg["component"]+" was started", r.device.Resume(ctx, arg["component"])), true
	default:
		return "", false
	}
}

// statusDoor is the operator's way to the components of the device.
func (r *Runner) statusDoor(ctx context.Context) (d status.Door, err error) {
	dial := func(component string) (conn grpc.ClientConnInterface) {
		if component == "wam-broker" && r.cfg.WithoutBroker {
			return nil
		}
		conn, failed := r.lab.Dial(ctx, "operator", r.device.Key(component))
		err = errors.Join(err, failed)
		return conn
	}
	d = status.Door{Dsreg: dial("dsreg"), LSA: dial("lsa-cloudap"), Broker: dial("wam-broker"), TPM: dial("tpm-agent")}
	return d, err
}

func (r *Runner) facts(ctx context.Context, arg map[string]string) (status.Facts, error) {
	d, err := r.statusDoor(ctx)
	if err != nil {
		return status.Facts{}, err
	}
	ask := status.Ask{Live: arg["live"] != "", Now: time.Now().Add(r.lab.Ahead())}
	if arg["user"] != "" {
		if ask.User, _, err = r.person(arg); err != nil {
			return status.Facts{}, err
		}
	}
	return status.Gather(ctx, d, ask), nil
}

func (r *Runner) status(ctx context.Context, arg map[string]string) string {
	f, err := r.facts(ctx, arg)
	if err != nil {
		return failure(err)
	}
	var shown []status.Section
	for _, s := range status.Status(f) {
		if arg["section"] == "" || strings.ReplaceAll(status.Snake(s.Title), "_", "-") == arg["section"] {
			shown = append(shown, s)
		}
	}
	var b strings.Builder
	if len(shown) == 0 {
		return "the section is not shown\n"
	}
	for _, s := range shown {
		fmt.Fprintf(&b, "%s\n", s.Title)
		writeShown(&b, s.Entries)
	}
	return r.stable(b.String())
}

// writeShown is the layout of a script: shorter than the one on a screen, and with no
// blank line, which would end the output.
func writeShown(b *strings.Builder, entries []status.Entry) {
	for _, e := range entries {
		fmt.Fprintf(b, "%*s : %s\n", 26, e.Label, e.Value)
		writeShown(b, e.Fields)
	}
}

func (r *Runner) check(ctx context.Context, arg map[string]string) string {
	f, err := r.facts(ctx, arg)
	if err != nil {
		return failure(err)
	}
	found := status.Check(f)
	if len(found) == 0 {
		return "exit 0\n"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "exit %d\n", found[0].Exit)
	for _, p := range found {
		fmt.Fprintf(&b, "%s\n", p.Text)
	}
	return r.stable(b.String())
}

func (r *Runner) why(ctx context.Context, arg map[string]string) string {
	f, err := r.facts(ctx, arg)
	if err != nil {
		return failure(err)
	}
	var b strings.Builder
	if err := status.WriteWhy(&b, status.Why(f)); err != nil {
		return failure(err)
	}
	return r.stable(strings.ReplaceAll(b.String(), "\n\n", "\n"))
}

func (r *Runner) partitions(ctx context.Context, arg map[string]string) string {
	f, err := r.facts(ctx, arg)
	if err != nil {
		return failure(err)
	}
	var b strings.Builder
	for _, p := range f.Partitions() {
		fmt.Fprintf(&b, "%s %s: %s\n", p.User, p.Credential, p)
	}
	if b.Len() == 0 {
		return "no PRT is cached\n"
	}
	return r.stable(b.String())
}

func (r *Runner) events(ctx context.Context) string {
	if r.seat.log == nil {
		d, err := r.statusDoor(ctx)
		if err != nil {
			return failure(err)
		}
		r.seat.log = status.NewEvents(d, status.Filter{})
	}
	found, missing := r.seat.log.Read(ctx)
	var b strings.Builder
	lines := status.Lines{Bare: true}
	if err := lines.Write(&b, found); err != nil {
		return failure(err)
	}
	for _, m := range missing {
		fmt.Fprintf(&b, "%s: %s\n", m.Component, m.Reason)
	}
	if b.Len() == 0 {
		return "no events\n"
	}
	return r.stable(b.String())
}

// stable gives what is another at each run a name: times, traces, and everything that is
// made at random, which gets a number in the order in which a reader meets it.
func (r *Runner) stable(s string) string {
	s = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} UTC`).ReplaceAllString(s, "TIME")
	s = regexp.MustCompile(`(KeyContainerId : )\S+`).ReplaceAllString(s, "${1}KEYSET")
	s = regexp.MustCompile(`(NgcKeyId : )\S+`).ReplaceAllString(s, "${1}{KEY}")
	s = r.renamed(s, regexp.MustCompile(`\b[0-9a-f]{32}\b`), "TRACE")
	s = regexp.MustCompile(`\bS-1-(12-1|5-21)(-\d+)+\b`).ReplaceAllString(s, "S-1-$1-...")
	s = regexp.MustCompile(`\b[0-9A-F]{40}\b`).ReplaceAllString(s, "THUMBPRINT")
	return r.renamed(s, regexp.MustCompile(`\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b`), "ID")
}

// renamed gives each match a name of its own: KIND-1, KIND-2.
func (r *Runner) renamed(s string, what *regexp.Regexp, kind string) string {
	return what.ReplaceAllStringFunc(s, func(id string) string { return r.named(kind, id) })
}
