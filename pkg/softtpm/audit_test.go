package softtpm_test

import (
	"bytes"
	"crypto/sha256"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/lockstep-sso/lockstep/pkg/softtpm"
)

// fetch runs an attesting command by raw bytes and gives the statement.
func fetch(t testing.TB, rsp []byte, err error) *tpm2.TPMSAttest {
	t.Helper()
	ok(t, err)
	size := be.Uint16(rsp[4:])
	return must[*tpm2.TPMSAttest](t)(tpm2.Unmarshal[tpm2.TPMSAttest](rsp[6 : 6+size]))
}

var plain = cat(sized(nil), u16(0x10)) // no qualifying data, the key's scheme

// A session's digest covers exactly its commands, and says whether others came
// between.
func TestAuditSession(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	s, end, err := tpm2.HMACSession(tpm, tpm2.TPMAlgSHA256, 16, tpm2.Audit())
	ok(t, err)
	report := func() (tpm2.TPMIYesNo, []byte) {
		r, err := twice(tpm, 0x14d, []uint32{hEndorsement, hNull, s.Handle().HandleValue()}, plain...)
		a := must[*tpm2.TPMSSessionAuditInfo](t)(fetch(t, r, err).Attested.SessionAudit())
		return a.ExclusiveSession, a.SessionDigest.Buffer
	}
	_, err = twice(tpm, 0x14d, []uint32{hEndorsement, hNull, s.Handle().HandleValue()}, plain...)
	wantRC(t, "a session that audits nothing", err, 0x38a)
	want := must[*tpm2.CommandAudit](t)(tpm2.NewAudit(tpm2.TPMAlgSHA256))
	for i := range 2 {
		cmd := tpm2.GetCapability{Capability: tpm2.TPMCapTPMProperties, Property: 0x100, PropertyCount: 1}
		rsp, err := cmd.Execute(tpm, s)
		ok(t, err)
		ok(t, tpm2.AuditCommand(want, cmd, rsp))
		exclusive, digest := report()
		if !bytes.Equal(digest, want.Digest()) {
			t.Errorf("digest %x, want %x", digest, want.Digest())
		}
		if exclusive != (i == 0) { // the first report came between
			t.Errorf("report %d: exclusive %v", i, exclusive)
		}
	}
	ok(t, end())
}

// Command audit covers the commands of a list, whoever sends them.
func TestCommandAudit(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	ak := made(t, tpm, srk(t, tpm), akTemplate(), "", nil)
	_, err := raw(tpm, 0x140, []uint32{hOwner}, []byte{}, cat(u16(0x10), u32(1, 0x17b), u32(1, 0x140))...)
	ok(t, err)
	report := func(signer uint32) *tpm2.TPMSCommandAuditInfo {
		r, err := twice(tpm, 0x133, []uint32{hEndorsement, signer}, plain...)
		return must[*tpm2.TPMSCommandAuditInfo](t)(fetch(t, r, err).Attested.CommandAudit())
	}
	before := report(uint32(ak.Handle)) // starts anew
	digest := make([]byte, 32)
	for range 2 {
		cmd := cat(u16(0x8001), u32(12), u32(0x17b), u16(4))
		rsp := must[[]byte](t)(tpm.Send(cmd))
		cp, rp := sha256.Sum256(cmd[6:]), sha256.Sum256(cat(u32(0), u32(0x17b), rsp[10:]))
		sum := sha256.Sum256(cat(digest, cp[:], rp[:]))
		digest = sum[:]
	}
	got := report(hNull)
	if !bytes.Equal(got.AuditDigest.Buffer, digest) {
		t.Errorf("digest %x, want %x", got.AuditDigest.Buffer, digest)
	}
	list := sha256.Sum256(u32(0x140, 0x17b))
	if !bytes.Equal(got.CommandDigest.Buffer, list[:]) {
		t.Error("another list")
	}
	if again := report(uint32(ak.Handle)); !bytes.Equal(again.AuditDigest.Buffer, digest) || again.AuditCounter != before.AuditCounter+1 {
		t.Errorf("an unsigned report changed the audit: %+v", again)
	}
	if empty := report(hNull); len(empty.AuditDigest.Buffer) != 0 {
		t.Error("a signed report did not start anew")
	}
}

func TestQuote(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	ak := made(t, tpm, srk(t, tpm), akTemplate(), "", nil)
	_, err := raw(tpm, 0x182, []uint32{16}, []byte{}, cat(u32(1), u16(0xb), span(0, 32))...)
	ok(t, err)
	sel := tpm2.TPMLPCRSelection{PCRSelections: []tpm2.TPMSPCRSelection{{Hash: tpm2.TPMAlgSHA256, PCRSelect: tpm2.PCClientCompatible.PCRs(0, 16)}}}
	r, err := tpm2.Quote{SignHandle: ak.auth(), QualifyingData: tpm2.TPM2BData{Buffer: []byte("nonce")}, InScheme: tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgNull}, PCRSelect: sel}.Execute(tpm)
	ok(t, err)
	a := must[*tpm2.TPMSAttest](t)(r.Quoted.Contents())
	q := must[*tpm2.TPMSQuoteInfo](t)(a.Attested.Quote())
	pcr := sha256.Sum256(cat(make([]byte, 32), span(0, 32)))
	want := sha256.Sum256(cat(make([]byte, 32), pcr[:]))
	if !bytes.Equal(q.PCRDigest.Buffer, want[:]) || string(a.ExtraData.Buffer) != "nonce" {
		t.Errorf("quoted %x, want %x", q.PCRDigest.Buffer, want)
	}
	digest := sha256.Sum256(tpm2.Marshal(a))
	_, err = tpm2.VerifySignature{KeyHandle: ak.Handle, Digest: tpm2.TPM2BDigest{Buffer: digest[:]}, Signature: r.Signature}.Execute(tpm)
	ok(t, err)
	digest[0] ^= 1
	_, err = tpm2.VerifySignature{KeyHandle: ak.Handle, Digest: tpm2.TPM2BDigest{Buffer: digest[:]}, Signature: r.Signature}.Execute(tpm)
	wantRC(t, "signature of another digest", err, 0x2db)
	_, err = raw(tpm, 0x182, []uint32{17}, []byte{}, cat(u32(1), u16(0xb), span(0, 32))...)
	wantRC(t, "PCR of a dynamic launch", err, 0x907)
	_, err = raw(tpm, 0x13d, []uint32{0}, []byte{})
	wantRC(t, "reset of a boot PCR", err, 0x907)
}

// A creation ticket proves how a key was made, to this TPM alone.
func TestCertifyCreation(t *testing.T) {
	tpm, other := newTPM(t, softtpm.Config{}), newTPM(t, softtpm.Config{})
	certify := func(tpm transport.TPM, ticket tpm2.TPMTTKCreation, hash []byte) error {
		ak := made(t, tpm, srk(t, tpm), akTemplate(), "", nil)
		o := srk(t, tpm)
		_, err := tpm2.CertifyCreation{SignHandle: ak.auth(), ObjectHandle: tpm2.NamedHandle{Handle: o.Handle, Name: o.Name},
			CreationHash: tpm2.TPM2BDigest{Buffer: hash}, InScheme: tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgNull}, CreationTicket: ticket}.Execute(tpm)
		flush(t, tpm, 0x80000000, 0x80000001, 0x80000002)
		return err
	}
	p, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate), OutsideInfo: tpm2.TPM2BData{Buffer: []byte("outside")}}.Execute(tpm)
	ok(t, err)
	flush(t, tpm, p.ObjectHandle)
	ok(t, certify(tpm, p.CreationTicket, p.CreationHash.Buffer))
	wantRC(t, "another hash", certify(tpm, p.CreationTicket, span(0, 32)), 0x4e0)
	wantRC(t, "another TPM", certify(other, p.CreationTicket, p.CreationHash.Buffer), 0x4e0)
	null := tpm2.TPMTTKCreation{Tag: tpm2.TPMSTCreation, Hierarchy: tpm2.TPMRHNull}
	wantRC(t, "the empty ticket", certify(tpm, null, p.CreationHash.Buffer), 0x4e0)
}
