package main

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
)

// liar is the emulator with a mistake in its answers.
type liar struct {
	soft
	lie func(cmd, rsp []byte)
}

func (*liar) Name() string { return "liar" }

func (l *liar) Send(cmd []byte) ([]byte, error) {
	rsp, err := l.soft.Send(cmd)
	if err == nil {
		l.lie(cmd, rsp)
	}
	return rsp, err
}

func judged(t *testing.T, o options, list string, lie func(cmd, rsp []byte)) (string, bool) {
	t.Helper()
	var out strings.Builder
	ok, err := judge(&out, o, &soft{}, &liar{lie: lie}, list)
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	return out.String(), ok
}

func code(cmd []byte) uint32 { return binary.BigEndian.Uint32(cmd[6:]) }

// The emulator does not differ from itself: what the judge compares is not left
// to chance, though keys and nonces are.
func TestNoDifferenceFromItself(t *testing.T) {
	for seed := range uint64(3) {
		out, ok := judged(t, options{seed: seed, sequences: 10, steps: 120, only: -1}, "", func([]byte, []byte) {})
		if !ok || !strings.Contains(out, " 0 differences") {
			t.Errorf("seed %d:\n%s", seed, out)
		}
	}
}

// Every kind of mistake is found, and named.
func TestMistakesAreFound(t *testing.T) {
	for want, lie := range map[string]func(cmd, rsp []byte){
		"HMAC | mac | mac": func(cmd, rsp []byte) {
			if code(cmd) == ccHMAC && len(rsp) > 30 {
				rsp[20] ^= 1
			}
		},
		"Hash | 0x0 | 0x101": func(cmd, rsp []byte) {
			if code(cmd) == ccHash && len(rsp) > 10 {
				copy(rsp[6:], u32(0x101))
			}
		},
		"LoadExternal | name | name": func(cmd, rsp []byte) {
			if code(cmd) == ccLoadExternal && len(rsp) > 10 {
				rsp[len(rsp)-1] ^= 1
			}
		},
		"StartAuthSession | handle | handle": func(cmd, rsp []byte) {
			if code(cmd) == ccStartAuthSession && len(rsp) > 10 {
				rsp[13] += 7
			}
		},
		"PCR_Read | pcrs | pcrs": func(cmd, rsp []byte) {
			if code(cmd) == ccPCRRead && len(rsp) > 40 {
				rsp[len(rsp)-1] ^= 1
			}
		},
		"CreatePrimary | public | public": func(cmd, rsp []byte) {
			if code(cmd) == ccCreatePrimary && len(rsp) > 40 {
				rsp[24] ^= 1 // an attribute
			}
		},
	} {
		out, ok := judged(t, options{seed: 1, sequences: 25, steps: 60, only: -1}, "", lie)
		if ok || !strings.Contains(out, "liar | "+want) {
			t.Errorf("%s was not found:\n%s", want, out)
		}
	}
}

// An allowed difference does not fail, and one that is not needed does.
func TestAllowed(t *testing.T) {
	lie := func(cmd, rsp []byte) {
		if code(cmd) == ccECCParms && len(rsp) > 30 {
			rsp[30] ^= 1
		}
	}
	o := options{seed: 1, sequences: 20, steps: 60, only: -1, full: true}
	needed := "liar | ECC_Parameters | parms | parms | * | the liar's curve is another\n"
	if out, ok := judged(t, o, needed, lie); !ok {
		t.Errorf("an allowed difference failed:\n%s", out)
	}
	if out, ok := judged(t, o, needed+"* | Hash | 0x0 | 0x101 | * | nobody does that\n", lie); ok || !strings.Contains(out, "did not occur: * | Hash") {
		t.Errorf("a difference that did not occur is allowed:\n%s", out)
	}
	if _, err := allowed("a | b | c | d | e |  "); err == nil {
		t.Error("a rule without a reason")
	}
	for code, want := range map[string]bool{"0x1d5": true, "0x95": true, "0x2c4": true, "0x18b": false, "0x98e": false, "0x902": false, "0x101": false, "name": false} {
		if fits("parameter", code) != want {
			t.Errorf("%s blames a parameter: %v", code, !want)
		}
	}
}

// The list in the repository is one.
func TestList(t *testing.T) {
	if _, err := allowed(allowedText); err != nil {
		t.Error(err)
	}
}

// A sequence is a function of its seed, as far as the TPM lets it.
func TestSeedDecides(t *testing.T) {
	commands := func() []byte {
		keys := &outside{rsa: nil, eccD: make([]byte, 32), eccPoint: cat(b2(nil), b2(nil))}
		g := newGenerator(&random{42}, keys, map[uint32]bool{ccPCRRead: true, ccGetRandom: true, ccNVDefine: true, ccHash: true})
		var all []byte
		w := newWorld(&soft{})
		for range 100 {
			s, done := g.next()
			all = append(all, w.encode(s)...)
			if done != nil {
				done(true)
			}
		}
		return all
	}
	if !bytes.Equal(commands(), commands()) {
		t.Error("the same seed gave two sequences")
	}
}
