package tpmio

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-tpm/tpm2"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

// broken is a link as package device has them: it counts its breaks, and says what
// did not leave.
type broken struct {
	epoch  atomic.Uint64
	answer func(command []byte) ([]byte, error)
}

func (b *broken) Send(command []byte) ([]byte, error) { return b.answer(command) }
func (b *broken) Epoch() uint64                       { return b.epoch.Load() }

type unsent struct{}

func (unsent) Error() string { return "broke before" }
func (unsent) NotSent() bool { return true }

// TestWorkThatDidNotBeginIsBegunAgain: the link had broken while nobody used it.
func TestWorkThatDidNotBeginIsBegunAgain(t *testing.T) {
	b := &broken{}
	sent := 0
	b.answer = func([]byte) ([]byte, error) {
		if sent++; sent == 1 {
			b.epoch.Add(1)
			return nil, unsent{}
		}
		return answer(0), nil
	}
	o := New(b)
	defer o.Close()
	var epochs []uint64
	err := do(t, o, func(c *Conn) error { epochs = append(epochs, c.Epoch()); return c.Flush(1) })
	if err != nil || !slices.Equal(epochs, []uint64{0, 1}) {
		t.Errorf("epochs %v, %v", epochs, err)
	}
}

// TestWorkThatBeganIsNot: a command that may have been executed is not sent again,
// and no later command of the same job meets the TPM that answers next.
func TestWorkThatBeganIsNot(t *testing.T) {
	for name, first := range map[string]error{"in the middle": io.EOF, "after one command": nil} {
		t.Run(name, func(t *testing.T) {
			b := &broken{}
			sent, begun := 0, 0
			b.answer = func([]byte) ([]byte, error) {
				sent++
				if sent == 1 && first == nil {
					return answer(0), nil
				}
				b.epoch.Add(1)
				if first == nil {
					return nil, unsent{}
				}
				return nil, first
			}
			o := New(b)
			defer o.Close()
			err := do(t, o, func(c *Conn) error {
				begun++
				if first == nil {
					if err := c.Flush(1); err != nil {
						return err
					}
				}
				err := c.Flush(2)
				if again := c.Flush(3); again == nil {
					t.Error("an old handle met a new TPM")
				}
				return err
			})
			if Classify(err) != Link || begun != 1 || sent > 2 {
				t.Errorf("begun %d times, %d commands, %v", begun, sent, err)
			}
		})
	}
}

// TestSlowWorkIsNotStarved keeps the quick queue full while one slow job waits.
func TestSlowWorkIsNotStarved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := New(scripted(func([]byte) ([]byte, error) { return answer(0), nil }))
		hold := make(chan struct{})
		go func() { _ = o.Do(t.Context(), func(*Conn) error { <-hold; return nil }) }()
		synctest.Wait()
		order, quick := []string{}, 0
		go func() {
			_ = o.DoSlow(t.Context(), func(*Conn) error { order = append(order, "slow"); return nil })
		}()
		for range 3 * quickRow {
			go func() { _ = o.Do(t.Context(), func(*Conn) error { order = append(order, "quick"); return nil }) }()
		}
		synctest.Wait()
		close(hold)
		synctest.Wait()
		o.Close()
		for _, s := range order {
			if s == "slow" {
				break
			}
			quick++
		}
		if quick == 0 || quick > quickRow || len(order) != 3*quickRow+1 {
			t.Errorf("%d of %d before the slow one", quick, len(order))
		}
	})
}

// TestACallerInTheQueueMayGoAway: the work of others takes long.
func TestACallerInTheQueueMayGoAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := New(scripted(func([]byte) ([]byte, error) { return answer(0), nil }))
		hold, ran := make(chan struct{}), false
		go func() { _ = o.Do(t.Context(), func(*Conn) error { <-hold; return nil }) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := o.Do(ctx, func(*Conn) error { ran = true; return nil }); prterr.KindOf(err) != prterr.Deadline {
			t.Errorf("got %v", err)
		}
		close(hold)
		synctest.Wait()
		o.Close()
		if ran {
			t.Error("it ran for nobody")
		}
	})
}

// TestFLT04_ATPMThatHangsHoldsNobodyElse: one command never comes back in time.
func TestFLT04_ATPMThatHangsHoldsNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wake := make(chan struct{})
		o := New(scripted(func([]byte) ([]byte, error) { <-wake; return answer(0), nil }))
		var first, second error
		go func() { first = do(t, o, func(c *Conn) error { return c.Flush(1) }) }()
		synctest.Wait()
		go func() { second = do(t, o, func(c *Conn) error { return c.Flush(2) }) }()
		time.Sleep(hangTime + time.Second)
		synctest.Wait()
		third := do(t, o, func(c *Conn) error { return c.Flush(3) })
		for i, err := range []error{second, third} {
			if prterr.KindOf(err) != prterr.TPMFailed {
				t.Errorf("caller %d behind it: %v", i+2, err)
			}
		}
		close(wake)
		synctest.Wait()
		if first != nil {
			t.Errorf("the one under way: %v", first)
		}
		if err := do(t, o, func(c *Conn) error { return c.Flush(4) }); err != nil {
			t.Errorf("after it: %v", err)
		}
		o.Close()
	})
}

// TestAFullTPMIsEmptiedOnce: the reaction frees a slot, and the command goes again.
func TestAFullTPMIsEmptiedOnce(t *testing.T) {
	full, sent, flushed := true, 0, 0
	o := New(scripted(func(command []byte) ([]byte, error) {
		if command[9] == byte(tpm2.TPMCCFlushContext&0xff) {
			flushed++
			return answer(0), nil
		}
		if sent++; full {
			return answer(tpm2.TPMRCObjectMemory), nil
		}
		return append(answer(0)[:6], 0, 0, 0, 0, 0x80, 0, 0, 1), nil
	}))
	defer o.Close()
	load := func(c *Conn) error { _, err := c.Load(1, nil, nil); return err }
	if err := do(t, o, load); Classify(err) != Resource || sent != 1 {
		t.Errorf("without a reaction: %d, %v", sent, err)
	}
	o.OnFull(func(c *Conn) { _ = c.Flush(7) })
	if err := do(t, o, load); Classify(err) != Resource || sent != 3 || flushed != 1 {
		t.Errorf("full for ever: %d sent, %d flushed, %v", sent, flushed, err)
	}
	o.OnFull(func(c *Conn) { _ = c.Flush(7); full = false })
	_ = do(t, o, load)
	if sent != 5 || flushed != 2 {
		t.Errorf("%d sent, %d flushed", sent, flushed)
	}
	s := o.Stats().Commands[tpm2.TPMCCLoad]
	if s.Failed[Resource] != 4 {
		t.Errorf("stats %+v", s)
	}
}

// TestSlotsAreSweptAndSessionsRenewed fills a TPM as an agent that died does.
func TestSlotsAreSweptAndSessionsRenewed(t *testing.T) {
	onTPMs(t, func(t *testing.T, o *Owner, _ *tap) {
		err := do(t, o, func(c *Conn) error {
			for range 3 {
				root(t, c)
			}
			for range 3 {
				if _, _, err := tpm2.HMACSession(c, tpm2.TPMAlgSHA256, 16); err != nil {
					return err
				}
			}
			_, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute(c)
			if Classify(err) != Resource {
				t.Errorf("a full TPM: %v", err)
			}
			if err := c.Sweep(); err != nil {
				return err
			}
			srk := root(t, c)
			if err := c.Sweep(srk.Handle); err != nil {
				return err
			}
			r := tpm2.ReadPublic{ObjectHandle: srk.Handle}
			if _, err := r.Execute(c); err != nil {
				t.Errorf("what was to be kept: %v", err)
			}
			return renewals(t, c, srk)
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// renewals takes the session away in each way that may happen.
func renewals(t *testing.T, c *Conn, srk tpm2.NamedHandle) error {
	use := func() error {
		_, _, err := c.Create(Key{Handle: srk.Handle, Name: srk.Name.Buffer}, nil, make([]byte, 32), tpm2.Marshal(hmacTemplate()))
		return err
	}
	b := &c.owner.bus
	for _, way := range []struct {
		name  string
		take  func()
		fails bool
	}{
		{"it is there", func() {}, false},
		{"it is old", func() { b.begun = time.Now().Add(-sessionAge) }, false},
		{"it is suspect", func() { b.suspect = true }, false},
		{"flushed by another", func() { _ = c.Flush(b.handle) }, true},
		{"with another key", func() { b.key[0] ^= 1 }, true},
	} {
		way.take()
		if err := use(); (err != nil) != way.fails {
			t.Errorf("%s: %v", way.name, err)
		}
		if err := use(); err != nil {
			t.Errorf("after %s: %v", way.name, err)
		}
	}
	c.SetRoot(0, tpm2.TPMTPublic{})
	b.forget()
	if err := use(); !errors.Is(err, errNoRoot) {
		t.Errorf("without a root: %v", err)
	}
	return nil
}

func TestStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		o := New(scripted(func([]byte) ([]byte, error) {
			time.Sleep(time.Second)
			switch tries++; tries {
			case 1:
				return answer(tpm2.TPMRCRetry), nil
			case 3:
				return answer(tpm2.TPMRCLockout), nil
			case 4:
				return nil, io.EOF
			}
			return answer(0), nil
		}))
		defer o.Close()
		for range 3 {
			_ = do(t, o, func(c *Conn) error { return c.Flush(1) })
		}
		s := o.Stats()
		f := s.Commands[tpm2.TPMCCFlushContext]
		if f.Count != 3 || f.Resent != 1 || f.Time != 4*time.Second || f.Longest != time.Second || f.Failed[Lockout] != 1 || f.Failed[Link] != 1 || len(f.Failed) != 2 {
			t.Errorf("%+v", f)
		}
		if s.Queue.Jobs != 3 || s.Queue.Longest != 0 {
			t.Errorf("%+v", s.Queue)
		}
	})
}

// TestEveryClassHasAReaction: what a class leads to is said, and said once.
func TestEveryClassHasAReaction(t *testing.T) {
	names := map[string]bool{}
	for _, c := range Classes() {
		r := reactions[c]
		if r.name == "" || names[r.name] || c.String() != r.name {
			t.Errorf("class %d is named %q", c, r.name)
		}
		names[r.name] = true
		if c > Other && (r.kind == "" || r.text == "") {
			t.Errorf("%v leads to nothing", c)
		}
	}
	if Class(-1).String() != "unknown" || Class(len(reactions)).String() != "unknown" {
		t.Error("a class that is none has a name")
	}
}
