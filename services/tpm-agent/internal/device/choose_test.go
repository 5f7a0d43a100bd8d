//go:build unix

package device

import (
	"encoding/binary"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/softtpm"
)

// TestREG03_TheChoice is the whole table: each policy, each kind of keys on disk,
// each condition of the TPM.
func TestREG03_TheChoice(t *testing.T) {
	bad := []Condition{Absent, OldFamily, Failing}
	for _, c := range []struct {
		policies []Policy
		keys     []Keys
		conds    []Condition
		want     Choice
	}{
		{[]Policy{"", Allow}, []Keys{NoKeys, KeysInTPM}, []Condition{Usable}, useTPM},
		{[]Policy{"", Allow}, []Keys{NoKeys}, bad, useSoftware},
		{[]Policy{"", Allow}, []Keys{KeysInTPM}, bad, failedTPM},
		{[]Policy{"", Allow}, []Keys{KeysInSoftware}, bad, useSoftware},
		{[]Policy{"", Allow}, []Keys{KeysInSoftware}, []Condition{Usable}, useBoth},
		{[]Policy{Refuse}, []Keys{NoKeys, KeysInTPM, KeysInSoftware}, []Condition{Usable}, useTPM},
		{[]Policy{Refuse}, []Keys{NoKeys, KeysInTPM, KeysInSoftware}, bad, failedTPM},
		{[]Policy{Only}, []Keys{NoKeys, KeysInTPM, KeysInSoftware}, append(bad, Usable), useSoftware},
	} {
		for _, p := range c.policies {
			for _, k := range c.keys {
				for _, cond := range c.conds {
					if got := Choose(p, cond, k); got != c.want {
						t.Errorf("policy %q, keys %s, TPM %s: %s, want %s", p, k, cond, got, c.want)
					}
				}
			}
		}
	}
}

// chip is a TPM at a socket that can be taken away.
type chip struct {
	t    *testing.T
	path string
	tpm  *softtpm.TPM
	l    net.Listener
}

func newChip(t *testing.T) *chip {
	t.Helper()
	tpm, err := softtpm.New(softtpm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	c := &chip{t: t, path: filepath.Join(t.TempDir(), "tpm"), tpm: tpm}
	t.Cleanup(c.off)
	return c
}

func (c *chip) on() {
	l, err := new(net.ListenConfig).Listen(c.t.Context(), "unix", c.path)
	if err != nil {
		c.t.Fatal(err)
	}
	c.l = l
	go accept(l, func(conn net.Conn) error {
		command, err := readCommand(conn)
		if err != nil {
			return err
		}
		out, err := c.tpm.Send(command)
		if err != nil {
			return err
		}
		_, err = conn.Write(out)
		return err
	})
}

func (c *chip) off() {
	if c.l != nil {
		_ = c.l.Close()
	}
}

func expect(t *testing.T, cfg Config, p Protection, works bool) *used {
	t.Helper()
	o, err := one(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = o.Close() }()
	_, err = ask(o)
	if o.Protection != p || (err == nil) != works {
		t.Errorf("protection %v, want %v; reason %q; %v", o.Protection, p, o.Reason, err)
	}
	return o
}

// TestREG03_WithoutATPMKeysAreInSoftwareAndItSaysSo walks through the life of a
// device whose TPM comes and goes.
func TestREG03_WithoutATPMKeysAreInSoftwareAndItSaysSo(t *testing.T) {
	chip := newChip(t)
	cfg := Config{Addr: "unix:" + chip.path, Dir: t.TempDir()}
	o := expect(t, cfg, Software, true)
	if o.Name != "Lockstep Software Key Storage Provider" || !strings.Contains(o.Reason, "absent") {
		t.Errorf("name %q, reason %q", o.Name, o.Reason)
	}
	// No key was made yet, so a TPM that appears is used.
	chip.on()
	expect(t, cfg, Emulated, true)
	chip.off()
	expect(t, cfg, Software, true)
	// With keys in software both are in use, so that the device can move.
	cfg.Found = KeysInSoftware
	chip.on()
	o = expect(t, cfg, Software, true)
	if !strings.Contains(o.Reason, "migrate the device") || o.both.TPM == nil {
		t.Errorf("reason %q, TPM %v", o.Reason, o.both.TPM)
	}
	// Under the policy that refuses software keys, these are given up.
	cfg.SoftwareKeys = Refuse
	expect(t, cfg, Emulated, true)
	chip.off()
	o = expect(t, cfg, Emulated, false)
	if !strings.Contains(o.Reason, "absent") {
		t.Errorf("reason %q", o.Reason)
	}
}

// TestPRO07_ATPMWithKeysIsNeverReplacedBySoftware: silence the TPM of a device
// that has keys in it.
func TestPRO07_ATPMWithKeysIsNeverReplacedBySoftware(t *testing.T) {
	chip := newChip(t)
	cfg := Config{Addr: "unix:" + chip.path, Dir: t.TempDir()}
	chip.on()
	expect(t, cfg, Emulated, true)
	cfg.Found = KeysInTPM
	chip.off()
	o, err := one(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = o.Close() }()
	if _, err := ask(o); err == nil || o.Protection == Software || o.Reason == "" {
		t.Fatalf("protection %v, reason %q, %v", o.Protection, o.Reason, err)
	}
	if _, err := os.Stat(filepath.Join(cfg.Dir, softwareFile)); err == nil {
		t.Error("a software key store was made")
	}
	// It is repaired without a restart.
	chip.on()
	var last error
	for range 100 {
		cond, err := ask(o)
		if last = err; cond == Usable {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if last != nil {
		t.Errorf("not repaired: %v", last)
	}
}

// TestREG04_ATPM12IsLikeNone: a chip of the old family answers everything in its
// own format; another one reports its family in the new one.
func TestREG04_ATPM12IsLikeNone(t *testing.T) {
	for name, answer := range map[string]func(command []byte) [][]byte{
		"bad tag":       old(30),
		"bad ordinal":   old(10),
		"not supported": old(0x101),
		"family 1.2": func(command []byte) [][]byte {
			if binary.BigEndian.Uint32(command[6:]) != 0x17a {
				return [][]byte{{0x80, 1, 0, 0, 0, 10, 0, 0, 0, 0}}
			}
			return [][]byte{{
				0x80, 1, 0, 0, 0, 27, 0, 0, 0, 0, // header
				0, 0, 0, 0, 6, 0, 0, 0, 1, // one TPM property
				0, 0, 1, 0, '1', '.', '2', 0,
			}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			sock := filepath.Join(t.TempDir(), "s")
			serve(t, "unix", sock, answer)
			cfg := Config{Addr: "unix:" + sock, Dir: t.TempDir()}
			o := expect(t, cfg, Software, true)
			if !strings.Contains(o.Reason, "not of family 2.0") {
				t.Errorf("reason %q", o.Reason)
			}
			cfg.SoftwareKeys = Refuse
			if o, err := one(t.Context(), cfg); err != nil || o.Protection != Emulated || o.Reason == "" {
				t.Errorf("refused: %+v, %v", o, err)
			}
		})
	}
}

// old answers as a TPM 1.2: tag TPM_TAG_RSP_COMMAND and one of its own codes.
func old(code uint32) func([]byte) [][]byte {
	return func([]byte) [][]byte {
		return [][]byte{binary.BigEndian.AppendUint32([]byte{0, 0xC4, 0, 0, 0, 10}, code)}
	}
}

func TestAForbiddenDeviceIsNoAbsentOne(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may open everything: run as another user")
	}
	path := filepath.Join(t.TempDir(), "tpmrm0")
	if err := os.WriteFile(path, nil, 0o000); err != nil {
		t.Fatal(err)
	}
	if _, err := one(t.Context(), Config{Addr: "device:" + path, Dir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "tss") {
		t.Errorf("got %v", err)
	}
}
