package softtpm_test

import (
	"crypto/sha256"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/lockstep-sso/lockstep/pkg/softtpm"
)

const rhLockout = 0x4000000A

func lockReset(tpm transport.TPM, auth string) error {
	_, err := raw(tpm, 0x139, []uint32{rhLockout}, []byte(auth))
	return err
}

func lockParameters(tpm transport.TPM, tries, recovery, lockout uint32) error {
	var p []byte
	for _, v := range []uint32{tries, recovery, lockout} {
		p = be.AppendUint32(p, v)
	}
	_, err := raw(tpm, 0x13a, []uint32{rhLockout}, []byte{}, p...)
	return err
}

// pinKey makes a key under dictionary-attack protection: the WHfB shape.
func pinKey(t testing.TB, tpm transport.TPM, root key, pin string) (key, blob) {
	t.Helper()
	tmpl := ecTemplate(tpm2.TPMECCNistP256, tpm2.TPMAlgSHA256)
	tmpl.ObjectAttributes.NoDA = false
	b := must[blob](t)(create(tpm, root, tmpl, pin, nil))
	return must[key](t)(load(tpm, root, b)), b
}

var anyDigest = sha256.Sum256([]byte("d"))

func try(tpm transport.TPM, a tpm2.AuthHandle) error {
	_, err := signDigest(tpm, a, anyDigest[:])
	return err
}

// PRO14, OFF04: wrong PINs count and lock, other keys go on, time heals.
func TestPRO14_Lockout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // the clock is that of the bubble
		tpm := newTPM(t, softtpm.Config{})
		root := srk(t, tpm)
		k, _ := pinKey(t, tpm, root, "123456")
		machine := made(t, tpm, root, ecTemplate(tpm2.TPMECCNistP256, tpm2.TPMAlgSHA256), "", nil)
		byHMAC := func(pin string) tpm2.AuthHandle {
			return k.with(tpm2.HMAC(tpm2.TPMAlgSHA256, 16, tpm2.Auth([]byte(pin)), tpm2.Salted(root.Handle, root.Pub)))
		}
		ok(t, lockParameters(tpm, 4, 600, 3600))
		ok(t, try(tpm, k.pw("123456")))
		ok(t, try(tpm, byHMAC("123456")))
		for range 2 {
			wantRC(t, "wrong PIN", try(tpm, k.pw("0")), 0x98e)
			wantRC(t, "wrong PIN by HMAC", try(tpm, byHMAC("0")), 0x98e)
		}
		if n := property(t, tpm, tpm2.TPMPTLockoutCounter); n != 4 {
			t.Errorf("counter %d, want 4", n)
		}
		wantRC(t, "right PIN when locked", try(tpm, k.pw("123456")), 0x921)
		wantRC(t, "right PIN by HMAC when locked", try(tpm, byHMAC("123456")), 0x921)
		ok(t, try(tpm, machine.auth()))
		time.Sleep(599 * time.Second)
		wantRC(t, "one second early", try(tpm, k.pw("123456")), 0x921)
		time.Sleep(time.Second)
		ok(t, try(tpm, k.pw("123456")))
		wantRC(t, "wrong PIN after recovery", try(tpm, k.pw("0")), 0x98e)
		wantRC(t, "locked again", try(tpm, k.pw("123456")), 0x921)
		ok(t, lockReset(tpm, ""))
		ok(t, try(tpm, k.pw("123456")))
	})
}

// A session bound to a PIN key has the PIN in its session key, so it is a way
// to try PINs and must count like one.
func TestBoundSessionCounts(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	root := srk(t, tpm)
	k, _ := pinKey(t, tpm, root, "123456")
	sk := made(t, tpm, root, skTemplate(true), "", span(0, 32))
	ok(t, lockParameters(tpm, 2, 600, 3600))
	guess := func(pin string) error {
		_, err := hmacOf(tpm, sk.with(tpm2.HMAC(tpm2.TPMAlgSHA256, 16, tpm2.Bound(k.Handle, k.Name, []byte(pin)))), nil)
		return err
	}
	ok(t, guess("123456"))
	for range 2 {
		wantRC(t, "guess through a bound session", guess("0"), 0x98e)
	}
	wantRC(t, "bound session when locked", guess("123456"), 0x921)
}

func TestLockoutAuthority(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	tpm := newTPM(t, softtpm.Config{Now: func() time.Time { return now }})
	ok(t, lockParameters(tpm, 4, 600, 3600))
	ok(t, changeAuth(tpm, tpm2.TPMRHLockout, "", "admin"))
	wantRC(t, "wrong lockoutAuth", lockReset(tpm, "guess"), 0x98e)
	wantRC(t, "right one while blocked", lockReset(tpm, "admin"), 0x921)
	now = now.Add(time.Hour)
	ok(t, lockReset(tpm, "admin"))
}

// The counter survives a restart, and a try whose trace cannot be saved is
// not possible.
func TestLockoutIsSaved(t *testing.T) {
	var saved []byte
	var disk error
	tpm := newTPM(t, softtpm.Config{OnChange: func(b []byte) error { saved = b; return disk }})
	root := srk(t, tpm)
	k, b := pinKey(t, tpm, root, "123456")
	ok(t, lockParameters(tpm, 3, 600, 3600))
	wantRC(t, "wrong PIN", try(tpm, k.pw("0")), 0x98e)
	disk = errors.New("disk full")
	wantRC(t, "wrong PIN, nothing saved", try(tpm, k.pw("0")), 0x923)
	wantRC(t, "right PIN, the last try is not saved", try(tpm, k.pw("123456")), 0x923)
	disk = nil
	ok(t, try(tpm, k.pw("123456")))

	again := newTPM(t, softtpm.Config{State: saved})
	k = must[key](t)(load(again, srk(t, again), b))
	wantRC(t, "third wrong PIN, after a restart", try(again, k.pw("0")), 0x98e)
	wantRC(t, "locked", try(again, k.pw("123456")), 0x921)
}

// A PIN change gives a new blob; the old one stays good with the old PIN.
func TestObjectChangeAuth(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	root := srk(t, tpm)
	k, b := pinKey(t, tpm, root, "old")
	change := tpm2.ObjectChangeAuth{ObjectHandle: k.pw("old"), ParentHandle: tpm2.NamedHandle{Handle: root.Handle, Name: root.Name}, NewAuth: tpm2.TPM2BAuth{Buffer: []byte("new")}}
	r, err := change.Execute(tpm)
	ok(t, err)
	other := must[key](t)(primary(tpm, tpm2.TPMRHEndorsement, tpm2.ECCSRKTemplate))
	change.ParentHandle = tpm2.NamedHandle{Handle: other.Handle, Name: other.Name}
	_, err = change.Execute(tpm)
	wantRC(t, "a parent that is not this key's", err, 0x28a)
	flush(t, tpm, other.Handle, k.Handle)
	k = must[key](t)(load(tpm, root, blob{b.Pub, r.OutPrivate}))
	ok(t, try(tpm, k.pw("new")))
	wantRC(t, "old PIN on the new blob", try(tpm, k.pw("old")), 0x98e)
	k = must[key](t)(load(tpm, root, b))
	ok(t, try(tpm, k.pw("old")))
}
