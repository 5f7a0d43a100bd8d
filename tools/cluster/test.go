package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lockstep-sso/lockstep/tools/cluster/internal/bare"
	"github.com/lockstep-sso/lockstep/tools/cluster/internal/checks"
	"github.com/lockstep-sso/lockstep/tools/cluster/internal/judge"
	"github.com/lockstep-sso/lockstep/tools/cluster/internal/kube"
	"github.com/lockstep-sso/lockstep/tools/cluster/internal/need"
	"github.com/lockstep-sso/lockstep/tools/cluster/internal/sh"
)

func testCommand() *cobra.Command {
	var (
		asJSON bool
		stage  string
		only   string
	)
	cmd := command("test", "Judge the manifests, and the running system where there is a cluster", nil, func(ctx context.Context, w *world) error {
		chosen, err := choice(only)
		if err != nil {
			return err
		}
		court := judge.New(w.log, chosen)
		err = judgeAll(ctx, w, court, stage)
		if asJSON {
			if err := court.WriteJSON(w.out); err != nil {
				return err
			}
		} else {
			court.Write(w.out)
		}
		if err != nil {
			return err
		}
		if passed, failed, _ := court.Count(); failed > 0 || passed == 0 {
			return exitCode(1)
		}
		return nil
	})
	cmd.Long = `Judge the manifests, and the running system where there is a cluster.

Where docker answers and the image of the nodes can be had, this is a real cluster of
kind. Elsewhere it is the bare API server: etcd and kube-apiserver as processes of this
machine, which judge the manifests and start nothing. It says which of the two it was.`
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the verdicts as one JSON object")
	cmd.Flags().StringVar(&stage, "stage", "auto", "kind, bare, or auto: kind where it can be had")
	cmd.Flags().StringVar(&only, "only", "", "make those checks alone whose names this regular `expression` fits; what runs is left as it is")
	return cmd
}

// choice is what --only chooses, nil being everything.
func choice(only string) (*regexp.Regexp, error) {
	if only == "" {
		return nil, nil //nolint:nilnil // nothing is left out
	}
	chosen, err := regexp.Compile(only)
	if err != nil {
		return nil, fmt.Errorf("--only: %w", err)
	}
	return chosen, nil
}

func judgeAll(ctx context.Context, w *world, court *judge.Court, stage string) error {
	switch stage {
	case "kind":
		if err := need.Check(ctx, w.shell, all()...); err != nil {
			return err
		}
		return judgeKind(ctx, w, court)
	case "bare":
		return judgeBare(ctx, w, court, "it was asked for")
	case "auto":
		if err := w.kindCanBeHad(ctx); err != nil {
			return judgeBare(ctx, w, court, err.Error())
		}
		return judgeKind(ctx, w, court)
	}
	return fmt.Errorf("--stage %s: it is kind, bare or auto", stage)
}

// judgeBare judges what an API server without nodes can judge, and says so loudly.
func judgeBare(ctx context.Context, w *world, court *judge.Court, because string) (err error) {
	banner(w.log, "NO CLUSTER: this is the stage \"bare API server\". Manifests are judged, nothing runs.\nReason: "+because)
	cfg, kubectl, err := w.bareProgams(ctx)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "lockstep-bare-")
	if err != nil {
		return fmt.Errorf("folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	cfg.Dir = dir
	var cluster *kube.Cluster
	server, err := bare.Start(ctx, cfg, func(ctx context.Context, kubeconfig string) error {
		cluster, err = kube.New(kube.Config{Shell: cfg.Shell, Kubectl: kubectl, Kubeconfig: kubeconfig, Progress: w.log})
		if err != nil {
			return err
		}
		return cluster.Answers(ctx)
	})
	if err != nil {
		return err
	}
	defer server.Close()
	checks.Manifests{Cluster: cluster, Court: court, Stage: "bare API server", Overlays: w.overlays(), Jobs: w.jobs()}.Run(ctx)
	const missing = "needs a cluster: docker, kind and the image of its nodes"
	for _, c := range checks.OnClusterOnly() {
		court.Skip("kind", c.Check, c.Row, missing)
	}
	return nil
}

// bareProgams finds the programs of the bare API server, and builds those that are not given.
func (w *world) bareProgams(ctx context.Context) (cfg bare.Config, kubectl string, err error) {
	build := bare.Builder{
		Dir: filepath.Join(w.set.Root, "bin", "bare"), Log: w.log,
		Shell: func(dir string) *sh.Shell {
			return sh.New(sh.Config{Dir: dir, Env: []string{"CGO_ENABLED=0", "GOWORK=off", "GOFLAGS="}})
		},
	}
	cfg = bare.Config{Shell: sh.New(sh.Config{Dir: w.set.Root}), Etcd: w.set.Etcd, APIServer: w.set.APIServer}
	kubectl = w.set.Kubectl
	if kubectl == "" && need.Check(ctx, cfg.Shell, need.Kubectl()) == nil {
		kubectl = "kubectl"
	}
	for _, p := range []struct {
		at    *string
		build func(context.Context) (string, error)
	}{{&cfg.Etcd, build.EtcdProgram}, {&cfg.APIServer, build.APIServerProgram}, {&kubectl, build.KubectlProgram}} {
		if *p.at != "" {
			continue
		}
		if err := need.Check(ctx, cfg.Shell, need.Go()); err != nil {
			return cfg, "", fmt.Errorf("neither a program (ETCD_BIN, APISERVER_BIN, KUBECTL_BIN) nor the means to build it: %w", err)
		}
		if *p.at, err = p.build(ctx); err != nil {
			return cfg, "", err
		}
	}
	return cfg, kubectl, nil
}

func banner(out io.Writer, text string) {
	bar := strings.Repeat("=", 78)
	_, _ = fmt.Fprintf(out, "%s\n%s\n%s\n", bar, text, bar)
}
