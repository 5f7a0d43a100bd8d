package tpmio

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-tpm/tpm2"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/softtpm"
)

// scripted is a TPM that answers what the test says.
type scripted func(command []byte) ([]byte, error)

func (s scripted) Send(command []byte) ([]byte, error) { return s(command) }

// answer is a TPM response without parameters.
func answer(rc tpm2.TPMRC) []byte {
	return binary.BigEndian.AppendUint32([]byte{0x80, 1, 0, 0, 0, 10}, uint32(rc))
}

func do(t *testing.T, o *Owner, f func(*Conn) error) error {
	t.Helper()
	return o.Do(t.Context(), f)
}

func TestT14_OneCommandAtATime(t *testing.T) {
	var mu sync.Mutex // TryLock fails when two commands overlap
	o := New(scripted(func([]byte) ([]byte, error) {
		if !mu.TryLock() {
			t.Error("two commands at once")
		}
		defer mu.Unlock()
		return answer(0), nil
	}))
	defer o.Close()
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for range 50 {
				if err := o.Do(t.Context(), func(c *Conn) error { return c.Flush(1) }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := o.Counts()[tpm2.TPMCCFlushContext]; n != 32*50 {
		t.Errorf("%d commands counted", n)
	}
}

// TestQuickWorkGoesFirst lets a slow and then a quick job wait behind a third.
func TestQuickWorkGoesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := New(scripted(func([]byte) ([]byte, error) { return answer(0), nil }))
		hold := make(chan struct{})
		var order []string
		note := func(s string) func(*Conn) error {
			return func(*Conn) error { order = append(order, s); return nil }
		}
		go func() { _ = o.Do(t.Context(), func(*Conn) error { <-hold; return nil }) }()
		synctest.Wait()
		go func() { _ = o.DoSlow(t.Context(), note("slow")) }()
		synctest.Wait()
		go func() { _ = o.Do(t.Context(), note("quick")) }()
		synctest.Wait()
		close(hold)
		synctest.Wait()
		o.Close()
		if !slices.Equal(order, []string{"quick", "slow"}) {
			t.Errorf("order %v", order)
		}
	})
}

// TestAnEndedCallerIsNotServed gives up while the job waits: it must not run.
func TestAnEndedCallerIsNotServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := New(scripted(func([]byte) ([]byte, error) { return answer(0), nil }))
		hold := make(chan struct{})
		go func() { _ = o.Do(t.Context(), func(*Conn) error { <-hold; return nil }) }()
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		var err error
		ran := false
		go func() { err = o.Do(ctx, func(*Conn) error { ran = true; return nil }) }()
		synctest.Wait()
		cancel()
		close(hold)
		synctest.Wait()
		o.Close()
		if ran || err == nil {
			t.Errorf("ran %v, err %v", ran, err)
		}
	})
}

func TestAClosedOwnerRefuses(t *testing.T) {
	o := New(scripted(func([]byte) ([]byte, error) { return answer(0), nil }))
	o.Close()
	if err := do(t, o, func(*Conn) error { return nil }); prterr.KindOf(err) != prterr.Unavailable {
		t.Errorf("got %v", err)
	}
}

func TestResends(t *testing.T) {
	for _, rc := range []tpm2.TPMRC{tpm2.TPMRCRetry, tpm2.TPMRCYielded, tpm2.TPMRCTesting, tpm2.TPMRCNVRate} {
		synctest.Test(t, func(t *testing.T) {
			sent := 0
			o := New(scripted(func(command []byte) ([]byte, error) {
				if sent++; sent < 3 {
					return answer(rc), nil
				}
				return answer(0), nil
			}))
			defer o.Close()
			if err := do(t, o, func(c *Conn) error { return c.Flush(1) }); err != nil || sent != 3 {
				t.Errorf("%v: sent %d times, %v", rc, sent, err)
			}
			if n := o.Counts()[tpm2.TPMCCFlushContext]; n != 1 {
				t.Errorf("%v: a command that is sent again counts %d times", rc, n)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		sent := 0
		o := New(scripted(func([]byte) ([]byte, error) { sent++; return answer(tpm2.TPMRCRetry), nil }))
		defer o.Close()
		err := Named(do(t, o, func(c *Conn) error { return c.Flush(1) }), "x")
		if prterr.KindOf(err) != prterr.TPMFailed || sent != resends+1 {
			t.Errorf("for ever: sent %d times, %v", sent, err)
		}
	})
}

func TestErrorsHaveNames(t *testing.T) {
	for _, c := range []struct {
		err     error
		kind    prterr.Kind
		hresult uint32
	}{
		{nil, "", 0},
		{&LinkError{errors.New("broken pipe"), false}, prterr.TPMFailed, hresultTPMInternal},
		{errors.New("no answer of a TPM"), prterr.TPMFailed, hresultTPMInternal},
		{tpm2.TPMRC(0x101), prterr.TPMFailed, hresultTPMInternal},
		{tpm2.TPMRC(0x1df), prterr.KeysLost, HRESULTBadKeyset},
		{tpm2.TPMRC(0x1da), prterr.KeysLost, HRESULTBadKeyset},
		{tpm2.TPMRC(0x98e), prterr.Denied, 0},
		{tpm2.TPMRC(0x9a2), prterr.Denied, 0},
		{tpm2.TPMRC(0x921), prterr.Exhausted, HRESULTLockout},
		{prterr.New(prterr.Conflict, "named already"), prterr.Conflict, 0},
	} {
		err := Named(c.err, "x")
		var named *prterr.Error
		errors.As(err, &named)
		if prterr.KindOf(err) != c.kind || named != nil && named.HRESULT != c.hresult {
			t.Errorf("%v: got %v", c.err, err)
		}
	}
}

// TestHotCommands checks the commands that are encoded by hand with a TPM.
func TestHotCommands(t *testing.T) {
	tpm, err := softtpm.New(softtpm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	o := New(tpm)
	defer o.Close()
	auth, key := []byte("0123456789abcdef0123456789abcdef"), bytes.Repeat([]byte{7}, 32)
	err = do(t, o, func(c *Conn) error {
		if _, err := (tpm2.Startup{StartupType: tpm2.TPMSUClear}).Execute(c); err != nil {
			return err
		}
		root, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute(c)
		if err != nil {
			return err
		}
		made, err := tpm2.Create{
			ParentHandle: tpm2.AuthHandle{Handle: root.ObjectHandle, Name: root.Name, Auth: tpm2.PasswordAuth(nil)},
			InSensitive: tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{
				UserAuth: tpm2.TPM2BAuth{Buffer: auth}, Data: tpm2.NewTPMUSensitiveCreate(&tpm2.TPM2BSensitiveData{Buffer: key}),
			}},
			InPublic: tpm2.New2B(tpm2.TPMTPublic{
				Type: tpm2.TPMAlgKeyedHash, NameAlg: tpm2.TPMAlgSHA256,
				ObjectAttributes: tpm2.TPMAObject{FixedTPM: true, FixedParent: true, UserWithAuth: true, NoDA: true, SignEncrypt: true},
				Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgKeyedHash, &tpm2.TPMSKeyedHashParms{Scheme: tpm2.TPMTKeyedHashScheme{
					Scheme: tpm2.TPMAlgHMAC, Details: tpm2.NewTPMUSchemeKeyedHash(tpm2.TPMAlgHMAC, &tpm2.TPMSSchemeHMAC{HashAlg: tpm2.TPMAlgSHA256}),
				}}),
			}),
		}.Execute(c)
		if err != nil {
			return err
		}
		public, err := made.OutPublic.Contents()
		if err != nil {
			return err
		}
		h, err := c.Load(root.ObjectHandle, tpm2.Marshal(*public), made.OutPrivate.Buffer)
		if err != nil {
			return err
		}
		m := hmac.New(sha256.New, key)
		m.Write([]byte("message"))
		if got, err := c.HMAC(h, auth, []byte("message")); err != nil || !hmac.Equal(got, m.Sum(nil)) {
			t.Errorf("HMAC: %x, %v", got, err)
		}
		if _, err := c.HMAC(h, []byte("wrong"), nil); prterr.KindOf(Named(err, "x")) != prterr.Denied {
			t.Errorf("with a wrong authorisation value: %v", err)
		}
		return c.Flush(h)
	})
	if err != nil {
		t.Error(err)
	}
}

// FuzzAnswers gives the hand-written decoders whatever a broken or hostile TPM may
// say: an error or a value, never more than was there, and no panic.
func FuzzAnswers(f *testing.F) {
	for _, n := range []int{0, 9, 10, 13, 14, 16, 20, 48} {
		b := make([]byte, n)
		if n >= 10 {
			b[0], b[1], b[5] = 0x80, 2, byte(n)
		}
		f.Add(b)
	}
	f.Add([]byte{0x80, 2, 0, 0, 0, 18, 0, 0, 0, 0, 0, 0, 0, 4, 0xff, 0xff, 1, 2})
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) >= 10 && classOf(code(raw)) == Again {
			return // the resends would only wait
		}
		o := New(scripted(func([]byte) ([]byte, error) { return bytes.Clone(raw), nil }))
		defer o.Close()
		_ = do(t, o, func(c *Conn) error {
			for _, call := range []func() ([]byte, error){
				func() ([]byte, error) { return c.HMAC(1, nil, nil) },
				func() ([]byte, error) { return c.SignRSA(1, nil, make([]byte, 32)) },
				func() ([]byte, error) { return c.Import(1, nil, nil, nil, nil) },
				func() ([]byte, error) { out, _, err := c.EncryptDecrypt(1, nil, nil, nil, false); return out, err },
			} {
				if out, err := call(); err == nil && len(out) > len(raw) {
					t.Errorf("%d bytes out of an answer of %d", len(out), len(raw))
				}
			}
			// Under a session nothing passes that the TPM did not authenticate.
			for _, call := range []func() error{
				func() error { _, err := c.RSADecrypt(Key{}, nil); return err },
				func() error { _, _, err := c.Create(Key{}, nil, nil, nil); return err },
			} {
				o.bus.handle, o.bus.begun, o.bus.suspect = sessionFirst, time.Now(), false
				if call() == nil {
					t.Errorf("%x passed for an answer in the session", raw)
				}
			}
			_, err := c.Load(1, nil, nil)
			return err
		})
	})
}
