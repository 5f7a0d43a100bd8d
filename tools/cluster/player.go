package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstep-sso/lockstep/tools/cluster/internal/kube"
	"github.com/lockstep-sso/lockstep/tools/cluster/internal/need"
)

const (
	// deploymentFile is where the player's pod has the file that says where everything is.
	deploymentFile = "/etc/lockstep/deployment.yaml"
	// jaeger is the address of its API inside the cluster.
	jaeger = "http://jaeger.lockstep-observe.svc.cluster.local.:16686"
	// startWithin bounds the start of a player's pod, playWithin what it plays.
	startWithin = 6 * time.Minute
	playWithin  = 10 * time.Minute
	// reachWithin bounds the wait of a pod that just started for the network, and for a
	// stand-in that is in its Service a moment after it is ready.
	reachWithin = time.Minute
)

func (w *world) playerDir() string { return filepath.Join(w.jobs(), "demo") }

// play runs the lockstep program in a pod of the player, and returns its exit code.
func (w *world) play(ctx context.Context, c *kube.Cluster, name string, out io.Writer, args ...string) (int, error) {
	return w.errand(ctx, c, kube.Errand{Name: name, Args: args}, out)
}

// errand is play for an errand that has a name, arguments, and whether it is alone.
func (w *world) errand(ctx context.Context, c *kube.Cluster, e kube.Errand, out io.Writer) (int, error) {
	objects, err := c.Render(ctx, w.playerDir())
	if err != nil {
		return 0, err
	}
	jobs := kube.Only(objects, func(o kube.Object) bool { return o.Kind == "Job" })
	if len(jobs) != 1 {
		return 0, fmt.Errorf("%s renders %d Jobs, and one is needed", w.playerDir(), len(jobs))
	}
	e.Like, e.Start, e.Within = jobs[0], w.set.Within(startWithin), w.set.Within(playWithin)
	return c.Run(ctx, e, io.MultiWriter(out, w.heard))
}

// played plays with the output for the user, and ends with the player's own exit code.
func (w *world) played(ctx context.Context, c *kube.Cluster, name string, args ...string) error {
	code, err := w.play(ctx, c, name, w.out, args...)
	if err != nil {
		return err
	}
	if code != 0 {
		return exitCode(code)
	}
	return nil
}

func demoCommand() *cobra.Command {
	return command("demo", "Play the four flows in the cluster and show their ladders, read back from Jaeger", []need.Program{need.Kubectl()}, func(ctx context.Context, w *world) error {
		c, err := w.running(ctx)
		if err != nil {
			return err
		}
		return w.played(ctx, c, "demo", "demo", "--deployment", deploymentFile)
	})
}

func playCommand() *cobra.Command {
	var commands string
	cmd := command("play", "Have persons, apps and administrators act in the cluster", []need.Program{need.Kubectl()}, func(ctx context.Context, w *world) error {
		all := splitCommands(commands)
		if len(all) == 0 {
			return errors.New("what to play? PLAY='-leave; join user=alice; sign-in user=alice', as lockstep play has it")
		}
		c, err := w.running(ctx)
		if err != nil {
			return err
		}
		return w.played(ctx, c, "play", playOf(all...)...)
	})
	cmd.Flags().StringVar(&commands, "commands", "", "`commands` of the flow scripts with ; between them; one with a - before it may fail")
	return cmd
}

// splitCommands cuts commands at their semicolons.
func splitCommands(text string) []string {
	var all []string
	for c := range strings.SplitSeq(text, ";") {
		if c = strings.TrimSpace(c); c != "" {
			all = append(all, c)
		}
	}
	return all
}

// playOf are the arguments of a player that carries out commands.
func playOf(commands ...string) []string {
	return append([]string{"play", "--deployment", deploymentFile, "--"}, commands...)
}

func traceCommand() *cobra.Command {
	var flow string
	cmd := command("trace", "Show the ladder of the newest trace of a flow", []need.Program{need.Kubectl()}, func(ctx context.Context, w *world) error {
		if flow == "" {
			return errors.New("which flow? FLOW=first_sign_in, app_token, browser_sso or renewal")
		}
		c, err := w.running(ctx)
		if err != nil {
			return err
		}
		return w.played(ctx, c, "trace", "ladder", "--flow", flow, "--jaeger", jaeger, "--hops")
	})
	cmd.Flags().StringVar(&flow, "flow", "", "the `flow`: first_sign_in, app_token, browser_sso, renewal")
	return cmd
}

func faultCommand() *cobra.Command {
	var component, rules string
	cmd := command("fault", "Put a stand-in in the place of a component and have it break calls by rules", []need.Program{need.Kubectl()}, func(ctx context.Context, w *world) error {
		if component == "" || rules == "" {
			return errors.New("which component, and by which rules? As in C=tpm-agent RULES='(delay 200ms)'")
		}
		c, err := w.running(ctx)
		if err != nil {
			return err
		}
		if err := w.swapIn(ctx, c, component); err != nil {
			return err
		}
		return w.setRules(ctx, c, component, rules, w.out)
	})
	cmd.Flags().StringVar(&component, "component", "", "the `component` in whose place it is, as tpm-agent")
	cmd.Flags().StringVar(&rules, "rules", "", "the `rules`, as (unavailable (first 3))")
	return cmd
}

func healCommand() *cobra.Command {
	var component string
	cmd := command("heal", "Take the stand-in away again", []need.Program{need.Kubectl()}, func(ctx context.Context, w *world) error {
		if component == "" {
			return errors.New("which component? As in C=tpm-agent")
		}
		c, err := w.running(ctx)
		if err != nil {
			return err
		}
		return w.heal(ctx, c, component)
	})
	cmd.Flags().StringVar(&component, "component", "", "the `component` that is to be itself again")
	return cmd
}

// overlayOf is the overlay with a stand-in for a component.
func (w *world) overlayOf(ctx context.Context, c *kube.Cluster, component string) ([]kube.Object, error) {
	known, err := filepath.Glob(filepath.Join(w.overlays(), "faulty-*"))
	if err != nil {
		return nil, fmt.Errorf("overlays: %w", err)
	}
	var names []string
	for _, dir := range known {
		name := strings.TrimPrefix(filepath.Base(dir), "faulty-")
		if name == component {
			return w.render(ctx, c, dir)
		}
		names = append(names, name)
	}
	return nil, fmt.Errorf("no stand-in for %q: there are %s", component, strings.Join(names, ", "))
}

// render is an overlay whose pods change when their images do.
func (w *world) render(ctx context.Context, c *kube.Cluster, dir string) ([]kube.Object, error) {
	objects, err := c.Render(ctx, dir)
	if err != nil {
		return nil, err
	}
	images, err := kube.Images(objects)
	if err != nil {
		return nil, err
	}
	return kube.Stamp(objects, w.kind().Digests(ctx, images))
}

// swapIn puts a stand-in in a component's place. There is one at a time: another one
// goes, because each overlay is the demo with one stand-in.
func (w *world) swapIn(ctx context.Context, c *kube.Cluster, component string) error {
	objects, err := w.overlayOf(ctx, c, component)
	if err != nil {
		return err
	}
	w.say("putting a stand-in in the place of %s", component)
	if err := c.Apply(ctx, objects); err != nil {
		return err
	}
	if err := w.removeOthers(ctx, c, component, objects); err != nil {
		return err
	}
	if err := c.WaitReady(ctx, objects, w.set.Within(readyWithin)); err != nil {
		return err
	}
	// A Service decides where new connections go and leaves those alone that there are, over
	// which callers would pass the stand-in by: the real component starts again.
	return w.restart(ctx, c, component, objects)
}

// restart starts a component of the deployed ones anew and waits for it.
func (w *world) restart(ctx context.Context, c *kube.Cluster, component string, objects []kube.Object) error {
	for _, o := range kube.Workloads(objects) {
		if o.Name != component {
			continue
		}
		w.hear(ctx, c, o)
		if _, err := c.Kubectl(ctx, "rollout", "restart", strings.ToLower(o.Kind), o.Name, "-n", o.Namespace); err != nil {
			return err
		}
	}
	return c.WaitReady(ctx, objects, w.set.Within(readyWithin))
}

// removeOthers removes what stand-ins left that the wanted state does not have.
func (w *world) removeOthers(ctx context.Context, c *kube.Cluster, but string, wanted []kube.Object) error {
	out, err := c.Kubectl(ctx, "get", "deployments", "--all-namespaces", "-o", "jsonpath={.items[*].metadata.name}")
	if err != nil {
		return err
	}
	for _, name := range strings.Fields(string(out)) {
		component, ok := strings.CutPrefix(name, "faulty-")
		if !ok || component == but {
			continue
		}
		was, err := w.overlayOf(ctx, c, component)
		if err != nil {
			return err
		}
		w.say("taking the stand-in of %s away", component)
		if err := w.drop(ctx, c, kube.Missing(was, wanted)); err != nil {
			return err
		}
	}
	return nil
}

// drop removes objects, and hears before what their pods have to say: their logs go with them.
func (w *world) drop(ctx context.Context, c *kube.Cluster, objects []kube.Object) error {
	for _, o := range kube.Workloads(objects) {
		w.hear(ctx, c, o)
	}
	return c.Delete(ctx, objects)
}

// hear searches the logs of a workload whose pods are about to go. Where they cannot be read
// it says so, and the pods go all the same.
func (w *world) hear(ctx context.Context, c *kube.Cluster, o kube.Object) {
	err := c.Stream(ctx, w.heard, "logs", "-n", o.Namespace, "-l", "app.kubernetes.io/name="+o.Name, "--all-containers", "--tail=-1")
	if err != nil {
		w.say("the logs of %s in %s could not be read before they go: %v", o.Name, kube.Short(o.Namespace), err)
	}
}

// heal brings the overlay demo back.
func (w *world) heal(ctx context.Context, c *kube.Cluster, component string) error {
	if _, err := w.overlayOf(ctx, c, component); err != nil {
		return err
	}
	objects, err := w.render(ctx, c, w.set.Overlay("demo"))
	if err != nil {
		return err
	}
	if err := c.Apply(ctx, objects); err != nil {
		return err
	}
	if err := w.removeOthers(ctx, c, "", objects); err != nil {
		return err
	}
	if err := c.WaitReady(ctx, objects, w.set.Within(readyWithin)); err != nil {
		return err
	}
	w.say("%s is itself again", component)
	return nil
}

// setRules tells the stand-in its rules, as the operator. Its pod asks nobody for pages first:
// the rules that are there may be that idp or adfs answers nobody.
func (w *world) setRules(ctx context.Context, c *kube.Cluster, component, rules string, out io.Writer) error {
	namespace := "lockstep-device-1"
	if component == "idp" || component == "adfs" {
		namespace = "lockstep-cloud"
	}
	address := fmt.Sprintf("tcp:%s.%s.svc.cluster.local.:9443", component, namespace)
	var said strings.Builder
	code, err := w.errand(ctx, c, kube.Errand{Name: "fault-set", Alone: true, Args: []string{
		"fault", "set", component, rules, "--at", address, "--identity", "/identities/operator", "--within", w.set.Within(reachWithin).String(),
	}}, &said)
	if err != nil {
		return err
	}
	if code != 0 {
		return fmt.Errorf("the rules were not taken: %s", strings.TrimSpace(said.String()))
	}
	_, err = io.WriteString(out, said.String())
	return err //nolint:wrapcheck // a writer's error is its own
}
