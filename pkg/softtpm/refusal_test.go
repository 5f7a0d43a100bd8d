package softtpm_test

import (
	"bytes"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/lockstep-sso/lockstep/pkg/softtpm"
)

func duplicateOf(tpm transport.TPM, k key, auth tpm2.Session, to *key) (*tpm2.DuplicateResponse, error) {
	d := tpm2.Duplicate{ObjectHandle: k.with(auth), NewParentHandle: tpm2.TPMRHNull, Symmetric: tpm2.TPMTSymDef{Algorithm: tpm2.TPMAlgNull}}
	if to != nil {
		d.NewParentHandle = tpm2.NamedHandle{Handle: to.Handle, Name: to.Name}
	}
	return d.Execute(tpm)
}

// allowDuplicate is the policy "the command is Duplicate".
func allowDuplicate() tpm2.Session {
	return tpm2.Policy(tpm2.TPMAlgSHA256, 16, func(tp transport.TPM, h tpm2.TPMISHPolicy, _ tpm2.TPM2BNonce) error {
		_, err := tpm2.PolicyCommandCode{PolicySession: h, Code: tpm2.TPMCCDuplicate}.Execute(tp)
		return err
	})
}

// trialDigest computes a policy.
func trialDigest(t testing.TB, tpm transport.TPM, f func(tpm2.TPMISHPolicy) error) tpm2.TPM2BDigest {
	t.Helper()
	s, end, err := tpm2.PolicySession(tpm, tpm2.TPMAlgSHA256, 16, tpm2.Trial())
	ok(t, err)
	defer func() { ok(t, end()) }()
	ok(t, f(s.Handle()))
	r, err := tpm2.PolicyGetDigest{PolicySession: s.Handle()}.Execute(tpm)
	ok(t, err)
	return r.PolicyDigest
}

// REG02: a key of this TPM does not leave it, whatever the authorization.
func TestREG02_DuplicateRefused(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	root := srk(t, tpm)
	policy := trialDigest(t, tpm, func(h tpm2.TPMISHPolicy) error {
		_, err := tpm2.PolicyCommandCode{PolicySession: h, Code: tpm2.TPMCCDuplicate}.Execute(tpm)
		return err
	})
	fixed := made(t, tpm, root, skTemplate(true), "", span(0, 32))
	_, err := duplicateOf(tpm, fixed, tpm2.PasswordAuth(nil), nil)
	wantRC(t, "password", err, 0x124)
	_, err = duplicateOf(tpm, fixed, allowDuplicate(), nil)
	wantRC(t, "policy, no policy in the key", err, 0x99d)
	flush(t, tpm, fixed.Handle)

	tmpl := skTemplate(true)
	tmpl.AuthPolicy = policy
	fixed = made(t, tpm, root, tmpl, "", span(0, 32))
	_, err = duplicateOf(tpm, fixed, allowDuplicate(), nil)
	wantRC(t, "the policy of the key allows it, fixedTPM does not", err, 0x182)
	flush(t, tpm, fixed.Handle)

	// A key that may move does, wrapped for another parent, and only there.
	tmpl = skTemplate(false)
	tmpl.AuthPolicy = policy
	b := must[blob](t)(create(tpm, root, tmpl, "", span(0, 32)))
	free := must[key](t)(load(tpm, root, b))
	other := made(t, tpm, root, storageECC(), "", nil)
	d, err := duplicateOf(tpm, free, allowDuplicate(), &other)
	ok(t, err)
	im := tpm2.Import{ParentHandle: root.auth(), ObjectPublic: b.Pub, Duplicate: d.Duplicate, InSymSeed: d.OutSymSeed,
		Symmetric: tpm2.TPMTSymDef{Algorithm: tpm2.TPMAlgNull}}
	if _, err = im.Execute(tpm); err == nil {
		t.Error("a duplicate for one parent opened under another")
	}
	im.ParentHandle = other.auth()
	r, err := im.Execute(tpm)
	ok(t, err)
	flush(t, tpm, free.Handle)
	moved := must[key](t)(load(tpm, other, blob{b.Pub, r.OutPrivate}))
	if !bytes.Equal(moved.Name.Buffer, free.Name.Buffer) {
		t.Error("the moved key has another name")
	}
}

func TestBlobRefused(t *testing.T) {
	tpm, stranger := newTPM(t, softtpm.Config{}), newTPM(t, softtpm.Config{})
	root := srk(t, tpm)
	good := must[blob](t)(create(tpm, root, skTemplate(true), "", span(0, 32)))
	second := must[blob](t)(create(tpm, root, skTemplate(true), "", span(0, 32)))
	cached := must[key](t)(load(tpm, root, good)) // a hit in the cache must not hide damage
	flush(t, tpm, cached.Handle)
	for i := range good.Priv.Buffer {
		bad := blob{good.Pub, tpm2.TPM2BPrivate{Buffer: bytes.Clone(good.Priv.Buffer)}}
		bad.Priv.Buffer[i] ^= 1
		_, err := load(tpm, root, bad)
		wantRC(t, "damaged", err, 0x1df)
	}
	_, err := load(tpm, root, blob{good.Pub, tpm2.TPM2BPrivate{Buffer: good.Priv.Buffer[:20]}})
	wantRC(t, "cut short", err, 0x1da)
	_, err = load(tpm, root, blob{second.Pub, good.Priv})
	wantRC(t, "public part of another key", err, 0x1df)
	_, err = load(stranger, srk(t, stranger), good)
	wantRC(t, "blob of another TPM", err, 0x1df)
	sk := made(t, tpm, root, skTemplate(true), "", span(0, 32))
	_, err = load(tpm, sk, good)
	wantRC(t, "parent that is no parent", err, 0x18a)
	pub, err := tpm2.LoadExternal{InPublic: tpm2.New2B(root.Pub), Hierarchy: tpm2.TPMRHOwner}.Execute(tpm)
	ok(t, err)
	_, err = load(tpm, key{Handle: pub.ObjectHandle, Name: pub.Name}, good)
	wantRC(t, "parent without its private part", err, 0x12f)
}

func TestSlots(t *testing.T) {
	for _, v := range []struct{ config, want int }{{0, 3}, {1, 1}, {7, 7}} {
		tpm := newTPM(t, softtpm.Config{Slots: v.config})
		for range v.want {
			srk(t, tpm)
		}
		_, err := primary(tpm, tpm2.TPMRHOwner, tpm2.ECCSRKTemplate)
		wantRC(t, "one key too many", err, 0x902)
		flush(t, tpm, 0x80000000)
		srk(t, tpm)
	}
	if _, err := softtpm.New(softtpm.Config{Slots: 257}); err == nil {
		t.Error("257 slots accepted")
	}
}

func TestCreateRules(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	root := srk(t, tpm)
	with := func(p tpm2.TPMTPublic, f func(*tpm2.TPMTPublic)) tpm2.TPMTPublic { f(&p); return p }
	for _, v := range []struct {
		name string
		tmpl tpm2.TPMTPublic
		data []byte
		want uint32
	}{
		{"fixedTPM without fixedParent", with(skTemplate(false), func(p *tpm2.TPMTPublic) { p.ObjectAttributes.FixedTPM = true }), span(0, 32), 0x2c2},
		{"given data and sensitiveDataOrigin", with(skTemplate(true), func(p *tpm2.TPMTPublic) { p.ObjectAttributes.SensitiveDataOrigin = true }), span(0, 32), 0x2c2},
		{"no data and no sensitiveDataOrigin", skTemplate(true), nil, 0x2c2},
		{"RSA without sensitiveDataOrigin", with(dkTemplate(), func(p *tpm2.TPMTPublic) { p.ObjectAttributes.SensitiveDataOrigin = false }), nil, 0x2c2},
		{"RSA with given data", dkTemplate(), span(0, 32), 0x2c2},
		{"restricted and both uses", with(dkTemplate(), func(p *tpm2.TPMTPublic) { p.ObjectAttributes.Restricted, p.ObjectAttributes.Decrypt = true, true }), nil, 0x2c2},
		{"sign and decrypt with a fixed scheme", with(dkTemplate(), func(p *tpm2.TPMTPublic) { p.ObjectAttributes.Decrypt = true }), nil, 0x2d2},
		{"signing scheme on a decryption key", with(dkTemplate(), func(p *tpm2.TPMTPublic) {
			p.ObjectAttributes.Decrypt, p.ObjectAttributes.SignEncrypt = true, false
		}), nil, 0x2d2},
		{"derivation parent that looks fixed", with(deriverTemplate(), func(p *tpm2.TPMTPublic) {
			p.ObjectAttributes.FixedTPM, p.ObjectAttributes.FixedParent = true, true
		}), span(0, 32), 0x2c2},
		{"policy of a wrong size", with(dkTemplate(), func(p *tpm2.TPMTPublic) { p.AuthPolicy.Buffer = span(0, 20) }), nil, 0x2d5},
		{"too much sealed data", sealTemplate(), span(0, 129), 0x1d5},
		{"HMAC key longer than a block", skTemplate(true), span(0, 65), 0x1d5},
	} {
		_, err := create(tpm, root, v.tmpl, "", v.data)
		wantRC(t, v.name, err, v.want)
	}
	_, err := create(tpm, root, skTemplate(true), string(span(1, 33)), span(0, 32))
	wantRC(t, "authValue longer than the name hash", err, 0x1d5)

	// Below a parent that is not fixed, nothing is.
	p := storageECC()
	p.ObjectAttributes.FixedTPM, p.ObjectAttributes.FixedParent = false, false
	loose := made(t, tpm, root, p, "", nil)
	_, err = create(tpm, loose, skTemplate(true), "", span(0, 32))
	wantRC(t, "fixedTPM under a loose parent", err, 0x2c2)
}

func TestMalformedCommands(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	code := func(b []byte) uint32 {
		r := must[[]byte](t)(tpm.Send(b))
		if len(r) != 10 || be.Uint32(r[2:]) != 10 {
			t.Fatalf("refusal of %x is %x", b, r)
		}
		return be.Uint32(r[6:])
	}
	for _, v := range []struct {
		name string
		cmd  []byte
		want uint32
	}{
		{"empty", nil, 0x142},
		{"wrong size", unhex(t, "80010000000b0000017b0004"), 0x142},
		{"too large", append(be.AppendUint32([]byte{0x80, 1}, 4097), make([]byte, 4091)...), 0x142},
		{"unknown tag", unhex(t, "80030000000c0000017b0004"), 0x01e},
		{"unknown command", unhex(t, "80010000000c000001ff0004"), 0x143},
		{"cut parameter", unhex(t, "80010000000b0000017b00"), 0x1da},
		{"trailing bytes", unhex(t, "80010000000d0000017b000400"), 0x095},
		{"no authorization", unhex(t, "8001000000100000015380000000abcd"), 0x910},
		{"session where none is allowed", unhex(t, "80020000001b00000165000000094000000900000000000080000000")[:0x1b], 0x145},
		{"second startup", unhex(t, "80010000000c000001440000"), 0x100},
	} {
		if got := code(v.cmd); got != v.want {
			t.Errorf("%s: %#x, want %#x", v.name, got, v.want)
		}
	}
	fresh := must[*softtpm.TPM](t)(softtpm.New(softtpm.Config{}))
	_, err := tpm2.GetRandom{BytesRequested: 4}.Execute(fresh)
	wantRC(t, "command before Startup", err, 0x100)
}
