package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"time"

	"github.com/lockstep-sso/lockstep/tools/cluster/internal/checks"
	"github.com/lockstep-sso/lockstep/tools/cluster/internal/kube"
	"github.com/lockstep-sso/lockstep/tools/cluster/internal/need"
	"github.com/lockstep-sso/lockstep/tools/cluster/internal/settings"
	"github.com/lockstep-sso/lockstep/tools/cluster/internal/sh"
)

// world is what every command works with.
type world struct {
	set      settings.Settings
	shell    *sh.Shell
	out, log io.Writer
	began    time.Time
	// heard searches what errands and pods say before they go for what nobody may say.
	heard *checks.Heard
}

// lines lets several write without one breaking into another's line.
type lines struct {
	mu  sync.Mutex
	out io.Writer
}

// Write writes alone.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(p) //nolint:wrapcheck // a writer's error is its own
}

func newWorld(set settings.Settings, out, log io.Writer) *world {
	return &world{
		set: set, out: out, log: &lines{out: log}, began: time.Now(), heard: checks.NewHeard(),
		shell: sh.New(sh.Config{Dir: set.Root, Prefix: set.Prefix, Prefixed: []string{"kind", "kubectl"}}),
	}
}

// say prints what happens, with the time since the command began.
func (w *world) say(format string, args ...any) {
	d := time.Since(w.began).Round(time.Second)
	_, _ = fmt.Fprintf(w.log, "%2d:%02d %s\n", int(d.Minutes()), int(d.Seconds())%60, fmt.Sprintf(format, args...))
}

// cluster is kind's cluster of the settings' name and no other.
func (w *world) cluster() (*kube.Cluster, error) {
	return kube.New(kube.Config{Shell: w.shell, Context: w.set.Context(), Progress: w.log})
}

// running is the cluster, when it answers.
func (w *world) running(ctx context.Context) (*kube.Cluster, error) {
	c, err := w.cluster()
	if err != nil {
		return nil, err
	}
	if err := c.Answers(ctx); err != nil {
		return nil, fmt.Errorf("the cluster %s does not answer; `make kind-up` makes it: %w", w.set.Name, err)
	}
	return c, nil
}

func (w *world) overlays() string { return filepath.Join(w.set.Root, "deploy", "overlays") }

func (w *world) jobs() string { return filepath.Join(w.set.Root, "deploy", "jobs") }

func all() []need.Program { return []need.Program{need.Docker(), need.Kind(), need.Kubectl()} }
