// Package suites knows the programs that hold a client each: how the client is had,
// in the versions that are pinned, and how it is started.
//
// What lives here: installing into the cache folder, the commands, reading what they
// print. What never may: cases, and changes to a client. The runner calls it.
package suites

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/lockstep-sso/lockstep/tools/conformance/internal/cases"
)

// Timeout bounds one suite.
const Timeout = 20 * time.Minute

// Suite is one program.
type Suite struct {
	// Name is how the command line calls it, Client the client's name in the table.
	Name, Client string
	// Optional suites run only when they are asked for.
	Optional bool
	// Needs says what must be on the machine.
	Needs string
	// have installs what is missing and answers the command; an error is a reason
	// to skip the suite.
	have func(context.Context, Place) ([]string, error)
}

// Place is where things are.
type Place struct {
	// Root is the repository, Source the folder of this module, Cache a folder
	// outside of git for what is installed.
	Root, Source, Cache string
	// Log says what is being installed.
	Log func(format string, args ...any)
}

// All are the suites in the order of the table.
func All() []Suite {
	return []Suite{
		{Name: "vectors", Client: "Python cryptography", Needs: "python3 with venv", have: python("vectors.py", "")},
		{Name: "roadtx", Client: "ROADtools", Needs: "python3 with venv", have: python("roadtx.py", "")},
		{Name: "roadtx-firefox", Client: "ROADtools in Firefox", Needs: "python3 with venv, firefox and geckodriver", have: python("roadtx_firefox.py", "")},
		{Name: "msal-python", Client: "MSAL Python", Needs: "python3 with venv", have: python("msal_python.py", "")},
		{Name: "msal-go", Client: "MSAL Go", Needs: "go", have: golang("msal")},
		{Name: "azidentity", Client: "azidentity", Needs: "go", have: golang("azidentity")},
		{Name: "go-oidc", Client: "go-oidc with x/oauth2", Needs: "go", have: golang("oidc")},
		{Name: "msal-node", Client: "MSAL Node", Needs: "node 20 and npm", have: node("msal.mjs")},
		{Name: "openid-client", Client: "openid-client", Needs: "node 20 and npm", have: node("openid.mjs")},
		{Name: "jose", Client: "jose", Needs: "node 20 and npm", have: node("jose.mjs")},
		{Name: "az", Client: "Azure CLI", Needs: "python3 with venv, and 750 MB", Optional: true, have: python("az.py", "-az")},
		{Name: "libhimmelblau", Client: "libhimmelblau", Needs: "cargo, pkg-config, a C compiler and OpenSSL's headers", Optional: true, have: rust},
	}
}

// Run installs and runs the suite, and hands over each result as it comes. A suite
// that cannot be had is one skipped case; one that breaks off is one failed case.
// Installing is done under install, because suites of one language share a folder.
func (s Suite) Run(ctx context.Context, p Place, env []string, dir string, install sync.Locker, each func(cases.Result)) {
	one := func(v cases.Verdict, name, reason string) {
		each(cases.Result{Client: s.Client, Version: "-", Case: name, Verdict: v, Reason: cases.OneLine(reason)})
	}
	install.Lock()
	command, err := s.have(ctx, p)
	install.Unlock()
	if err != nil {
		one(cases.Skip, "all", fmt.Sprintf("cannot be had here (needs %s): %v", s.Needs, err))
		return
	}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	log, err := os.Create(filepath.Join(dir, s.Name+".log"))
	if err != nil {
		one(cases.Fail, "start", err.Error())
		return
	}
	defer func() { _ = log.Close() }()
	work := filepath.Join(dir, s.Name)
	if err := os.MkdirAll(work, 0o700); err != nil {
		one(cases.Fail, "start", err.Error())
		return
	}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir, cmd.Env, cmd.Stderr = work, append(env, "HOME="+work), log
	// Clients leave programs behind, such as the driver of a browser: they end with the suite.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	defer func() {
		if cmd.Process != nil {
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		}
	}()
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		one(cases.Fail, "start", err.Error())
		return
	}
	seen, failed := 0, 0
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		r, ok := cases.Read(lines.Text())
		if !ok {
			_, _ = fmt.Fprintln(log, lines.Text())
			continue
		}
		seen++
		if r.Verdict == cases.Fail {
			failed++
		}
		each(r)
	}
	if err := cmd.Wait(); (err != nil && failed == 0) || seen == 0 {
		one(cases.Fail, "end", fmt.Sprintf("broke off after %d cases (%v): %s", seen, err, tail(log.Name())))
	}
}

// tail is the end of a log.
func tail(name string) string {
	raw, err := os.ReadFile(name)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	return strings.Join(lines[max(0, len(lines)-4):], " | ")
}

// tool runs a program of the machine and answers its output, or the end of it.
func tool(ctx context.Context, dir string, env []string, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	if env != nil {
		cmd.Env = append(os.Environ(), env...)
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.Join(lines[max(0, len(lines)-4):], " | "))
	}
	return nil
}

// stamped runs install unless the folder was installed from the same files before.
func stamped(dir string, files []string, install func() error) error {
	var now bytes.Buffer
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		now.Write(raw)
	}
	stamp := filepath.Join(dir, "installed-from")
	if before, err := os.ReadFile(stamp); err == nil && bytes.Equal(before, now.Bytes()) {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := install(); err != nil {
		return err
	}
	return os.WriteFile(stamp, now.Bytes(), 0o644)
}
