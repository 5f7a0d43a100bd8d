//go:build unix

package device

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
)

// kill ends the emulator of a link without a warning.
func kill(t *testing.T, o *Opened) {
	t.Helper()
	c := o.TPM.(*Link).wire.(*child)
	if err := c.process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-c.ended
}

// control sends a command to the control channel of swtpm (swtpm_ioctl(3)).
func control(t *testing.T, o *Opened, command uint32, body ...byte) {
	t.Helper()
	c := o.TPM.(*Link).wire.(*child).control
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Write(append(binary.BigEndian.AppendUint32(nil, command), body...)); err != nil {
		t.Fatal(err)
	}
	var result [4]byte
	if _, err := io.ReadFull(c, result[:]); err != nil || result != [4]byte{} {
		t.Fatalf("control command %d: %x, %v", command, result, err)
	}
}

func TestSWTPMOfTheAgentsOwn(t *testing.T) {
	needSWTPM(t)
	dir := t.TempDir()
	o := open(t, Config{Addr: "swtpm:", Dir: dir})
	startAndAsk(t, o)
	if o.Protection != Emulated {
		t.Errorf("protection %v", o.Protection)
	}
	info, err := os.Stat(filepath.Join(dir, "swtpm"))
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder %v, %v", info.Mode(), err)
	}
	root, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute(o)
	if err != nil {
		t.Fatal(err)
	}
	// Killed while idle: the command surely did not leave; the next one starts it.
	epoch := o.TPM.(*Link).Epoch()
	kill(t, o.Opened)
	if _, err := o.Send(make([]byte, 12)); err == nil || sent(err) {
		t.Errorf("after a kill: %v", err)
	}
	if o.TPM.(*Link).Epoch() == epoch {
		t.Error("the epoch is the same")
	}
	again, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute(o)
	if err != nil {
		t.Fatal(err)
	}
	if string(again.Name.Buffer) != string(root.Name.Buffer) {
		t.Error("another TPM came back")
	}
}

func TestSWTPMWithAnOpenFolderIsRefused(t *testing.T) {
	needSWTPM(t)
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := one(t.Context(), Config{Addr: "swtpm:" + dir, Dir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "chmod 700") {
		t.Errorf("got %v", err)
	}
}

// TestSWTPMSaysWhyItEnds damages the state file.
func TestSWTPMSaysWhyItEnds(t *testing.T) {
	needSWTPM(t)
	dir := t.TempDir()
	cfg := Config{Addr: "swtpm:", Dir: dir}
	o := open(t, cfg)
	startAndAsk(t, o)
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	cfg.Found = KeysInTPM
	state, err := filepath.Glob(filepath.Join(dir, "swtpm", "*.permall"))
	if err != nil || len(state) != 1 {
		t.Fatal(state, err)
	}
	if err := os.WriteFile(state[0], []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	o = open(t, cfg)
	if !strings.Contains(o.Reason, "swtpm ended:") || strings.Contains(o.Reason, "it said nothing") {
		t.Errorf("reason %q", o.Reason)
	}
}

// TestSWTPMEndsWithTheAgent kills a process that has one.
func TestSWTPMEndsWithTheAgent(t *testing.T) {
	if dir := os.Getenv("LOCKSTEP_TEST_SWTPM_DIR"); dir != "" {
		o, err := one(t.Context(), Config{Addr: "swtpm:", Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		startAndAsk(t, o)
		fmt.Printf("child %d\n", o.TPM.(*Link).wire.(*child).process.Pid)
		select {}
	}
	needSWTPM(t)
	cmd := exec.Command(os.Args[0], "-test.run", "^TestSWTPMEndsWithTheAgent$")
	cmd.Env = append(os.Environ(), "LOCKSTEP_TEST_SWTPM_DIR="+t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	for lines := bufio.NewScanner(out); pid == 0 && lines.Scan(); {
		_, _ = fmt.Sscanf(lines.Text(), "child %d", &pid)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if pid == 0 {
		t.Fatal("the agent did not start")
	}
	for range 500 {
		if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) || zombie(pid) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
	t.Error("swtpm goes on without its agent")
}

// zombie tells a process that ended and whose parent is not there to see it.
func zombie(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(b), ") Z ")
}
