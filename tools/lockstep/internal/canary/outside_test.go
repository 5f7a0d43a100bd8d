package canary_test

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/tpmagenttest"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/canary"
)

// swtpm starts a TPM in a process of its own, or skips. It returns its socket.
func swtpm(t *testing.T, dir string) string {
	t.Helper()
	bin, err := exec.LookPath("swtpm")
	if err != nil {
		t.Skip("no swtpm in PATH to be the TPM outside the agent")
	}
	state, socket := filepath.Join(dir, "swtpm"), filepath.Join(dir, "swtpm.sock")
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, "socket", "--tpm2", "--tpmstate", "dir="+state, "--server", "type=unixio,path="+socket,
		"--ctrl", "type=unixio,path="+socket+".ctrl", "--flags", "not-need-init,startup-clear")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for range 3000 {
		if _, err := os.Stat(socket); err == nil {
			return socket
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("swtpm does not open its socket")
	return ""
}

// socketTPM is a TPM at the other end of a connection.
type socketTPM struct{ conn net.Conn }

// Send sends one command.
func (s socketTPM) Send(command []byte) ([]byte, error) {
	if _, err := s.conn.Write(command); err != nil {
		return nil, err
	}
	answer := make([]byte, 4096)
	if _, err := io.ReadFull(s.conn, answer[:10]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint32(answer[2:]))
	if n < 10 || n > len(answer) {
		return nil, errors.New("an answer of no TPM")
	}
	_, err := io.ReadFull(s.conn, answer[10:n])
	return answer[:n], err
}

// afterwards is how many calls without a key follow the last sign-in: they make the
// collector run several times.
const afterwards = 2000

// TestA10_TheAgentForgetsKeys has the TPM outside the agent: after the moment in
// which it imports or uses one, nothing of this system holds a session key or a
// derived key but the identity provider that made it.
func TestA10_TheAgentForgetsKeys(t *testing.T) {
	n, dir := signIns(t), folder(t)
	socket := swtpm(t, dir)
	w := newWorld(t, dir, "unix:"+socket)
	memory := w.run(n)
	devices := tpmv1.NewDeviceKeyServiceClient(w.tap.agent["dsreg"])
	for range afterwards {
		if _, err := devices.ListKeys(t.Context(), &tpmv1.ListKeysRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	last, err := canary.Take(w.pids()["tpm-agent"], filepath.Join(w.dir, "memory-afterwards"))
	mayTrace(t, err)
	w.stop()

	var dialer net.Dialer
	conn, err := dialer.DialContext(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	open := w.dataKeyOpener(t, socketTPM{conn})
	keys := learn(t, w.tap.tokens, tpmagenttest.Unwrapper(t, w.device.StateDir("tpm-agent"), socketTPM{conn}))
	w.learnDataKeys(&keys, open)
	w.judge(n, keys, memory, nil)
	found, err := last.Search(keys.needles(t))
	if err != nil || len(found) > 0 {
		t.Errorf("the tpm-agent holds %v, %v: %q", kinds(found), err, canary.Summary(found))
	}
}
