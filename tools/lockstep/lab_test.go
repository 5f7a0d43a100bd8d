package main

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/door"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/labserver"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/serve"
)

// shortDir is a folder whose path leaves room for sockets.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "l") //nolint:usetesting // its path is too long for sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// laboratory starts one in this process that the commands will find.
func laboratory(t *testing.T, cfg labserver.Config) door.Info {
	t.Helper()
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	if cfg.Dir == "" {
		cfg.Dir = shortDir(t)
	}
	if cfg.Devices == 0 {
		cfg.Devices = 1
	}
	s, err := labserver.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s.Info()
}

// does runs a command that has to succeed.
func does(t *testing.T, args ...string) string {
	t.Helper()
	out, err := command(t, args...)
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return out
}

// refuses runs a command that has to fail with the words.
func refuses(t *testing.T, want string, args ...string) {
	t.Helper()
	if out, err := command(t, args...); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v: %v, want %q\n%s", args, err, want, out)
	}
}

func timeOf(t *testing.T, args ...string) time.Time {
	t.Helper()
	var o struct{ Now time.Time }
	out := does(t, append([]string{"clock", "--json"}, args...)...)
	if err := json.Unmarshal([]byte(out[strings.Index(out, "{"):]), &o); err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return o.Now
}

func TestALaboratoryIsUsedByCommands(t *testing.T) {
	laboratory(t, labserver.Config{Devices: 2, Lab: lab.Config{TPM: "mem:"}})
	script := filepath.Join(t.TempDir(), "script.txt")
	if err := os.WriteFile(script, []byte("lab domain\n----\nx\n\nproves REG01 a join\n----\na join\n\njoin user=alice\n----\nwhatever\n\n# then\nsign-in user=alice\ntoken user=alice\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := does(t, "play", "-f", script)
	for _, want := range []string{"> join user=alice", "the device joined the tenant", "E  IdP              -> CloudAP plug-in", "access token of alice@contoso.test", "\ntrace "} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	// The other device is another computer, in the same tenant.
	if out := does(t, "play", "--device", "device-2", "join user=bob"); !strings.Contains(out, "joined the tenant of bob") {
		t.Error(out)
	}
	if out := does(t, "tenant", "device", "list"); !strings.Contains(out, "DESKTOP-1") || !strings.Contains(out, "DESKTOP-2") {
		t.Error(out)
	}
	refuses(t, `"sign-in user=alice password=wrong" failed`, "play", "sign-in user=alice password=wrong", "state")
	refuses(t, `"" failed`, "play", "")
	refuses(t, "what to play?", "play")
	if out, err := command(t, "play", "--device", "device-9", "state"); err == nil || !strings.Contains(out, "device-1 to device-2") {
		t.Errorf("%v\n%s", err, out)
	}
	// Who errs is told what there is.
	for typed, want := range map[string]string{
		"dance": "join, sign-in", "admin do=dance": "disable-user", "admin disable-user user=alice": "say do=", "stop component=idp": "tpm-agent, dsreg, lsa-cloudap, wam-broker",
		"start component=idp": "tpm-agent, dsreg, lsa-cloudap, wam-broker", "tpm stop": "stop component=tpm-agent", "sign-in": "user= and one of", "join user=nobody": "alice, bob",
	} {
		if out, err := command(t, "play", typed); err == nil || !strings.Contains(out, want) || strings.Contains(out, "internal") {
			t.Errorf("%s: %v\n%s", typed, err, out)
		}
	}
}

func TestTheClockOfALaboratory(t *testing.T) {
	laboratory(t, labserver.Config{Lab: lab.Config{TPM: "mem:"}})
	does(t, "play", "join user=alice", "sign-in user=alice", "state")
	before := timeOf(t, "now")
	if moved := timeOf(t, "advance", "20d", "--every", "4h").Sub(before); moved < 20*24*time.Hour || moved > 20*24*time.Hour+time.Minute {
		t.Errorf("moved by %v", moved)
	}
	// Who is signed in lived through twenty days of renewals, and has another PRT.
	if out := does(t, "play", "state"); !strings.Contains(out, "PRT-2\n") || strings.Contains(out, "failed") {
		t.Errorf("after 20 days in strides:\n%s", out)
	}
	// In one go the PRT is slept through.
	does(t, "clock", "advance", "15d")
	if out := does(t, "play", "state"); !strings.Contains(out, "the PRT has expired") {
		t.Errorf("after 15 days in one go:\n%s", out)
	}
	for _, by := range []string{"-1h", "0", "14x", "99999d", ""} {
		refuses(t, "the clock goes forward only", "clock", "advance", by)
	}
	moved := does(t, "tenant", "advance", "1h")
	if !strings.Contains(moved, "it is ") {
		t.Error(moved)
	}
	refuses(t, "forward only", "clock", "advance", "0s")
	refuses(t, "forward only", "clock", "advance", "--", "-4h")
	refuses(t, "at most 400 days", "clock", "advance", "401d")
	refuses(t, "a minute or more", "clock", "advance", "4h", "--every", "1s")
}

func TestFLT05_TheClockOfALaboratoryStandsAndErrs(t *testing.T) {
	laboratory(t, labserver.Config{Lab: lab.Config{TPM: "mem:"}})
	stood := timeOf(t, "freeze")
	time.Sleep(20 * time.Millisecond)
	if now := timeOf(t, "now"); !now.Equal(stood) {
		t.Errorf("a clock that stands went on by %v", now.Sub(stood))
	}
	if moved := timeOf(t, "advance", "2h").Sub(stood); moved != 2*time.Hour {
		t.Errorf("a clock that stands was moved by %v", moved)
	}
	refuses(t, "all clocks of this lab stand", "clock", "resume", "dsreg")
	if late := timeOf(t, "resume").Sub(stood); late < 2*time.Hour || late > 3*time.Hour {
		t.Errorf("it goes on from %v", late)
	}
	if wrong := timeOf(t, "skew", "device-1/dsreg", "slow:1h").Sub(timeOf(t, "now")); wrong.Round(time.Minute) != -time.Hour {
		t.Errorf("wrong by %v", wrong)
	}
	does(t, "clock", "skew", "dsreg", "0s")
	does(t, "clock", "freeze", "dsreg")
	does(t, "clock", "advance", "4h")
	if behind := timeOf(t, "now").Sub(timeOf(t, "resume", "dsreg")); behind.Abs() > time.Minute {
		t.Errorf("a component that goes on is behind by %v", behind)
	}
	refuses(t, "there is no component", "clock", "freeze", "nobody")
	refuses(t, "400 days", "clock", "skew", "dsreg", "401d")
	refuses(t, "a duration such as 5m", "clock", "skew", "dsreg", "wrong")
}

func TestFLT05_TheClockOfAServerStandsAndErrs(t *testing.T) {
	serving(t, serve.Config{Lab: clock.NewLab()})
	stood := timeOf(t, "freeze")
	if now := timeOf(t, "now"); !now.Equal(stood) {
		t.Errorf("a clock that stands went on by %v", now.Sub(stood))
	}
	timeOf(t, "resume")
	if wrong := timeOf(t, "skew", "idp", "1h").Sub(stood); wrong < time.Hour {
		t.Errorf("wrong by %v", wrong)
	}
	refuses(t, "one clock", "clock", "skew", "dsreg", "1h")
}

func TestTheClockIsRefusedOutsideALaboratory(t *testing.T) {
	serving(t, serve.Config{})
	for _, args := range [][]string{{"clock", "now"}, {"clock", "advance", "4h"}, {"clock", "freeze"}, {"clock", "skew", "idp", "1h"}, {"tenant", "advance", "4h"}} {
		refuses(t, "it is no laboratory", args...)
	}
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	refuses(t, "no lockstep lab is running either", "clock", "now")
	refuses(t, "no laboratory is running: start one with lockstep lab", "play", "state")
}

func TestTwoLaboratoriesAtOnce(t *testing.T) {
	one := laboratory(t, labserver.Config{Lab: lab.Config{TPM: "mem:"}})
	runtime := os.Getenv("XDG_RUNTIME_DIR")
	s, err := labserver.Start(t.Context(), labserver.Config{Dir: shortDir(t), Devices: 1, Lab: lab.Config{TPM: "mem:"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	t.Setenv("XDG_RUNTIME_DIR", runtime)
	does(t, "clock", "--lab", one.Dir, "advance", "30d")
	gap := timeOf(t, "now", "--lab", one.Dir).Sub(timeOf(t, "now", "--lab", s.Info().Dir))
	if gap < 29*24*time.Hour {
		t.Errorf("the clocks of two laboratories are %v apart", gap)
	}
	if _, err := labserver.Start(t.Context(), labserver.Config{Dir: one.Dir}); err == nil || !strings.Contains(err.Error(), "runs in "+one.Dir+" already") {
		t.Errorf("a second laboratory in one folder: %v", err)
	}
	does(t, "play", "--lab", one.Dir, "device") // the first one is not harmed by it
}

// TestALaboratoryIsKilledAndGoesOn kills the process as a power cut would: the next one on
// the folder has its devices, its PRTs and its time.
func TestALaboratoryIsKilledAndGoesOn(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "lockstep")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	dir := shortDir(t)
	start := func() *exec.Cmd {
		t.Helper()
		cmd := exec.Command(bin, "lab", "--dir", dir, "--devices", "1", "--json")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill() })
		line, err := bufio.NewReader(out).ReadBytes('\n')
		var i door.Info
		if err != nil || json.Unmarshal(line, &i) != nil || i.Dir != dir || i.Version != door.Version || len(i.Devices) != 1 {
			t.Fatalf("the ready message: %s, %v", line, err)
		}
		return cmd
	}
	cmd := start()
	does(t, "play", "join user=alice", "sign-in user=alice")
	does(t, "clock", "advance", "2d")
	does(t, "play", "advance by=1d") // the other way to move the clock is kept, too
	then := timeOf(t, "now")
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	refuses(t, "is gone: its process", "play", "--lab", dir, "state")
	refuses(t, "no laboratory is running", "play", "state")
	cmd = start()
	if now := timeOf(t, "now"); now.Before(then) {
		t.Errorf("it was %v, and is %v", then, now)
	}
	out := does(t, "play", "sign-in user=alice", "token user=alice")
	if !strings.Contains(out, "checked from the cache") || !strings.Contains(out, "access token of alice@contoso.test") {
		t.Errorf("after the restart:\n%s", out)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the end: %v", err)
	}
	refuses(t, "no laboratory runs in", "play", "--lab", dir, "state")
}
