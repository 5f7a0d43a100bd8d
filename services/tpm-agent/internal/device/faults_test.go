//go:build unix

package device

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/softtpm"
	"github.com/lockstep-sso/lockstep/pkg/tpmfault"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/tpmio"
)

// victim is a TPM that has a storage root key and two blobs under it, and ways to
// hurt it.
type victim struct {
	t      *testing.T
	owner  *tpmio.Owner
	rules  *tpmfault.TPM
	fail   func(on bool)
	reset  func() // a new start behind the agent's back, without Startup
	kill   func() // nil: the TPM has no process or socket of its own
	root   tpm2.NamedHandle
	sealed [2]blob
}

type blob struct{ public, private []byte }

// swapped is a TPM in software whose power goes off and on.
type swapped struct{ *softtpm.TPM }

func (s *swapped) Send(b []byte) ([]byte, error) { return s.TPM.Send(b) }

func newVictim(t *testing.T, kind string) *victim {
	v := &victim{t: t}
	var below transport.TPM
	if kind == "swtpm" {
		needSWTPM(t)
		o := open(t, Config{Addr: "swtpm:"}).Opened
		v.fail = func(on bool) {
			if control(t, o, ctrlStop); !on {
				control(t, o, ctrlInit, 0, 0, 0, 0)
			}
		}
		v.reset = func() { control(t, o, ctrlInit, 0, 0, 0, 0) }
		v.kill = func() { kill(t, o) }
		below = o.TPM
	} else {
		tpm := must[*softtpm.TPM](t)(softtpm.New(softtpm.Config{}))
		s := &swapped{tpm}
		v.fail = func(on bool) { s.Fail(on) }
		v.reset = func() {
			s.TPM = must[*softtpm.TPM](t)(softtpm.New(softtpm.Config{State: must[[]byte](t)(s.Marshal())}))
		}
		below = s
	}
	v.rules = must[*tpmfault.TPM](t)(tpmfault.New(tpmfault.Config{Below: below}))
	v.owner = tpmio.New(v.rules)
	t.Cleanup(v.owner.Close)
	v.ok("startup", v.startup)
	v.ok("root", v.openRoot)
	for i := range v.sealed {
		v.ok("blob", func(c *tpmio.Conn) (err error) {
			v.sealed[i], err = v.create(c, nil, true)
			return err
		})
	}
	return v
}

const (
	ctrlInit = 2 // swtpm_ioctl(3)
	ctrlStop = 14
)

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (v *victim) do(f func(*tpmio.Conn) error) error { return v.owner.Do(v.t.Context(), f) }

func (v *victim) ok(what string, f func(*tpmio.Conn) error) {
	v.t.Helper()
	if err := v.do(f); err != nil {
		v.t.Fatalf("%s: %v", what, err)
	}
}

// is does work that must fail with a class, and a response code of TCG Part 2 when
// it is not 0.
func (v *victim) is(what string, class tpmio.Class, code uint32, f func(*tpmio.Conn) error) {
	v.t.Helper()
	err := v.do(f)
	var rc tpm2.TPMRC
	errors.As(err, &rc)
	if got := tpmio.Classify(err); got != class || uint32(rc) != code {
		v.t.Errorf("%s: class %v and code %#x, want %v and %#x: %v", what, got, uint32(rc), class, code, err)
	}
	v.reported(what, class, err)
}

// reported holds that a class says what to do, under the code that people look up.
func (v *victim) reported(what string, class tpmio.Class, err error) {
	v.t.Helper()
	want := map[tpmio.Class]uint32{tpmio.Blob: 0x80090016, tpmio.Lockout: 0x80090031, tpmio.User: 0}
	hresult, ok := want[class]
	if !ok {
		hresult = 0x80290407
	}
	var named *prterr.Error
	if !errors.As(tpmio.Named(err, "x"), &named) || named.HRESULT != hresult {
		v.t.Errorf("%s is reported as %#v", what, named)
	}
}

func (v *victim) startup(c *tpmio.Conn) error {
	_, err := tpm2.Startup{StartupType: tpm2.TPMSUClear}.Execute(c)
	if errors.Is(err, tpm2.TPMRCInitialize) {
		return nil
	}
	return err
}

func (v *victim) openRoot(c *tpmio.Conn) error {
	r, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute(c)
	if err != nil {
		return err
	}
	public, err := r.OutPublic.Contents()
	if err != nil {
		return err
	}
	v.root = tpm2.NamedHandle{Handle: r.ObjectHandle, Name: r.Name}
	c.SetRoot(r.ObjectHandle, *public)
	return nil
}

// create makes an HMAC key.
func (v *victim) create(c *tpmio.Conn, auth []byte, noDA bool) (blob, error) {
	public := tpm2.TPMTPublic{
		Type: tpm2.TPMAlgKeyedHash, NameAlg: tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{FixedTPM: true, FixedParent: true, UserWithAuth: true, NoDA: noDA, SignEncrypt: true},
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgKeyedHash, &tpm2.TPMSKeyedHashParms{Scheme: tpm2.TPMTKeyedHashScheme{
			Scheme: tpm2.TPMAlgHMAC, Details: tpm2.NewTPMUSchemeKeyedHash(tpm2.TPMAlgHMAC, &tpm2.TPMSSchemeHMAC{HashAlg: tpm2.TPMAlgSHA256}),
		}}),
	}
	pub, private, err := c.Create(tpmio.Key{Handle: v.root.Handle, Name: v.root.Name.Buffer}, auth, make([]byte, 32), tpm2.Marshal(public))
	return blob{pub, private}, err
}

// use loads a blob, uses it and puts it away.
func (v *victim) use(b blob, auth ...byte) func(*tpmio.Conn) error {
	return func(c *tpmio.Conn) error {
		h, err := c.Load(v.root.Handle, b.public, b.private)
		if err != nil {
			return err
		}
		_, err = c.HMAC(h, auth, []byte("message"))
		return errors.Join(err, c.Flush(h))
	}
}

// raw sends a command with one handle and an empty password.
func raw(cc tpm2.TPMCC, handle tpm2.TPMHandle, tail ...byte) func(*tpmio.Conn) error {
	return func(c *tpmio.Conn) error {
		b := binary.BigEndian.AppendUint32([]byte{0x80, 2, 0, 0, 0, byte(27 + len(tail))}, uint32(cc))
		b = binary.BigEndian.AppendUint32(b, uint32(handle))
		b = append(b, 0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0)
		out, err := c.Send(append(b, tail...))
		if err != nil {
			return err
		}
		if rc := tpm2.TPMRC(binary.BigEndian.Uint32(out[6:])); rc != 0 {
			return rc
		}
		return nil
	}
}

// again is what the key store does after a reset.
func (v *victim) again() {
	v.t.Helper()
	v.ok("startup", v.startup)
	v.ok("root", v.openRoot)
}

// TestFLT04_EachCauseHasItsClass makes each fault that a TPM may show, on a TPM in
// software and on swtpm: what it answers, what that is taken for, and what works
// again afterwards.
func TestFLT04_EachCauseHasItsClass(t *testing.T) {
	causes := map[string]func(*victim){
		"gone": gone, "killed": killed, "failure mode": failureMode, "reset behind the agent": resetBehind,
		"cleared": cleared, "another key": wrongKey, "damaged blob": damagedBlob, "owner hierarchy off": hierarchyOff,
		"owner password": ownerPassword, "slots full": slotsFull, "NV full": nvFull, "locked": locked, "busy": busy, "slow": slow,
	}
	for name, cause := range causes {
		for _, kind := range []string{"soft", "swtpm"} {
			t.Run(name+"/"+kind, func(t *testing.T) { cause(newVictim(t, kind)) })
		}
	}
}

func gone(v *victim) {
	_ = v.rules.Set(tpmfault.Rule{Effect: tpmfault.Gone})
	v.is("gone", tpmio.Link, 0, v.use(v.sealed[0]))
	_ = v.rules.Set(tpmfault.Rule{Effect: tpmfault.Gone, Times: 1})
	v.ok("back before the work began", v.use(v.sealed[0]))
	_ = v.rules.Set(tpmfault.Rule{Command: uint32(tpm2.TPMCCHMAC), Effect: tpmfault.Lost, Times: 1})
	v.is("in the middle", tpmio.Link, 0, v.use(v.sealed[0]))
	if hits := v.rules.Hits(); hits[0] != 1 {
		v.t.Errorf("a command that was executed was sent %d times", hits[0])
	}
}

func killed(v *victim) {
	if v.kill == nil {
		v.t.Skip("a TPM in this process cannot be killed without it")
	}
	v.kill()
	// The work is begun again on the TPM that was started: its slots are empty.
	v.is("a handle from before", tpmio.Restarted, 0x910, v.use(v.sealed[0]))
	v.again()
	v.ok("the blob", v.use(v.sealed[0]))
}

func failureMode(v *victim) {
	v.fail(true)
	v.is("stopped", tpmio.Broken, 0x101, v.use(v.sealed[0]))
	v.is("still", tpmio.Broken, 0x101, v.openRoot)
	v.fail(false)
	v.again()
	v.ok("the blob", v.use(v.sealed[0]))
}

func resetBehind(v *victim) {
	var saved tpm2.TPMSContext
	v.ok("save a context", func(c *tpmio.Conn) error {
		r, err := tpm2.ContextSave{SaveHandle: v.root.Handle}.Execute(c)
		if err == nil {
			saved = r.Context
		}
		return err
	})
	v.reset()
	v.is("before Startup", tpmio.Restarted, 0x100, v.use(v.sealed[0]))
	v.ok("startup", v.startup)
	v.is("a handle from before", tpmio.Restarted, 0x910, v.use(v.sealed[0]))
	v.is("a context from before", tpmio.Blob, 0x1df, func(c *tpmio.Conn) error {
		_, err := tpm2.ContextLoad{Context: saved}.Execute(c)
		return err
	})
	v.ok("root", v.openRoot)
	v.ok("the blob", v.use(v.sealed[0]))
}

func cleared(v *victim) {
	const handle = tpm2.TPMHandle(0x81000123)
	v.ok("make a key persistent", func(c *tpmio.Conn) error {
		_, err := tpm2.EvictControl{Auth: tpm2.TPMRHOwner, ObjectHandle: v.root, PersistentHandle: handle}.Execute(c)
		return err
	})
	before := v.root.Name.Buffer
	_ = v.rules.Set(tpmfault.Rule{Command: uint32(tpm2.TPMCCLoad), Effect: tpmfault.Cleared})
	v.is("a handle from before", tpmio.Restarted, 0x910, v.use(v.sealed[0]))
	v.is("a persistent key", tpmio.Restarted, 0x18b, func(c *tpmio.Conn) error {
		_, err := tpm2.ReadPublic{ObjectHandle: handle}.Execute(c)
		return err
	})
	v.again()
	if bytes.Equal(before, v.root.Name.Buffer) {
		v.t.Error("the storage root key is the same: nobody could tell a cleared TPM from a damaged file")
	}
	v.is("a blob from before", tpmio.Blob, 0x1df, v.use(v.sealed[0]))
}

func wrongKey(v *victim) {
	before := v.root.Name.Buffer
	_ = v.rules.Set(tpmfault.Rule{Command: uint32(tpm2.TPMCCLoad), Effect: tpmfault.WrongKey})
	v.is("a blob of another", tpmio.Blob, 0x1df, v.use(v.sealed[0]))
	v.again()
	if !bytes.Equal(before, v.root.Name.Buffer) {
		v.t.Error("another storage root key")
	}
}

func damagedBlob(v *victim) {
	b := v.sealed[0]
	damaged := bytes.Clone(b.private)
	damaged[len(damaged)-1] ^= 1
	v.is("a flipped bit", tpmio.Blob, 0x1df, v.use(blob{b.public, damaged}))
	cut := b.private[:20]
	if err := v.do(v.use(blob{b.public, cut})); tpmio.Classify(err) != tpmio.Blob {
		v.t.Errorf("cut short: %v", err)
	}
	other := bytes.Clone(b.public)
	other[len(other)-1] ^= 1
	v.is("with another public part", tpmio.Blob, 0x1df, v.use(blob{other, b.private}))
	v.ok("its neighbour", v.use(v.sealed[1]))
}

func hierarchyOff(v *victim) {
	enable := func(by tpm2.TPMHandle, on byte) func(*tpmio.Conn) error {
		return raw(tpm2.TPMCCHierarchyControl, by, append(binary.BigEndian.AppendUint32(nil, uint32(tpm2.TPMRHOwner)), on)...)
	}
	v.ok("switch it off", enable(tpm2.TPMRHOwner, 0))
	v.is("the root anew", tpmio.Hierarchy, 0x185, v.openRoot)
	v.is("a handle from before", tpmio.Restarted, 0x910, v.use(v.sealed[0]))
	v.ok("switch it on", enable(tpm2.TPMRHPlatform, 1))
	v.ok("root", v.openRoot)
	v.ok("the blob", v.use(v.sealed[0]))
}

func ownerPassword(v *victim) {
	v.ok("set it", func(c *tpmio.Conn) error {
		_, err := tpm2.HierarchyChangeAuth{
			AuthHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Name: tpm2.HandleName(tpm2.TPMRHOwner), Auth: tpm2.PasswordAuth(nil)},
			NewAuth:    tpm2.TPM2BAuth{Buffer: []byte("somebody's")},
		}.Execute(c)
		return err
	})
	v.is("the root anew", tpmio.Ownership, 0x9a2, v.openRoot)
	v.ok("the blob, under the root that is there", v.use(v.sealed[0]))
}

func slotsFull(v *victim) {
	keep := []tpm2.TPMHandle{v.root.Handle}
	fill := func(c *tpmio.Conn) error {
		for {
			if _, err := c.Load(v.root.Handle, v.sealed[0].public, v.sealed[0].private); err != nil {
				return err
			}
		}
	}
	v.is("objects", tpmio.Resource, 0x902, fill)
	swept := 0
	v.owner.OnFull(func(c *tpmio.Conn) {
		swept++
		_ = c.Sweep(keep...)
	})
	v.ok("with a reaction", v.use(v.sealed[1]))
	if swept != 1 {
		v.t.Errorf("swept %d times", swept)
	}
	v.owner.OnFull(func(*tpmio.Conn) {})
	start := func(c *tpmio.Conn, each func(tpm2.TPMHandle) error) error {
		for {
			s, _, err := tpm2.HMACSession(c, tpm2.TPMAlgSHA256, 16)
			if err != nil {
				return err
			}
			if err := each(s.Handle()); err != nil {
				return err
			}
		}
	}
	v.is("sessions", tpmio.Resource, 0x903, func(c *tpmio.Conn) error {
		return start(c, func(tpm2.TPMHandle) error { return nil })
	})
	v.ok("sweep", func(c *tpmio.Conn) error { return c.Sweep(keep...) })
	v.is("saved sessions", tpmio.Resource, 0x905, func(c *tpmio.Conn) error {
		return start(c, func(h tpm2.TPMHandle) error {
			_, err := tpm2.ContextSave{SaveHandle: h}.Execute(c)
			return err
		})
	})
}

func nvFull(v *victim) {
	v.is("persistent keys", tpmio.Resource, 0x14b, func(c *tpmio.Conn) error {
		for i := tpm2.TPMHandle(0x81000200); ; i++ {
			if _, err := (tpm2.EvictControl{Auth: tpm2.TPMRHOwner, ObjectHandle: v.root, PersistentHandle: i}).Execute(c); err != nil {
				return err
			}
		}
	})
	v.ok("the blob", v.use(v.sealed[0]))
}

func locked(v *victim) {
	var pin blob
	v.ok("a key with a PIN", func(c *tpmio.Conn) (err error) {
		pin, err = v.create(c, []byte{1}, false)
		return err
	})
	v.ok("the right PIN", v.use(pin, 1))
	v.is("a wrong PIN", tpmio.User, 0x98e, v.use(pin, 2))
	for range 40 {
		if tpmio.Classify(v.do(v.use(pin, 2))) == tpmio.Lockout {
			break
		}
	}
	v.is("the right PIN, locked", tpmio.Lockout, 0x921, v.use(pin, 1))
	v.ok("a key without a PIN", v.use(v.sealed[0]))
	v.ok("reset by the lockout authorisation", raw(tpm2.TPMCCDictionaryAttackLockReset, tpm2.TPMRHLockout))
	v.ok("the right PIN", v.use(pin, 1))
}

func busy(v *victim) {
	for _, code := range []uint32{0x922, 0x908, 0x90a, 0x920} {
		_ = v.rules.Set(tpmfault.Rule{Command: uint32(tpm2.TPMCCHMAC), Effect: tpmfault.Code, Code: code, Times: 2})
		v.ok("resent", v.use(v.sealed[0]))
		_ = v.rules.Set(tpmfault.Rule{Command: uint32(tpm2.TPMCCHMAC), Effect: tpmfault.Code, Code: code})
		v.is("for ever", tpmio.Again, code, v.use(v.sealed[0]))
	}
}

func slow(v *victim) {
	_ = v.rules.Set(tpmfault.Rule{Effect: tpmfault.Delay, Delay: 20 * time.Millisecond})
	v.ok("slow", v.use(v.sealed[0]))
	if s := v.owner.Stats().Commands[tpm2.TPMCCHMAC]; s.Longest < 20*time.Millisecond {
		v.t.Errorf("the log says %v", s.Longest)
	}
}

// TestFLT04_ADamagedStateFileIsNamed: both emulators refuse it, none begins anew.
func TestFLT04_ADamagedStateFileIsNamed(t *testing.T) {
	dir := t.TempDir()
	if err := open(t, Config{Addr: "soft:", Dir: dir}).Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "tpm.state"), []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Config{Addr: "soft:", Dir: dir}); err == nil {
		t.Error("a damaged state was taken")
	}
	// That of swtpm is in TestSWTPMSaysWhyItEnds.
}
