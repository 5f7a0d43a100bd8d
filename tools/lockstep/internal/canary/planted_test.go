package canary_test

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/canary"
)

// mayTrace skips where processes may not be read.
func mayTrace(t *testing.T, err error) {
	t.Helper()
	if os.IsPermission(err) {
		t.Skipf("this user may not read the memory of a process (ptrace): %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestTheScanFindsWhatIsThere is the positive control: another process holds a key
// in one form, told over a pipe, and the scan finds that form, and finds no other
// key. The names of the keys are those of the real scan.
func TestTheScanFindsWhatIsThere(t *testing.T) {
	if os.Getenv("CANARY_HOLD") != "" {
		hold()
		return
	}
	keys := []canary.Key{{Name: "session key"}, {Name: "derived key"}, {Name: "key that is nowhere"}}
	for i := range keys {
		keys[i].Bytes = make([]byte, 32)
		_, _ = rand.Read(keys[i].Bytes)
	}
	needles, err := canary.NewNeedles(keys)
	if err != nil {
		t.Fatal(err)
	}
	for form, spell := range map[string]func(key []byte) []byte{
		"bytes":    func(key []byte) []byte { return key },
		"HMAC pad": func(key []byte) []byte { return pad(key, 0x5c)[:32] },
		"HMAC state": func(key []byte) []byte {
			h := sha256.New()
			h.Write(pad(key, 0x36))
			state, _ := h.(interface{ MarshalBinary() ([]byte, error) }).MarshalBinary()
			return state
		},
		"text": func(key []byte) []byte { return []byte(`{"k":"` + base64.StdEncoding.EncodeToString(key) + `"}`) },
	} {
		t.Run(form, func(t *testing.T) {
			for _, k := range keys[:2] {
				found := scanHolder(t, needles, spell(k.Bytes))
				if len(found) == 0 {
					t.Fatalf("a %s as %s was not found", k.Name, form)
				}
				for _, f := range found {
					if f.Key != k.Name || f.Form != form {
						t.Errorf("found %s, %s", f.Key, f.Form)
					}
				}
			}
		})
	}
	t.Run("a live HMAC", func(t *testing.T) {
		found := canary.Summary(scanHolder(t, needles, append([]byte("hmac"), keys[0].Bytes...)))
		if !slices.Contains(found, "session key, HMAC pad") && !slices.Contains(found, "session key, HMAC state") {
			t.Errorf("found only %q", found)
		}
	})
}

func pad(key []byte, with byte) []byte {
	block := bytes.Repeat([]byte{with}, sha256.BlockSize)
	for i, b := range key {
		block[i] ^= b
	}
	return block
}

// hold keeps what comes over standard input until that ends. The text that came is
// turned round first and wiped, so that no second copy counts.
func hold() {
	line, _ := bufio.NewReader(os.Stdin).ReadBytes('\n')
	held := make([]byte, hex.DecodedLen(len(line)-1))
	_, _ = hex.Decode(held, line[:len(line)-1])
	for i := range held {
		held[i] = ^held[i] // the pipe carried it inverted
	}
	var mac any
	if key, ok := bytes.CutPrefix(held, []byte("hmac")); ok {
		h := hmac.New(sha256.New, key)
		h.Write(nil)
		mac = h
		clear(held)
	}
	_, _ = os.Stdout.WriteString("ready\n")
	_, _ = bufio.NewReader(os.Stdin).ReadByte()
	runtime.KeepAlive(mac)
	runtime.KeepAlive(held)
}

// scanHolder has a process hold some bytes, and scans it.
func scanHolder(t *testing.T, needles *canary.Needles, held []byte) []canary.Found {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestTheScanFindsWhatIsThere$")
	cmd.Env = append(os.Environ(), "CANARY_HOLD=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close(); _ = cmd.Wait() }()
	inverted := make([]byte, len(held))
	for i, b := range held {
		inverted[i] = ^b
	}
	if _, err := in.Write([]byte(hex.EncodeToString(inverted) + "\n")); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("the holder says %q, %v", line, err)
	}
	snapshot, err := canary.Take(cmd.Process.Pid, filepath.Join(t.TempDir(), "memory"))
	mayTrace(t, err)
	found, err := snapshot.Search(needles)
	if err != nil {
		t.Fatal(err)
	}
	return found
}
