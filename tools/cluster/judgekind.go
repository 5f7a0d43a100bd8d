package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lockstep-sso/lockstep/tools/cluster/internal/checks"
	"github.com/lockstep-sso/lockstep/tools/cluster/internal/judge"
	"github.com/lockstep-sso/lockstep/tools/cluster/internal/kube"
	"github.com/lockstep-sso/lockstep/tools/cluster/internal/sh"
)

// stageKind is the name of the stage with a real cluster.
const stageKind = "kind"

// emulatedKeys is what the demo says of a device whose TPM's maker the operator named.
const emulatedKeys = "the tenant knows them to be emulated"

// netpolWithin bounds the probe of all network policies.
const netpolWithin = 10 * time.Minute

// judgeKind judges the running system. What comes later needs what came before, so it
// ends at the first stage without which nothing else can be said.
func judgeKind(ctx context.Context, w *world, court *judge.Court) error {
	names := checks.OnClusterOnly()
	if !court.Check(stageKind, names[0].Check, names[0].Row, func() (string, error) {
		return "every workload of the overlay demo", w.bringUp(ctx)
	}) {
		for _, n := range names[1:] {
			court.Skip(stageKind, n.Check, n.Row, "nothing runs")
		}
		return nil
	}
	c, err := w.running(ctx)
	if err != nil {
		return err
	}
	checks.Manifests{Cluster: c, Court: court, Stage: stageKind, Overlays: w.overlays(), Jobs: w.jobs()}.Run(ctx)
	w.judgeFlows(ctx, c, court)
	court.Check(stageKind, "network policies are enforced", "T5", func() (string, error) { return w.netpol(ctx) })
	checks.Intruders{Cluster: c, Court: court, Stage: stageKind}.Run(ctx)
	err = w.judgeFaults(ctx, c, court)
	w.judgeTwins(ctx, c, court)
	// At the end, so that whatever was written is there to be found.
	nodes, nodesErr := w.kind().Nodes(ctx)
	if nodesErr != nil {
		return errors.Join(err, nodesErr)
	}
	checks.Store{Cluster: c, Court: court, Shell: w.shell, Nodes: nodes, Stage: stageKind, Heard: w.heard}.Run(ctx)
	return err
}

// judgeFlows plays the flows and holds the traces that Jaeger has of them to the golden
// ladders.
func (w *world) judgeFlows(ctx context.Context, c *kube.Cluster, court *judge.Court) {
	court.Check(stageKind, "the four flows", "DEP01", func() (string, error) {
		out, err := w.playQuietly(ctx, c, "demo", "demo", "--deployment", deploymentFile)
		if err == nil && !strings.Contains(strings.Join(strings.Fields(out), " "), emulatedKeys) {
			err = fmt.Errorf("the cloud does not know the device's TPM for an emulated one: %s", tail(out, 300))
		}
		return lastLine(out), err
	})
	for _, flow := range []string{"first_sign_in", "app_token", "browser_sso", "renewal"} {
		court.Check(stageKind, "Jaeger's trace of "+flow+" is the golden ladder", "OBS05 OBS10", func() (string, error) {
			out, err := w.playQuietly(ctx, c, "trace", "ladder", "--flow", flow, "--jaeger", jaeger, "--check")
			return fmt.Sprintf("the same rows and calls, in a table of %d lines", strings.Count(out, "\n")), err
		})
	}
}

// playQuietly plays, and has what was printed in the error when it failed.
func (w *world) playQuietly(ctx context.Context, c *kube.Cluster, name string, args ...string) (string, error) {
	var out bytes.Buffer
	code, err := w.play(ctx, c, name, &out, args...)
	if err != nil {
		return "", err
	}
	if code != 0 {
		return out.String(), fmt.Errorf("exit code %d: %s", code, tail(out.String(), 600))
	}
	return out.String(), nil
}

// netpol runs the probe of the network policies, which is a target of its own.
func (w *world) netpol(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, w.set.Within(netpolWithin))
	defer cancel()
	var out bytes.Buffer
	err := w.shell.Run(ctx, sh.Job{Name: "make", Args: []string{"verify-netpol"}, Out: &out, Err: &out})
	if err != nil {
		return "", fmt.Errorf("%s", tail(out.String(), 800))
	}
	return lastLine(out.String()), nil
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return tail(lines[len(lines)-1], 200)
}

// tail is the end of a text, of at most n bytes.
func tail(text string, n int) string {
	text = strings.TrimSpace(text)
	if len(text) <= n {
		return text
	}
	return "..." + strings.ToValidUTF8(text[len(text)-n:], "")
}
