package softtpm_test

import (
	"bytes"
	"crypto/sha256"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/lockstep-sso/lockstep/pkg/softtpm"
)

// nvPublic is an index that owner and its own value may read and write.
func nvPublic(h tpm2.TPMHandle, nt tpm2.TPMNT, size uint16) tpm2.TPMSNVPublic {
	return tpm2.TPMSNVPublic{NVIndex: h, NameAlg: tpm2.TPMAlgSHA256, DataSize: size,
		Attributes: tpm2.TPMANV{OwnerWrite: true, OwnerRead: true, AuthWrite: true, AuthRead: true, NoDA: true, NT: nt}}
}

func define(tpm transport.TPM, by tpm2.TPMHandle, p tpm2.TPMSNVPublic, auth string) error {
	_, err := tpm2.NVDefineSpace{AuthHandle: by, Auth: tpm2.TPM2BAuth{Buffer: []byte(auth)}, PublicInfo: tpm2.New2B(p)}.Execute(tpm)
	return err
}

// index names an index as it is now.
func index(t testing.TB, tpm transport.TPM, h tpm2.TPMHandle) tpm2.NamedHandle {
	t.Helper()
	r, err := tpm2.NVReadPublic{NVIndex: h}.Execute(tpm)
	ok(t, err)
	return tpm2.NamedHandle{Handle: h, Name: r.NVName}
}

// nvAs authorizes a use of an index: by a hierarchy, or by the index itself.
func nvAs(t testing.TB, tpm transport.TPM, by, h tpm2.TPMHandle, pw string) tpm2.AuthHandle {
	t.Helper()
	a := tpm2.AuthHandle{Handle: by, Name: tpm2.HandleName(by), Auth: tpm2.PasswordAuth([]byte(pw))}
	if by == h {
		a.Name = index(t, tpm, h).Name
	}
	return a
}

func nvWrite(t testing.TB, tpm transport.TPM, by, h tpm2.TPMHandle, pw string, data []byte, offset uint16) error {
	t.Helper()
	_, err := tpm2.NVWrite{AuthHandle: nvAs(t, tpm, by, h, pw), NVIndex: index(t, tpm, h), Data: tpm2.TPM2BMaxNVBuffer{Buffer: data}, Offset: offset}.Execute(tpm)
	return err
}

func nvRead(t testing.TB, tpm transport.TPM, by, h tpm2.TPMHandle, pw string, size, offset uint16) ([]byte, error) {
	t.Helper()
	r, err := tpm2.NVRead{AuthHandle: nvAs(t, tpm, by, h, pw), NVIndex: index(t, tpm, h), Size: size, Offset: offset}.Execute(tpm)
	if err != nil {
		return nil, err
	}
	return r.Data.Buffer, nil
}

const owner, platform = tpm2.TPMRHOwner, tpm2.TPMRHPlatform

// The place of an endorsement certificate: written by the platform, read by
// everybody, more than one buffer long, there after a restart and a Clear.
func TestNVCertificate(t *testing.T) {
	a := newTPM(t, softtpm.Config{})
	cert := bytes.Repeat(span(0, 100), 15)
	p := tpm2.TPMSNVPublic{NVIndex: 0x01c0000a, NameAlg: tpm2.TPMAlgSHA256, DataSize: uint16(len(cert)),
		Attributes: tpm2.TPMANV{PPWrite: true, PPRead: true, OwnerRead: true, AuthRead: true, NoDA: true, PlatformCreate: true, WriteDefine: true}}
	wantRC(t, "an owner's index that only the platform removes", define(a, owner, p, ""), 0x182)
	ok(t, define(a, platform, p, ""))
	wantRC(t, "defined twice", define(a, platform, p, ""), 0x14c)
	_, err := nvRead(t, a, owner, p.NVIndex, "", 10, 0)
	wantRC(t, "read before it is written", err, 0x14a)
	wantRC(t, "write by the owner", nvWrite(t, a, owner, p.NVIndex, "", []byte{1}, 0), 0x149)
	ok(t, nvWrite(t, a, platform, p.NVIndex, "", cert[:1024], 0))
	ok(t, nvWrite(t, a, platform, p.NVIndex, "", cert[1024:], 1024))
	wantRC(t, "write past the end", nvWrite(t, a, platform, p.NVIndex, "", cert[:2], 1499), 0x146)
	_, err = tpm2.NVWriteLock{AuthHandle: nvAs(t, a, platform, p.NVIndex, ""), NVIndex: index(t, a, p.NVIndex)}.Execute(a)
	ok(t, err)
	ok(t, clearBy(a, tpm2.TPMRHLockout))

	tpm := newTPM(t, softtpm.Config{State: must[[]byte](t)(a.Marshal())})
	wantRC(t, "a lock for good", nvWrite(t, tpm, platform, p.NVIndex, "", cert[:1], 0), 0x148)
	var got []byte
	for _, by := range []tpm2.TPMHandle{owner, p.NVIndex} {
		got = append(must[[]byte](t)(nvRead(t, tpm, by, p.NVIndex, "", 1000, 0)), must[[]byte](t)(nvRead(t, tpm, by, p.NVIndex, "", 500, 1000))...)
		if !bytes.Equal(got, cert) {
			t.Errorf("read by %v: another certificate", by)
		}
	}
	_, err = nvRead(t, tpm, owner, p.NVIndex, "", 1025, 0)
	wantRC(t, "more than a buffer", err, 0x1c4)
	_, err = nvRead(t, tpm, owner, p.NVIndex, "", 1, 1501)
	wantRC(t, "offset past the end", err, 0x2c4)
	_, err = nvRead(t, tpm, owner, p.NVIndex, "", 2, 1499)
	wantRC(t, "read past the end", err, 0x146)
	undefine := func(by tpm2.TPMHandle) error {
		_, err := tpm2.NVUndefineSpace{AuthHandle: by, NVIndex: index(t, tpm, p.NVIndex)}.Execute(tpm)
		return err
	}
	wantRC(t, "removed by the owner", undefine(owner), 0x149)
	ok(t, undefine(platform))
	_, err = tpm2.NVReadPublic{NVIndex: p.NVIndex}.Execute(tpm)
	wantRC(t, "gone", err, 0x18b)
}

// A counter only goes up: over restarts, and over being removed and made anew.
func TestNVCounter(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	const h = 0x01800010
	up := func(tpm transport.TPM) uint64 {
		_, err := tpm2.NVIncrement{AuthHandle: nvAs(t, tpm, owner, h, ""), NVIndex: index(t, tpm, h)}.Execute(tpm)
		ok(t, err)
		return be.Uint64(must[[]byte](t)(nvRead(t, tpm, owner, h, "", 8, 0)))
	}
	ok(t, define(tpm, owner, nvPublic(h, tpm2.TPMNTCounter, 8), ""))
	first := up(tpm)
	if n := up(tpm); n != first+1 {
		t.Errorf("%d after %d", n, first)
	}
	wantRC(t, "a counter is not written", nvWrite(t, tpm, owner, h, "", make([]byte, 8), 0), 0x082)
	again := newTPM(t, softtpm.Config{State: must[[]byte](t)(tpm.Marshal())})
	if n := up(again); n != first+2 {
		t.Errorf("%d after a restart at %d", n, first+1)
	}
	_, err := tpm2.NVUndefineSpace{AuthHandle: owner, NVIndex: index(t, again, h)}.Execute(again)
	ok(t, err)
	ok(t, define(again, owner, nvPublic(h, tpm2.TPMNTCounter, 8), ""))
	if n := up(again); n != first+3 {
		t.Errorf("a new counter starts at %d, the old one was at %d", n, first+2)
	}
}

func TestNVKinds(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	ok(t, define(tpm, owner, nvPublic(0x01800001, tpm2.TPMNTBits, 8), ""))
	for _, bits := range []uint64{1, 1 << 40} {
		_, err := raw(tpm, 0x135, []uint32{0x40000001, 0x01800001}, []byte{}, be.AppendUint64(nil, bits)...)
		ok(t, err)
	}
	if v := be.Uint64(must[[]byte](t)(nvRead(t, tpm, owner, 0x01800001, "", 8, 0))); v != 1<<40|1 {
		t.Errorf("bits %#x", v)
	}
	ok(t, define(tpm, owner, nvPublic(0x01800002, tpm2.TPMNTExtend, 32), ""))
	_, err := raw(tpm, 0x136, []uint32{0x40000001, 0x01800002}, []byte{}, append(be.AppendUint16(nil, 3), 1, 2, 3)...)
	ok(t, err)
	want := sha256.Sum256(append(make([]byte, 32), 1, 2, 3))
	if got := must[[]byte](t)(nvRead(t, tpm, owner, 0x01800002, "", 32, 0)); !bytes.Equal(got, want[:]) {
		t.Errorf("extended to %x", got)
	}
	_, err = raw(tpm, 0x134, []uint32{0x40000001, 0x01800002}, []byte{})
	wantRC(t, "increment of what is no counter", err, 0x282)

	// Its own authValue, changed under a policy that names the command.
	p := nvPublic(0x01800003, tpm2.TPMNTOrdinary, 4)
	p.AuthPolicy = trialDigest(t, tpm, func(h tpm2.TPMISHPolicy) error {
		_, err := tpm2.PolicyCommandCode{PolicySession: h, Code: tpm2.TPMCCNVChangeAuth}.Execute(tpm)
		return err
	})
	ok(t, define(tpm, owner, p, "old"))
	wantRC(t, "wrong value", nvWrite(t, tpm, p.NVIndex, p.NVIndex, "x", []byte{1}, 0), 0x9a2)
	ok(t, nvWrite(t, tpm, p.NVIndex, p.NVIndex, "old", []byte{7}, 1))
	if got := must[[]byte](t)(nvRead(t, tpm, owner, p.NVIndex, "", 4, 0)); !bytes.Equal(got, []byte{0xff, 7, 0xff, 0xff}) {
		t.Errorf("the part that was never written reads as %x", got)
	}
	change := func(session uint32, auth string) error {
		_, err := rawBy(tpm, 0x13b, []uint32{uint32(p.NVIndex)}, session, []byte(auth), 0, 3, 'n', 'e', 'w')
		return err
	}
	wantRC(t, "the admin role by password", change(0x40000009, "old"), 0x124)
	s, end, err := tpm2.PolicySession(tpm, tpm2.TPMAlgSHA256, 16)
	ok(t, err)
	_, err = tpm2.PolicyCommandCode{PolicySession: s.Handle(), Code: tpm2.TPMCCNVChangeAuth}.Execute(tpm)
	ok(t, err)
	ok(t, change(s.Handle().HandleValue(), ""))
	ok(t, end())
	wantRC(t, "the old value", nvWrite(t, tpm, p.NVIndex, p.NVIndex, "old", []byte{1}, 0), 0x9a2)
	ok(t, nvWrite(t, tpm, p.NVIndex, p.NVIndex, "new", []byte{1}, 0))
}

// A PIN index counts by itself and is used up, or healed by the right value.
func TestNVPIN(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	const h = 0x01800020
	p := nvPublic(h, tpm2.TPMNTPinFail, 8)
	wantRC(t, "a PIN that writes its own limit", define(tpm, owner, p, "pin"), 0x2c2)
	p.Attributes.AuthWrite = false
	ok(t, define(tpm, owner, p, "pin"))
	read := func(pw string) error { _, err := nvRead(t, tpm, h, h, pw, 8, 0); return err }
	wantRC(t, "before there is a limit", read("pin"), 0x12f)
	ok(t, nvWrite(t, tpm, owner, h, "", []byte{0, 0, 0, 0, 0, 0, 0, 2}, 0))
	wantRC(t, "wrong", read("x"), 0x9a2)
	ok(t, read("pin"))
	wantRC(t, "wrong", read("x"), 0x9a2)
	wantRC(t, "wrong", read("x"), 0x9a2)
	wantRC(t, "used up", read("pin"), 0x12f)
	ok(t, nvWrite(t, tpm, owner, h, "", make([]byte, 4), 0))
	ok(t, read("pin"))
}

func TestNVLimits(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	with := func(f func(*tpm2.TPMSNVPublic)) tpm2.TPMSNVPublic {
		p := nvPublic(0x01800001, tpm2.TPMNTOrdinary, 8)
		f(&p)
		return p
	}
	for _, v := range []struct {
		name string
		p    tpm2.TPMSNVPublic
		want uint32
	}{
		{"no index", with(func(p *tpm2.TPMSNVPublic) { p.NVIndex = 0x02000000 }), 0x2c4},
		{"too large", with(func(p *tpm2.TPMSNVPublic) { p.DataSize = 2049 }), 0x2d5},
		{"nobody may read", with(func(p *tpm2.TPMSNVPublic) { p.Attributes.OwnerRead, p.Attributes.AuthRead = false, false }), 0x2c2},
		{"nobody may write", with(func(p *tpm2.TPMSNVPublic) { p.Attributes.OwnerWrite, p.Attributes.AuthWrite = false, false }), 0x2c2},
		{"written already", with(func(p *tpm2.TPMSNVPublic) { p.Attributes.Written = true }), 0x2c2},
		{"counter of 4 bytes", with(func(p *tpm2.TPMSNVPublic) { p.Attributes.NT, p.DataSize = tpm2.TPMNTCounter, 4 }), 0x2d5},
		{"unknown type", with(func(p *tpm2.TPMSNVPublic) { p.Attributes.NT = 7 }), 0x2c2},
		{"policy of a wrong size", with(func(p *tpm2.TPMSNVPublic) { p.AuthPolicy.Buffer = span(0, 20) }), 0x2d5},
	} {
		wantRC(t, v.name, define(tpm, owner, v.p, ""), v.want)
	}
	p := nvPublic(0x01800000, tpm2.TPMNTOrdinary, 2048)
	var err error
	for ; err == nil && p.NVIndex < 0x01801000; p.NVIndex++ {
		err = define(tpm, owner, p, "")
	}
	wantRC(t, "NV is full", err, 0x14b)
}

// PolicyNV: a key is good while an index says so.
func TestPolicyNV(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	const h = 0x01800001
	ok(t, define(tpm, owner, nvPublic(h, tpm2.TPMNTCounter, 8), ""))
	_, err := tpm2.NVIncrement{AuthHandle: nvAs(t, tpm, owner, h, ""), NVIndex: index(t, tpm, h)}.Execute(tpm)
	ok(t, err)
	limit := be.Uint64(must[[]byte](t)(nvRead(t, tpm, owner, h, "", 8, 0))) + 1
	below := func(tp transport.TPM, s tpm2.TPMISHPolicy) error {
		_, err := tpm2.PolicyNV{AuthHandle: nvAs(t, tpm, owner, h, ""), NVIndex: index(t, tp, h), PolicySession: s,
			OperandB: tpm2.TPM2BOperand{Buffer: be.AppendUint64(nil, limit)}, Operation: tpm2.TPMEOUnsignedLT}.Execute(tp)
		return err
	}
	tmpl := ecTemplate(tpm2.TPMECCNistP256, tpm2.TPMAlgSHA256)
	tmpl.ObjectAttributes.UserWithAuth = false
	tmpl.AuthPolicy = trialDigest(t, tpm, func(s tpm2.TPMISHPolicy) error { return below(tpm, s) })
	k := made(t, tpm, srk(t, tpm), tmpl, "", nil)
	use := func() error {
		return try(tpm, k.with(tpm2.Policy(tpm2.TPMAlgSHA256, 16, func(tp transport.TPM, s tpm2.TPMISHPolicy, _ tpm2.TPM2BNonce) error { return below(tp, s) })))
	}
	ok(t, use())
	_, err = tpm2.NVIncrement{AuthHandle: nvAs(t, tpm, owner, h, ""), NVIndex: index(t, tpm, h)}.Execute(tpm)
	ok(t, err)
	wantRC(t, "revoked by the counter", use(), 0x126)
}
