// Package faults breaks a laboratory on purpose and looks whether what must never happen
// happens: a hunt draws a session of people and faults from one seed, runs it, and when
// something is broken makes the session as short as it can be. What it prints runs again,
// to the letter. Its tests hold docs/faults.txt: each fault of each component in each flow.
//
// What lives here: sessions, and what must hold after each of their lines. What never may:
// a fault itself, which is the stand-in's (services/faulty), and a rule of the system.
// lockstep hunt calls it.
package faults

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/flows"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// Config says how to hunt.
type Config struct {
	// Seed of what is left to chance, in sessions and in rules.
	Seed uint64
	// Invariants hold after each line; nil are those of Invariants.
	Invariants []Invariant
	// Progress is told what is done; nil is nobody.
	Progress func(string)
}

// Session is what happens, a command of the flow scripts a line, or "fault KEY RULES" and
// "heal KEY" for a component such as idp or device-1/tpm-agent.
type Session []string

// Text is a session as a file.
func (s Session) Text() string { return strings.Join(s, "\n") + "\n" }

// ParseSession reads one; lines that are empty or begin with # are left out.
func ParseSession(text string) (Session, error) {
	var s Session
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			s = append(s, line)
		}
	}
	if len(s) > maxLines {
		return nil, fmt.Errorf("the session has %d lines: at most %d are taken", len(s), maxLines)
	}
	return s, nil
}

// maxLines bounds a session.
const maxLines = 1000

// Run is a session that was run.
type Run struct {
	// Log is each line with what a reader sees of it, ladders and all.
	Log string
	// Breach is what was broken, nil when nothing was; its line is the last that ran.
	Breach *Breach
}

// Breach is an invariant that did not hold.
type Breach struct {
	Line      int
	Invariant string
	What      string
}

func (b *Breach) String() string {
	return fmt.Sprintf("line %d: %s: %s", b.Line+1, b.Invariant, b.What)
}

// Play runs a session on a laboratory of its own, up to the first line after which
// something does not hold.
func Play(ctx context.Context, cfg Config, s Session) (r Run, err error) {
	l, err := lab.Start(ctx, lab.Config{TPM: "mem:", FaultSeed: cfg.Seed | 1, StandIns: func(string) bool { return true }})
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	device, err := l.AddDevice(ctx)
	if err != nil {
		return r, err
	}
	runner, told := flows.On(l, device), &Told{SignedIn: map[string]bool{}}
	var log strings.Builder
	for i, line := range s {
		began := time.Now()
		told.Line, told.Output = line, play(ctx, l, runner, line)
		told.Took = time.Since(began)
		fmt.Fprintf(&log, "> %s\n%s", line, told.Output)
		if told.Devices, err = devices(ctx, device); err != nil {
			return r, fmt.Errorf("line %d, %s: the directory: %w", i+1, line, err)
		}
		told.count()
		if r.Breach = check(cfg, told, i); r.Breach != nil {
			break
		}
	}
	r.Log = log.String()
	return r, ctx.Err()
}

// play carries out one line.
func play(ctx context.Context, l *lab.Lab, runner *flows.Runner, line string) string {
	word, rest, _ := strings.Cut(line, " ")
	key, rules, _ := strings.Cut(rest, " ")
	var err error
	switch word {
	case "fault":
		err = l.SetRules(ctx, key, rules)
	case "heal":
		err = l.Heal(ctx, key)
	default:
		output, _, _ := runner.Play(ctx, line, "")
		return output
	}
	if err != nil {
		return fmt.Sprintf("error: %v\n", err)
	}
	return ""
}

func devices(ctx context.Context, d *lab.Device) (int, error) {
	list, err := directoryv1.NewReadServiceClient(d.Operator.Directory).ListDevices(ctx, &directoryv1.ListDevicesRequest{TenantId: contoso})
	return len(list.GetDevices()), err
}

// contoso is the tenant of the people of a session.
const contoso = "6babcaad-604b-40ac-a9d7-9fd97c0b779f"

func check(cfg Config, told *Told, i int) *Breach {
	all := cfg.Invariants
	if all == nil {
		all = Invariants()
	}
	for _, inv := range all {
		if what := inv.Broken(*told); what != "" {
			return &Breach{Line: i, Invariant: inv.Name, What: what}
		}
	}
	return nil
}
