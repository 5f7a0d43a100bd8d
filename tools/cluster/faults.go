package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/lockstep-sso/lockstep/tools/cluster/internal/judge"
	"github.com/lockstep-sso/lockstep/tools/cluster/internal/kube"
)

//go:embed faults.yaml
var faultTable []byte

// faultRow is a line of the table: what is broken, and what comes of it.
type faultRow struct {
	Component string   `yaml:"component"`
	Rules     string   `yaml:"rules"`
	Who       string   `yaml:"who"`
	Before    []string `yaml:"before"`
	Play      []string `yaml:"play"`
	Outcome   string   `yaml:"outcome"`
	Says      string   `yaml:"says"`
	Why       string   `yaml:"why"`
}

// play are the arguments of the player.
func (r faultRow) play() []string {
	if len(r.Play) > 0 {
		return playOf(slices.Concat([]string{"heal " + r.Component}, r.Before, []string{"fault " + r.Component + " " + r.Rules}, r.Play)...)
	}
	demo := []string{"demo", "--deployment", deploymentFile}
	if r.Who != "" {
		demo = append(demo, "--user", r.Who, "--flow", "first_sign_in")
	}
	return demo
}

// name is the name of the check of a row.
func (r faultRow) name() string {
	switch {
	case r.Who != "":
		return r.Component + " " + r.Rules + ", " + r.Who + " signs in: " + r.Outcome
	case len(r.Play) > 0:
		return r.Component + " " + r.Rules + ", " + strings.Join(r.Play, ", ") + ": " + r.Outcome
	}
	return r.Component + " " + r.Rules + ": " + r.Outcome
}

// The outcomes of the table.
const (
	works = "works"
	fails = "fails"
)

// faultRows reads the table.
func faultRows() ([]faultRow, error) {
	var rows []faultRow
	if err := yaml.UnmarshalWithOptions(faultTable, &rows, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("faults.yaml: %w", err)
	}
	for i := range rows {
		r := &rows[i]
		if r.Component == "" || r.Rules == "" || r.Why == "" || r.Outcome != works && r.Outcome != fails || r.Outcome == fails && r.Says == "" {
			return nil, fmt.Errorf("faults.yaml: row %d: it needs component, rules, why, outcome works or fails, and says when it fails", i+1)
		}
		if len(r.Play) > 0 && (r.Who != "" || r.Says == "") || len(r.Before) > 0 && len(r.Play) == 0 {
			return nil, fmt.Errorf("faults.yaml: row %d: who is for the demo, before is for a play, and a play has to say something", i+1)
		}
		if _, err := regexp.Compile(r.Says); err != nil {
			return nil, fmt.Errorf("faults.yaml: row %d: %w", i+1, err)
		}
	}
	return rows, nil
}

// judgeFaults breaks one component after the other, and shows at the end that what was
// healed works.
func (w *world) judgeFaults(ctx context.Context, c *kube.Cluster, court *judge.Court) error {
	rows, err := faultRows()
	if err != nil {
		return err
	}
	var last string
	for _, component := range components(rows) {
		if !slices.ContainsFunc(rows, func(r faultRow) bool { return r.Component == component && court.Wants(r.name()) }) {
			continue
		}
		if !court.Need(stageKind, component+" makes room for a stand-in", "FLT01", func() (string, error) {
			return "the stand-in is ready", w.swapIn(ctx, c, component)
		}) {
			continue
		}
		last = component
		for _, r := range rows {
			if r.Component == component {
				court.Check(stageKind, r.name(), "FLT01", func() (string, error) { return w.broken(ctx, c, r) })
			}
		}
	}
	if last == "" {
		return nil
	}
	court.Need(stageKind, "healed, the four flows run again", "FLT01", func() (string, error) {
		if err := w.heal(ctx, c, last); err != nil {
			return "", err
		}
		out, err := w.playQuietly(ctx, c, "demo", "demo", "--deployment", deploymentFile)
		return lastLine(out), err
	})
	return nil
}

// components are those of the table, in its order.
func components(rows []faultRow) []string {
	var all []string
	for _, r := range rows {
		if !slices.Contains(all, r.Component) {
			all = append(all, r.Component)
		}
	}
	return all
}

// broken sets the rules, plays, and compares what came out with the table.
func (w *world) broken(ctx context.Context, c *kube.Cluster, r faultRow) (string, error) {
	var out bytes.Buffer
	if len(r.Play) == 0 { // a play sets them itself, when it has done what comes before
		if err := w.setRules(ctx, c, r.Component, r.Rules, &out); err != nil {
			return "", err
		}
		out.Reset()
	}
	code, err := w.play(ctx, c, "broken", &out, r.play()...)
	if err != nil {
		return "", err
	}
	if err := r.compare(code, out.String()); err != nil {
		return "", err
	}
	return fmt.Sprintf("exit code %d: %s", code, lastLine(out.String())), nil
}

// compare holds an exit code and an output to the row.
func (r faultRow) compare(code int, out string) error {
	var bad []error
	if (code == 0) != (r.Outcome == works) {
		bad = append(bad, fmt.Errorf("exit code %d, but it %s: %s", code, r.Outcome, r.Why))
	}
	if r.Says != "" && !regexp.MustCompile(r.Says).MatchString(out) {
		bad = append(bad, fmt.Errorf("it does not say %q", r.Says))
	}
	if len(bad) > 0 {
		bad = append(bad, errors.New(tail(out, 500)))
	}
	return errors.Join(bad...)
}
