// Command conformance runs third-party clients, as their makers publish them,
// against lockstep serve, and writes down what came out.
//
// It starts the server, installs each client in its pinned version into bin/, runs
// the cases, and ends with a count; it fails when a case fails.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/lockstep-sso/lockstep/tools/conformance/internal/cases"
	"github.com/lockstep-sso/lockstep/tools/conformance/internal/report"
	"github.com/lockstep-sso/lockstep/tools/conformance/internal/serve"
	"github.com/lockstep-sso/lockstep/tools/conformance/internal/suites"
)

// atOnce is how many suites run side by side; most of their time is waiting.
const atOnce = 3

type options struct {
	root, binary, only, with, page string
	keep                           bool
}

func main() {
	var o options
	flag.StringVar(&o.root, "root", "../..", "the `folder` of the repository")
	flag.StringVar(&o.binary, "binary", "", "judge this `file` in place of bin/lockstep below the root")
	flag.StringVar(&o.only, "only", "", "run these `suites` alone, by name, separated by commas, and write no page")
	flag.StringVar(&o.with, "with", "", "run these optional `suites` too")
	flag.StringVar(&o.page, "page", "docs/conformance.md", "write the page to this `file` below the root when every suite ran; empty writes none")
	flag.BoolVar(&o.keep, "keep", false, "keep the folder with the logs of a run that passed")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ok, err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (bool, error) {
	root, err := filepath.Abs(o.root)
	if err != nil {
		return false, err
	}
	chosen, err := choose(o.only, o.with)
	if err != nil {
		return false, err
	}
	binary := o.binary
	if binary == "" {
		binary = filepath.Join(root, "bin", "lockstep")
	}
	if _, err := os.Stat(binary); err != nil {
		return false, errors.New("there is no " + binary + ": run make build")
	}
	p := suites.Place{
		Root: root, Source: filepath.Join(root, "tools", "conformance"), Cache: filepath.Join(root, "bin", "conformance"),
		Log: func(format string, args ...any) { fmt.Printf("      "+format+"\n", args...) },
	}
	dir, err := os.MkdirTemp("", "conformance-")
	if err != nil {
		return false, err
	}
	tools, err := suites.Browser(ctx, p)
	if err != nil {
		return false, err
	}
	server, err := serve.Start(ctx, binary, filepath.Join(p.Source, "testdata", "tenants.yaml"), dir)
	if err != nil {
		return false, err
	}
	fmt.Printf("server at %s, proxy at %s, logs in %s\n", server.Ready.HTTPS, server.Ready.Proxy, dir)
	rep := &report.Report{Out: os.Stdout}
	env := append(server.Env(os.Environ(), binary, dir, tools),
		"CONF_APP_PEM="+filepath.Join(p.Source, "testdata", "app.pem"), "CONF_HYBRID_PEM="+filepath.Join(p.Source, "testdata", "hybrid.pem"))
	running, stop := context.WithCancel(ctx)
	go func() { // without a server there is nothing to learn from the cases that are left
		select {
		case <-server.Ended():
			stop()
		case <-running.Done():
		}
	}()
	runAll(running, chosen, p, env, dir, rep)
	stop()
	if o.only == "" {
		leftOut(chosen, rep)
	}
	stopped := server.Stop()
	if stopped != nil {
		rep.Add(cases.Result{Client: "lockstep", Version: "-", Case: "serve.stop", Verdict: cases.Fail, Reason: stopped.Error()})
	}
	return finish(ctx, o, root, dir, rep)
}

// choose picks the suites of a run: those of only, or all that are not optional and
// those of with.
func choose(only, with string) ([]suites.Suite, error) {
	all := suites.All()
	named := func(list string) []string {
		return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
	}
	for _, name := range append(named(only), named(with)...) {
		if !slices.ContainsFunc(all, func(s suites.Suite) bool { return s.Name == name }) {
			return nil, fmt.Errorf("there is no suite %q: see tools/conformance/README.md", name)
		}
	}
	return slices.DeleteFunc(all, func(s suites.Suite) bool {
		if only != "" {
			return !slices.Contains(named(only), s.Name)
		}
		return s.Optional && !slices.Contains(named(with), s.Name)
	}), nil
}

func runAll(ctx context.Context, chosen []suites.Suite, p suites.Place, env []string, dir string, rep *report.Report) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	install := new(sync.Mutex)
	for _, s := range chosen {
		wg.Add(1)
		slots <- struct{}{}
		go func() {
			defer func() { <-slots; wg.Done() }()
			s.Run(ctx, p, env, dir, install, rep.Add)
		}()
	}
	wg.Wait()
}

// leftOut says which optional suites did not run, so that nobody takes them for passed.
func leftOut(chosen []suites.Suite, rep *report.Report) {
	for _, s := range suites.All() {
		if !slices.ContainsFunc(chosen, func(c suites.Suite) bool { return c.Name == s.Name }) {
			rep.Add(cases.Result{
				Client: s.Client, Version: "-", Case: "all", Verdict: cases.Skip,
				Reason: "optional, and not asked for: make conformance WITH=" + s.Name + " (needs " + s.Needs + ")",
			})
		}
	}
}

// finish shows the table, writes the page when the run was whole, and ends with the
// counts alone on a line.
func finish(ctx context.Context, o options, root, dir string, rep *report.Report) (bool, error) {
	var known []string
	for _, s := range suites.All() {
		known = append(known, s.Client)
	}
	order := rep.Order(known)
	rep.Table(order)
	passed, failed, skipped := rep.Counts()
	var err error
	if o.page != "" && o.only == "" {
		page := filepath.Join(root, o.page)
		if err = os.MkdirAll(filepath.Dir(page), 0o755); err == nil {
			err = os.WriteFile(page, []byte(rep.Page(order, revision(ctx, root), time.Now())), 0o644)
		}
	}
	if failed == 0 && !o.keep {
		_ = os.RemoveAll(dir)
	} else {
		fmt.Printf("logs in %s\n", dir)
	}
	fmt.Printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped)
	return failed == 0, err
}

func revision(ctx context.Context, root string) string {
	out, err := exec.CommandContext(ctx, "git", "-C", root, "describe", "--always", "--dirty").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
