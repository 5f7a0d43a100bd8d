package secret_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/secret"
)

func TestDoCallsOnceAndPassesPanicsOn(t *testing.T) {
	n := 0
	secret.Do(func() { n++ })
	defer func() {
		if r := recover(); r != "stop" || n != 2 {
			t.Errorf("called %d times, recovered %v", n, r)
		}
	}()
	secret.Do(func() { n++; panic("stop") })
}

// heap keeps what is stored in it out of the stack, until it is set anew.
var heap [][]byte

// scatter leaves copies of a canary in n heap blocks. The canary is computed, so
// that no copy of it is in the program.
//
//go:noinline
func scatter(seed string, n int) {
	h := sha256.Sum256([]byte(seed))
	for range n {
		b := make([]byte, 500)
		copy(b[100:], h[:])
		heap = append(heap, b)
	}
	clear(h[:])
}

// TestDoErasesTheHeap reads this process's own memory: the copies made inside Do are
// there while something points to them, and gone when the collector has been. Made
// outside Do they stay, which is the positive control of the same scan.
func TestDoErasesTheHeap(t *testing.T) {
	if !secret.Erases {
		t.Skip("built without GOEXPERIMENT=runtimesecret, or not for linux on amd64 or arm64: Do erases nothing")
	}
	const copies = 100
	for _, c := range []struct {
		seed string
		do   func(func())
		gone bool
	}{{"inside", secret.Do, true}, {"outside", func(f func()) { f() }, false}} {
		c.do(func() { scatter(c.seed, copies) })
		if n := inMemory(t, c.seed); n < copies {
			t.Errorf("%s: found %d of %d copies that are in use", c.seed, n, copies)
		}
		heap = nil
		runtime.GC()
		runtime.GC() // the first may leave sweeping to whoever allocates next
		if n := inMemory(t, c.seed); (n == 0) != c.gone {
			t.Errorf("%s: found %d copies after the collector had been", c.seed, n)
		}
	}
}

func BenchmarkDo(b *testing.B) {
	b.Run("empty", func(b *testing.B) {
		for b.Loop() {
			secret.Do(func() {})
		}
	})
	b.Run("hmac", func(b *testing.B) {
		key := make([]byte, 32)
		for b.Loop() {
			secret.Do(func() { hmac.New(sha256.New, key).Sum(key[:0]) })
		}
	})
}

// inMemory counts the canary in the writable memory of this process, and neither
// its own probe, which is inverted, nor its read buffer, which is wiped.
func inMemory(t *testing.T, seed string) (n int) {
	t.Helper()
	mem, err := os.Open("/proc/self/mem")
	if err != nil {
		t.Skipf("no /proc/self/mem to read: %v", err)
	}
	defer func() { _ = mem.Close() }()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	h := sha256.Sum256([]byte(seed))
	buf, inverted := make([]byte, 1<<20), make([]byte, len(h))
	for i := range h {
		inverted[i] = ^h[i]
	}
	clear(h[:])
	for line := range strings.Lines(string(maps)) {
		var from, to uint64
		var access string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &access); err != nil || !strings.HasPrefix(access, "rw") {
			continue
		}
		for at := from; at < to; at += uint64(len(buf)) {
			part := buf[:min(uint64(len(buf)), to-at)]
			got, _ := mem.ReadAt(part, int64(at)) // the maps may have changed since they were read
			for i := range part[:got] {
				part[i] = ^part[i]
			}
			n += bytes.Count(part[:got], inverted)
			clear(buf)
		}
	}
	return n
}
