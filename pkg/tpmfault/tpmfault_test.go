package tpmfault

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

type scripted func(command []byte) ([]byte, error)

func (s scripted) Send(command []byte) ([]byte, error) { return s(command) }

func cmd(code uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{0x80, 2, 0, 0, 0, 10}, code)
}

func rc(t *testing.T, out []byte, err error) uint32 {
	t.Helper()
	if err != nil || len(out) < headerSize {
		t.Fatalf("%x, %v", out, err)
	}
	return binary.BigEndian.Uint32(out[6:])
}

func start(t *testing.T, below scripted, text string) *TPM {
	t.Helper()
	rules, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	f, err := New(Config{Below: below, Rules: rules})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func works([]byte) ([]byte, error) { return answer(0), nil }

func TestRulesStrikeInTurn(t *testing.T) {
	f := start(t, works, "Sign:rc=0x101:skip=1:times=2; Sign:rc=0x922:times=1; HMAC:rc=0x902")
	var got []uint32
	for range 5 {
		out, err := f.Send(cmd(ccSign))
		got = append(got, rc(t, out, err))
	}
	// The first passes rule one and meets rule two.
	if !slices.Equal(got, []uint32{0x922, 0x101, 0x101, 0, 0}) || !slices.Equal(f.Hits(), []int{2, 1, 0}) {
		t.Errorf("%x, hits %v", got, f.Hits())
	}
	if err := f.Set(); err != nil || len(f.Rules()) != 0 {
		t.Error(err)
	}
	out, err := f.Send(cmd(ccHMAC))
	if rc(t, out, err) != 0 {
		t.Error("a TPM without rules is whole")
	}
	if _, err := f.Send(nil); err != nil {
		t.Error("what is no command is the TPM's to judge")
	}
}

func TestGoneAndLost(t *testing.T) {
	sent := 0
	f := start(t, func(c []byte) ([]byte, error) { sent++; return works(c) }, "Sign:gone; HMAC:lost:times=1")
	var gone *GoneError
	if _, err := f.Send(cmd(ccSign)); !errors.As(err, &gone) || !gone.NotSent() || sent != 0 || f.Epoch() != 1 {
		t.Errorf("gone: %d sent, %v", sent, err)
	}
	if _, err := f.Send(cmd(ccHMAC)); !errors.As(err, &gone) || gone.NotSent() || sent != 1 || f.Epoch() != 2 {
		t.Errorf("lost: %d sent, %v", sent, err)
	}
	if _, err := f.Send(cmd(ccHMAC)); err != nil || f.Epoch() != 2 {
		t.Error(err)
	}
}

func TestSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, works, "Sign:delay=200ms; Sign:delay=1s:times=1; HMAC:latency=field")
		begun := time.Now()
		_, _ = f.Send(cmd(ccSign))
		if d := time.Since(begun); d != 1200*time.Millisecond {
			t.Errorf("two delays are %v", d)
		}
		begun = time.Now()
		_, _ = f.Send(cmd(ccHMAC))
		if d := time.Since(begun); d <= 0 || d > fieldMost {
			t.Errorf("field latency %v", d)
		}
	})
}

func TestLockedHitsAuthorisations(t *testing.T) {
	f := start(t, works, "*:locked")
	out, err := f.Send(cmd(ccSign))
	if rc(t, out, err) != rcLockout {
		t.Error("not locked")
	}
	plain := cmd(0x17b)
	plain[1] = 1
	out, err = f.Send(plain)
	if rc(t, out, err) != 0 {
		t.Error("a command without authorisation is locked")
	}
}

func TestClearedTriesBothAuthorisations(t *testing.T) {
	var seen []uint32
	refuse := uint32(0)
	f := start(t, func(c []byte) ([]byte, error) {
		seen = append(seen, codeOf(c))
		if codeOf(c) == ccClear {
			seen = append(seen, binary.BigEndian.Uint32(c[10:]))
			if binary.BigEndian.Uint32(c[10:]) == rhLockout {
				return answer(0x9a2), nil
			}
			return answer(refuse), nil
		}
		return answer(0), nil
	}, "Load:cleared")
	for range 2 {
		if _, err := f.Send(cmd(ccLoad)); err != nil {
			t.Error(err)
		}
	}
	if !slices.Equal(seen, []uint32{ccClear, rhLockout, ccClear, rhPlatform, ccLoad, ccLoad}) {
		t.Errorf("%x", seen)
	}
	refuse = 0x9a2
	_ = f.Set(Rule{Effect: Cleared, Times: 1})
	if _, err := f.Send(cmd(ccLoad)); err == nil {
		t.Error("a TPM that cannot be cleared passed for cleared")
	}
}

func TestWrongKey(t *testing.T) {
	signature := []byte{0x80, 2, 0, 0, 0, 27, 0, 0, 0, 0, 0, 0, 0, 4, 0, 2, 7, 7, 0, 0, 1, 0, 0, 0, 0, 0, 0}
	f := start(t, func([]byte) ([]byte, error) { return bytes.Clone(signature), nil }, "*:wrongkey")
	for code, want := range map[uint32]uint32{ccLoad: rcIntegrity, ccRSADecrypt: rcValue, 0x17b: 0} {
		out, err := f.Send(cmd(code))
		if got := rc(t, out, err); got != want {
			t.Errorf("%#x answers %#x", code, got)
		}
	}
	for _, code := range []uint32{ccSign, ccHMAC} {
		out, err := f.Send(cmd(code))
		if err != nil || len(out) != len(signature) || out[17] != 6 || !bytes.Equal(out[:17], signature[:17]) || !bytes.Equal(out[18:], signature[18:]) {
			t.Errorf("%x, %v", out, err)
		}
	}
}

// TestRulesChangeWhileItRuns is for the race detector.
func TestRulesChangeWhileItRuns(t *testing.T) {
	f := start(t, works, "")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				if _, err := f.Send(cmd(ccSign)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 100 {
		_ = f.Set(Rule{Effect: Code, Code: 0x101, Times: 3})
		_, _ = f.Rules(), f.Hits()
	}
	wg.Wait()
}
