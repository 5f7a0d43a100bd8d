package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/lockstep-sso/lockstep/tools/cluster/internal/kind"
	"github.com/lockstep-sso/lockstep/tools/cluster/internal/kube"
	"github.com/lockstep-sso/lockstep/tools/cluster/internal/need"
	"github.com/lockstep-sso/lockstep/tools/cluster/internal/sh"
)

const (
	// readyWithin bounds the wait for the pods of one phase.
	readyWithin = 8 * time.Minute
	// imagesWithin bounds `make images`, which compiles everything the first time.
	imagesWithin = 30 * time.Minute
	// firstPRT is what requirement DEP01 allows from the command to the first PRT.
	firstPRT = 5 * time.Minute
	// signerNamespace is where the identities of all others come from.
	signerNamespace = "lockstep-identity"
)

func upCommand() *cobra.Command {
	cmd := command("up", "Make the cluster, bring the images in, deploy, wait for the first PRT", append(all(), need.Go(), need.Make()), up)
	cmd.Long = `Make the cluster, bring the images in, deploy, wait until all is ready, and sign somebody in.

What is there already is kept: a second call brings the newest images in and applies
what changed. It tells how long the first PRT took (requirement DEP01: five minutes).`
	return cmd
}

func downCommand() *cobra.Command {
	return command("down", "Remove the cluster with all that is in it", []need.Program{need.Docker(), need.Kind()}, func(ctx context.Context, w *world) error {
		if err := w.kind().Delete(ctx); err != nil {
			return err
		}
		w.say("the cluster %s is gone; the images stay with docker", w.set.Name)
		return nil
	})
}

func (w *world) kind() *kind.Kind {
	return kind.New(kind.Config{
		Shell: w.shell, Name: w.set.Name, File: w.set.Config, Image: w.set.NodeImage,
		Archives: filepath.Join(w.set.Root, "bin", "images"), Patience: w.set.Patience, Log: w.log,
	})
}

// up makes the cluster and the images at once: one waits for the disk, the other computes.
func up(ctx context.Context, w *world) error {
	if err := w.bringUp(ctx); err != nil {
		return err
	}
	c, err := w.running(ctx)
	if err != nil {
		return err
	}
	if err := w.measure(ctx, c); err != nil {
		return err
	}
	w.farewell()
	return nil
}

// bringUp ends when everything of the overlay demo is ready.
func (w *world) bringUp(ctx context.Context) error {
	k := w.kind()
	exists, err := k.Exists(ctx)
	if err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		if exists {
			w.say("the cluster %s is there", w.set.Name)
			return nil
		}
		w.say("making the cluster %s", w.set.Name)
		if err := k.Create(gctx); err != nil {
			return fmt.Errorf("the cluster: %w", err)
		}
		w.say("the cluster %s is made", w.set.Name)
		return nil
	})
	g.Go(func() error { return w.images(gctx) })
	if err := g.Wait(); err != nil {
		return err
	}
	c, err := w.running(ctx)
	if err != nil {
		return err
	}
	objects, err := c.Render(ctx, w.set.Overlay("demo"))
	if err != nil {
		return err
	}
	if err := w.load(ctx, k, c, objects); err != nil {
		return err
	}
	if err := w.nodes(ctx, c); err != nil {
		return err
	}
	if objects, err = w.render(ctx, c, w.set.Overlay("demo")); err != nil {
		return err
	}
	if err := w.deploy(ctx, c, objects); err != nil {
		return err
	}
	return w.removeOthers(ctx, c, "", objects)
}

// images builds the images. What make says is shown when it fails, or with progress
// lines of its own on standard error.
func (w *world) images(ctx context.Context) error {
	w.say("building the images")
	ctx, cancel := context.WithTimeout(ctx, w.set.Within(imagesWithin))
	defer cancel()
	log := filepath.Join(os.TempDir(), "lockstep-images.log")
	var said bytes.Buffer
	err := w.shell.Run(ctx, sh.Job{Name: "make", Args: []string{"images"}, Out: &said, Err: &said})
	if err != nil {
		if werr := os.WriteFile(log, said.Bytes(), 0o600); werr == nil {
			return fmt.Errorf("make images failed; all it said is in %s: %w", log, err)
		}
		return err
	}
	w.say("the images are built")
	return nil
}

// load brings every image that an overlay or the player names into the nodes.
func (w *world) load(ctx context.Context, k *kind.Kind, c *kube.Cluster, objects []kube.Object) error {
	wanted := objects
	dirs := []string{w.playerDir()}
	faulty, err := filepath.Glob(filepath.Join(w.overlays(), "faulty-*"))
	if err != nil {
		return fmt.Errorf("overlays: %w", err)
	}
	if len(faulty) > 0 {
		dirs = append(dirs, faulty[0]) // all of them have the one image of stand-ins
	}
	for _, dir := range dirs {
		more, err := c.Render(ctx, dir)
		if err != nil {
			return err
		}
		wanted = append(wanted, more...)
	}
	images, err := kube.Images(wanted)
	if err != nil {
		return err
	}
	w.say("bringing %d images into the nodes", len(images))
	return k.Load(ctx, images)
}

func (w *world) nodes(ctx context.Context, c *kube.Cluster) error {
	return c.WaitFor(ctx, "ready node", w.set.Within(readyWithin), []string{"kube-system"}, func(ctx context.Context) (bool, error) {
		out, err := c.Kubectl(ctx, "get", "nodes", "-o", `jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}`)
		ready := strings.Fields(string(out))
		for _, r := range ready {
			if r != "True" {
				return false, err
			}
		}
		return len(ready) > 0, err
	})
}

// deploy applies namespaces and the signer first: a pod whose identity is not there yet
// is tried again by the kubelet, but after waits that double up to two minutes.
func (w *world) deploy(ctx context.Context, c *kube.Cluster, objects []kube.Object) error {
	first := kube.Only(objects, func(o kube.Object) bool { return o.Namespace == "" || o.Namespace == signerNamespace })
	rest := kube.Missing(objects, first)
	w.say("deploying the signer of identities")
	if err := c.Apply(ctx, first); err != nil {
		return err
	}
	if err := c.WaitReady(ctx, first, w.set.Within(readyWithin)); err != nil {
		return err
	}
	page, err := w.jaegerPage()
	if err != nil {
		return err
	}
	rest = append(rest, page...)
	w.say("deploying everything else")
	if err := c.Apply(ctx, rest); err != nil {
		return err
	}
	if err := c.WaitReady(ctx, objects, w.set.Within(readyWithin)); err != nil {
		return err
	}
	return w.trustMakers(ctx, c, objects)
}

// jaegerPage makes Jaeger's page visible on the machine that runs kind.
func (w *world) jaegerPage() ([]kube.Object, error) {
	text, err := os.ReadFile(filepath.Join(w.set.Root, "deploy", "kind", "jaeger-page.yaml"))
	if err != nil {
		return nil, fmt.Errorf("jaeger's page: %w", err)
	}
	return kube.Split(text)
}

// measure signs somebody in, and says how long it took from the beginning of the command.
func (w *world) measure(ctx context.Context, c *kube.Cluster) error {
	w.say("signing somebody in")
	seen := &watcher{wanted: "PRT issuance during first sign-in"}
	code, err := w.play(ctx, c, "first-prt", seen, "demo", "--deployment", deploymentFile)
	if err != nil {
		return err
	}
	if code != 0 {
		return fmt.Errorf("the demo ended with exit code %d:\n%s", code, seen.text.String())
	}
	at := time.Now()
	if !seen.at.IsZero() {
		at = seen.at
	}
	took := at.Sub(w.began).Round(time.Second)
	verdict := "within"
	if took > firstPRT {
		verdict = "over"
	}
	w.say("FIRST PRT after %s, %s the %s of DEP01", took, verdict, firstPRT)
	return nil
}

func (w *world) farewell() {
	_, _ = fmt.Fprintf(w.out, `
Lockstep runs in the cluster %s. Next:
  make kind-demo                          play the four flows, read their ladders back from Jaeger
  make kind-trace FLOW=first_sign_in      the ladder of the newest trace of a flow
  make kind-fault C=tpm-agent RULES='(unavailable (first 3))'    break a component
  make kind-heal C=tpm-agent              and put it right again
  make cluster-test                       judge everything, with a table of verdicts
  make kind-down                          remove the cluster
Jaeger: http://localhost:16686 where the cluster's file maps it; else
  kubectl --context %s -n lockstep-observe port-forward svc/jaeger 16686
`, w.set.Name, w.set.Context())
}

// watcher keeps what is written and notes when a text came by.
type watcher struct {
	wanted string
	text   bytes.Buffer
	at     time.Time
}

// Write keeps and looks.
func (s *watcher) Write(p []byte) (int, error) {
	n, _ := s.text.Write(p)
	if s.at.IsZero() && strings.Contains(s.text.String(), s.wanted) {
		s.at = time.Now()
	}
	return n, nil
}

// kindCanBeHad says why there can be no cluster here, or nil.
func (w *world) kindCanBeHad(ctx context.Context) error {
	if err := need.Check(ctx, w.shell, all()...); err != nil {
		return err
	}
	return w.kind().CanBeHad(ctx)
}
