package tpmagent_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2/transport"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/softtpm"
	"github.com/lockstep-sso/lockstep/pkg/tpmfault"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	tpmagent "github.com/lockstep-sso/lockstep/services/tpm-agent"
	tpmdevice "github.com/lockstep-sso/lockstep/services/tpm-agent/internal/device"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/tpmagenttest"
)

// prtRequest signs with the device key, cookie uses a session key.
func prtRequest(t testing.TB, a *tpmagenttest.Agent) error {
	_, err := a.PRT().SignPRTRequest(t.Context(), &tpmv1.SignPRTRequestRequest{
		UserPrincipalName: "a@b.test", RequestNonce: nonce, Credential: &tpmv1.Credential{Kind: &tpmv1.Credential_Password{Password: "x"}},
	})
	return err
}

// below opens a TPM to put faults before.
func below(t *testing.T, kind string) transport.TPM {
	t.Helper()
	if kind == "soft" {
		tpm, err := softtpm.New(softtpm.Config{})
		if err != nil {
			t.Fatal(err)
		}
		return tpm
	}
	needSWTPM(t)
	m, err := tpmdevice.Open(t.Context(), tpmdevice.Config{Addr: "swtpm:", Dir: t.TempDir(), SoftwareKeys: tpmdevice.Refuse})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.TPM.Close() })
	return m.TPM.TPM
}

// TestFLT04_WhatCallersSee injects each fault under an agent that serves, looks at
// the error that its callers get, and takes the fault away: only a cleared TPM costs
// the keys.
func TestFLT04_WhatCallersSee(t *testing.T) {
	for _, kind := range []string{"soft", "swtpm"} {
		t.Run(kind, func(t *testing.T) { whatCallersSee(t, below(t, kind)) })
	}
}

func whatCallersSee(t *testing.T, tpm transport.TPM) {
	faults, err := tpmfault.New(tpmfault.Config{Below: tpm})
	if err != nil {
		t.Fatal(err)
	}
	a := tpmagenttest.Start(t, tpmagent.Config{Transport: faults})
	_, key := a.Import(a.Register(), tpmagenttest.UserA)
	sign := func() error { return prtRequest(t, a) }
	use := func() error { return cookie(t, a, tpmagenttest.UserA, key) }
	for _, c := range []struct {
		rules   string
		do      func() error
		kind    prterr.Kind
		hresult uint32
	}{
		{"*:gone", use, prterr.TPMFailed, 0x80290407},
		{"HMAC:gone:times=1", use, "", 0}, // gone before the work began, and back
		{"HMAC:lost:times=1", use, prterr.TPMFailed, 0x80290407},
		{"*:rc=0x101", sign, prterr.TPMFailed, 0x80290407},
		{"Sign:rc=0x922:times=2", sign, "", 0}, // the TPM wants it again
		{"Sign:locked", sign, prterr.Exhausted, 0x80090031},
		{"Load:wrongkey", sign, prterr.KeysLost, 0x80090016}, // this key, not all
		{"Load:rc=0x902:times=1", sign, "", 0},               // full, and emptied
		{"HMAC:rc=0x910:times=1", use, "", 0},                // was reset
		{"*:delay=20ms", use, "", 0},
		{"HMAC:cleared", use, prterr.KeysLost, 0x80090016},
		{"", sign, prterr.KeysLost, 0x80090016},
		{"", use, prterr.KeysLost, 0x80090016},
	} {
		// The other key goes into the slot, so that the first loads its own again.
		if c.rules != "" {
			if err := sign(); err != nil {
				t.Fatalf("before %s: %v", c.rules, err)
			}
			if err := use(); err != nil {
				t.Fatalf("before %s: %v", c.rules, err)
			}
		}
		rules, err := tpmfault.Parse(c.rules)
		if err != nil {
			t.Fatal(err)
		}
		if err := faults.Set(rules...); err != nil {
			t.Fatal(err)
		}
		if err := c.do(); prterr.KindOf(err) != c.kind || hresult(err) != c.hresult {
			t.Errorf("%s: kind %q, code %#x, want %q and %#x: %v", c.rules, prterr.KindOf(err), hresult(err), c.kind, c.hresult, err)
		}
		if hits := faults.Hits(); len(hits) > 0 && hits[0] == 0 {
			t.Errorf("%s never struck", c.rules)
		}
		_ = faults.Set()
	}
	id := a.Register()
	if _, key = a.Import(id, tpmagenttest.UserA); use() != nil {
		t.Error("a cleared TPM takes no new keys")
	}
	// What a broken link leaves in the slots must not fill them.
	for i := range 8 {
		_ = faults.Set(tpmfault.Rule{Command: 0x155, Effect: tpmfault.Lost, Times: 1})
		if err := use(); prterr.KindOf(err) != prterr.TPMFailed {
			t.Errorf("break %d: %v", i, err)
		}
		if err := errors.Join(use(), sign()); err != nil {
			t.Fatalf("after break %d: %v", i, err)
		}
		_, key = a.Import(id, tpmagenttest.UserA) // it needs a session
	}
}

// TestFLT04_AnotherKeySignsNothingThatHolds: the TPM works, with another key.
func TestFLT04_AnotherKeySignsNothingThatHolds(t *testing.T) {
	faults, err := tpmfault.New(tpmfault.Config{Below: below(t, "soft")})
	if err != nil {
		t.Fatal(err)
	}
	a := tpmagenttest.Start(t, tpmagent.Config{Transport: faults})
	clearKey, key := a.Import(a.Register(), tpmagenttest.UserA)
	for _, wrong := range []bool{false, true} {
		if wrong {
			_ = faults.Set(tpmfault.Rule{Command: 0x155, Effect: tpmfault.WrongKey})
		}
		r, err := a.PRT().SignPRTCookie(t.Context(), &tpmv1.SignPRTCookieRequest{
			Partition: tpmagenttest.Partition(tpmagenttest.UserA), SessionKey: key, Prt: prt, RequestNonce: nonce,
		})
		if err != nil {
			t.Fatal(err)
		}
		tok, err := jose.Parse(r.GetCookie())
		if err != nil {
			t.Fatal(err)
		}
		if err := entrawire.VerifySession(tok, clearKey); (err != nil) != wrong {
			t.Errorf("wrong key %v: %v", wrong, err)
		}
	}
}

// TestPRO07_AKilledEmulatorIsStartedAgain kills the agent's own swtpm: nobody has to
// restart the agent, and the first time no caller sees it. One that dies in a row is
// left alone for a moment.
func TestPRO07_AKilledEmulatorIsStartedAgain(t *testing.T) {
	needSWTPM(t)
	dir := t.TempDir()
	a := tpmagenttest.Start(t, tpmagent.Config{StateDir: dir, TPM: "swtpm:", SoftwareKeys: "refuse"})
	_, key := a.Import(a.Register(), tpmagenttest.UserA)
	for i := range 3 {
		killEmulator(t, filepath.Join(dir, "swtpm"))
		err := cookie(t, a, tpmagenttest.UserA, key)
		if i == 0 && err != nil {
			t.Errorf("after a kill: %v", err)
		}
		for range 100 {
			if err == nil {
				break
			}
			time.Sleep(50 * time.Millisecond)
			err = cookie(t, a, tpmagenttest.UserA, key)
		}
		if err != nil {
			t.Fatalf("after kill %d: %v", i+1, err)
		}
	}
}

// killEmulator ends the swtpm whose state is in dir.
func killEmulator(t *testing.T, dir string) {
	t.Helper()
	processes, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range processes {
		words, err := os.ReadFile(p)
		if err != nil || !bytes.Contains(words, []byte("dir="+dir+",")) {
			continue
		}
		pid, err := strconv.Atoi(strings.Split(p, "/")[2])
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		for range 500 {
			if _, err := os.Stat(filepath.Dir(p)); err != nil {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	t.Skip("no swtpm was found in /proc: this test needs the proc file system of Linux")
}

// TestPRO07_ATPMThatIsDownAtTheStart: the agent starts, signs nothing, and works as
// soon as the TPM is there.
func TestPRO07_ATPMThatIsDownAtTheStart(t *testing.T) {
	dir := t.TempDir()
	tpm := below(t, "soft")
	sock := filepath.Join(dir, "tpm")
	cfg := tpmagent.Config{StateDir: filepath.Join(dir, "agent"), TPM: "unix:" + sock}
	stop := serveTPM(t, sock, tpm)
	a := tpmagenttest.Start(t, cfg)
	_, key := a.Import(a.Register(), tpmagenttest.UserA)
	if err := a.Service.Close(); err != nil {
		t.Fatal(err)
	}
	stop()
	b := tpmagenttest.Start(t, cfg)
	if err := cookie(t, b, tpmagenttest.UserA, key); prterr.KindOf(err) != prterr.TPMFailed || hresult(err) != 0x80290407 {
		t.Errorf("without the TPM: %v", err)
	}
	stop = serveTPM(t, sock, tpm)
	var err error
	for range 100 { // the link waits longer after each failure
		if err = cookie(t, b, tpmagenttest.UserA, key); err == nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err != nil {
		t.Errorf("with the TPM: %v", err)
	}
	// And when it goes and comes again.
	stop()
	_ = cookie(t, b, tpmagenttest.UserA, key)
	defer serveTPM(t, sock, tpm)()
	for range 100 {
		if err = cookie(t, b, tpmagenttest.UserA, key); err == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("with the TPM again: %v", err)
}

// serveTPM serves a TPM at a socket until stop is called.
func serveTPM(t *testing.T, path string, tpm transport.TPM) (stop func()) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	conns := make(chan net.Conn, 64)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				close(conns)
				return
			}
			conns <- c
			go func() { _ = answerAll(c, tpm) }()
		}
	}()
	return func() {
		_ = l.Close()
		for c := range conns {
			_ = c.Close()
		}
	}
}

func answerAll(c net.Conn, tpm transport.TPM) error {
	for {
		head := make([]byte, 10)
		if _, err := io.ReadFull(c, head); err != nil {
			return err
		}
		n := binary.BigEndian.Uint32(head[2:])
		if n < 10 || n > 4096 {
			return fmt.Errorf("command of %d bytes", n)
		}
		command := make([]byte, n)
		copy(command, head)
		if _, err := io.ReadFull(c, command[10:]); err != nil {
			return err
		}
		out, err := tpm.Send(command)
		if err != nil {
			return err
		}
		if _, err := c.Write(out); err != nil {
			return err
		}
	}
}
