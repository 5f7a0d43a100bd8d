package tpmsocket

import (
	"bytes"
	"errors"
	"net"
	"testing"
	"time"
)

// script is a client that sends what it has and goes.
type script struct {
	net.Conn // nothing else is called
	in       *bytes.Reader
	out      int
}

func (s *script) Read(b []byte) (int, error)       { return s.in.Read(b) }
func (s *script) Write(b []byte) (int, error)      { s.out += len(b); return len(b), nil }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }

// judge is a TPM that checks what reaches it.
type judge struct {
	t       *testing.T
	framed  bool
	refuses bool
}

func (j *judge) Send(cmd []byte) ([]byte, error) {
	if len(cmd) > MaxMessage || j.framed && (len(cmd) < headerSize || be.Uint32(cmd[2:]) != uint32(len(cmd))) {
		j.t.Errorf("the TPM got %d bytes: %.10x", len(cmd), cmd)
	}
	if j.refuses {
		return nil, errors.New("broken")
	}
	return refusal(0), nil
}

func (j *judge) PowerCycle() error {
	if j.refuses {
		return errors.New("broken")
	}
	return nil
}

// FuzzFraming sends bytes to each of the four channels: whatever they are, each
// message is answered or ends the connection, and what reaches the TPM is framed.
func FuzzFraming(f *testing.F) {
	command := append([]byte{0x80, 1}, words(12, 0x17b)...)
	command = append(command, 0, 8)
	for _, seed := range [][]byte{
		command, append(bytes.Clone(command), command...), command[:5],
		words(1), words(2, 0), words(5), words(14), words(3), words(17, 0), words(99),
		append(append(append(words(8), 0), words(12)...), command...),
		append(append(words(8), 0), words(1<<31)...),
		words(15, 1, 20), words(17, 18, 30, 2, 1, 21), words(0xffffffff),
	} {
		f.Add(seed, false)
		f.Add(seed, true)
	}
	f.Fuzz(func(t *testing.T, in []byte, refuses bool) {
		for i := range 4 {
			j := &judge{t: t, framed: i == 0, refuses: refuses}
			s, err := New(Config{TPM: j, Power: j, Framing: SWTPM})
			if err != nil {
				t.Fatal(err)
			}
			sc := &script{in: bytes.NewReader(in)}
			c := &conn{Conn: sc, idle: time.Second, limit: time.Second}
			handle := []message{s.swtpmCommand, s.swtpmControl, s.mssimCommand, s.mssimPlatform}[i]
			for {
				left, answered := sc.in.Len(), sc.out
				if handle(c) != nil {
					break
				}
				if sc.in.Len() == left || sc.out == answered {
					t.Fatalf("channel %d: a message took %d bytes and was answered with %d", i, left-sc.in.Len(), sc.out-answered)
				}
			}
		}
	})
}
