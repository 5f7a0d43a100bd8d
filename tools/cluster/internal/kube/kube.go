// Package kube talks to one cluster through kubectl: it renders overlays, applies
// them in an order that works, waits with bounds, and says what is wrong when a wait
// ends badly. It never touches another cluster than the one it was given, whatever
// the user's current context is.
// What never may live here: what a component does. Callers are the commands and the checks.
package kube

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/lockstep-sso/lockstep/tools/cluster/internal/sh"
)

// oneCall bounds a call that the API server answers by itself.
const oneCall = 2 * time.Minute

// Config says which cluster.
type Config struct {
	Shell *sh.Shell
	// Kubectl is the program; empty is kubectl.
	Kubectl string
	// Context of the kubeconfig; empty is the only one of Kubeconfig.
	Context string
	// Kubeconfig is a file; empty is the user's.
	Kubeconfig string
	// Progress gets a line whenever something changes.
	Progress io.Writer
	// Poll is how often a state is asked for; 0 is two seconds.
	Poll time.Duration
}

// Cluster is a cluster.
type Cluster struct{ cfg Config }

// New makes a Cluster. One of Context and Kubeconfig has to be set: the user's
// current context may be a cluster that is nobody's to change.
func New(cfg Config) (*Cluster, error) {
	if cfg.Context == "" && cfg.Kubeconfig == "" {
		return nil, errors.New("kube: neither a context nor a kubeconfig is given")
	}
	if cfg.Kubectl == "" {
		cfg.Kubectl = "kubectl"
	}
	if cfg.Poll == 0 {
		cfg.Poll = 2 * time.Second
	}
	if cfg.Progress == nil {
		cfg.Progress = io.Discard
	}
	return &Cluster{cfg: cfg}, nil
}

func (c *Cluster) args(args []string) []string {
	var to []string
	if c.cfg.Kubeconfig != "" {
		to = append(to, "--kubeconfig", c.cfg.Kubeconfig)
	}
	if c.cfg.Context != "" {
		to = append(to, "--context", c.cfg.Context)
	}
	return append(to, args...)
}

// Kubectl runs kubectl and returns what it prints, within two minutes.
func (c *Cluster) Kubectl(ctx context.Context, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, oneCall)
	defer cancel()
	return c.cfg.Shell.Output(ctx, c.cfg.Kubectl, c.args(args)...)
}

// Stream runs kubectl as long as ctx lets it, with its output to out.
func (c *Cluster) Stream(ctx context.Context, out io.Writer, args ...string) error {
	return c.cfg.Shell.Run(ctx, sh.Job{Name: c.cfg.Kubectl, Args: c.args(args), Out: out})
}

// Feed runs kubectl with in on its standard input, within two minutes.
func (c *Cluster) Feed(ctx context.Context, in []byte, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, oneCall)
	defer cancel()
	return c.cfg.Shell.Feed(ctx, in, c.cfg.Kubectl, c.args(args)...)
}

// Get reads objects as JSON into v.
func (c *Cluster) Get(ctx context.Context, v any, args ...string) error {
	out, err := c.Kubectl(ctx, append([]string{"get", "-o", "json"}, args...)...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(out, v); err != nil {
		return fmt.Errorf("answer of kubectl get %v: %w", args, err)
	}
	return nil
}

// Answers is nil when the cluster's API answers.
func (c *Cluster) Answers(ctx context.Context) error {
	out, err := c.Kubectl(ctx, "get", "--raw", "/readyz")
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(out, []byte("ok")) {
		return fmt.Errorf("the API server is not ready: %.200s", out)
	}
	return nil
}

func (c *Cluster) say(format string, args ...any) {
	_, _ = fmt.Fprintf(c.cfg.Progress, format+"\n", args...)
}

// sleep waits for the next poll, or returns why ctx ended.
func (c *Cluster) sleep(ctx context.Context) error {
	t := time.NewTimer(c.cfg.Poll)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
