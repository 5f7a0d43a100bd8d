package softtpm_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/lockstep-sso/lockstep/pkg/softtpm"
)

// recorder keeps every command that passes: the seed corpus is the commands
// that go-tpm sends in a tour through the groups.
type recorder struct {
	transport.TPM
	commands  [][]byte
	succeeded map[uint32]bool // by command code
}

func (r *recorder) Send(cmd []byte) ([]byte, error) {
	r.commands = append(r.commands, append([]byte{}, cmd...))
	rsp, err := r.TPM.Send(cmd)
	if err == nil && be.Uint32(rsp[6:]) == 0 {
		r.succeeded[be.Uint32(cmd[6:])] = true
	}
	return rsp, err
}

// record fills a recorder with the whole tour and gives the state of its TPM.
func record(t testing.TB, rec *recorder) (state []byte) {
	t.Helper()
	state = must[[]byte](t)(newTPM(t, softtpm.Config{}).Marshal())
	rec.succeeded = map[uint32]bool{uint32(tpm2.TPMCCStartup): true} // newTPM did it
	world(t, state, func(t transport.TPM) transport.TPM { rec.TPM = t; return rec })
	tour(t, rec)
	return state
}

// world makes a TPM whose handles are those of the corpus: 0x80000000 a
// storage key, 0x80000001 an HMAC key, 0x80000002 a signing key, 0x80000003 an
// HMAC sequence, 0x80000004 a derivation parent, 0x02000000 an HMAC session
// with encryption and 0x03000001 a policy session. A few slots stay free.
func world(t testing.TB, state []byte, wrap func(transport.TPM) transport.TPM) *softtpm.TPM {
	t.Helper()
	inner := newTPM(t, softtpm.Config{State: state, Slots: 12})
	tpm := wrap(inner)
	root := srk(t, tpm)
	sk := made(t, tpm, root, skTemplate(true), "", span(0, 32))
	made(t, tpm, root, akTemplate(), "", nil)
	_, err := tpm2.HmacStart{Handle: sk.auth(), HashAlg: tpm2.TPMAlgNull}.Execute(tpm)
	ok(t, err)
	made(t, tpm, root, deriverTemplate(), "", span(0, 32))
	_, _, err = tpm2.HMACSession(tpm, tpm2.TPMAlgSHA256, 16, tpm2.AESEncryption(128, tpm2.EncryptInOut))
	ok(t, err)
	_, _, err = tpm2.PolicySession(tpm, tpm2.TPMAlgSHA256, 16)
	ok(t, err)
	return inner
}

// tour sends at least one command of every kind; refusals are welcome in the
// corpus too.
func tour(t testing.TB, tpm transport.TPM) {
	t.Helper()
	root := srk(t, tpm)
	sk := made(t, tpm, root, skTemplate(true), "", span(0, 32))
	seal := made(t, tpm, root, sealTemplate(), "", []byte("x"))
	policy := tpm2.TPMHandle(0x03000001)
	ignore := func(any, error) {}
	ignore(hmacOf(tpm, sk.auth(), span(0, 60)))
	ignore(hmacOf(tpm, sk.with(tpm2.HMAC(tpm2.TPMAlgSHA256, 16, tpm2.Salted(root.Handle, root.Pub), tpm2.AESEncryption(128, tpm2.EncryptInOut))), nil))
	ignore(hmacSequence(tpm, sk, make([]byte, 1100)))
	ignore(tpm2.Unseal{ItemHandle: seal.auth()}.Execute(tpm))
	ignore(signDigest(tpm, key{Handle: 0x80000002}.auth(), span(0, 32)))
	ignore(tpm2.Certify{ObjectHandle: sk.auth(), SignHandle: key{Handle: 0x80000002}.auth(), InScheme: tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgNull}}.Execute(tpm))
	ignore(tpm2.ReadPublic{ObjectHandle: root.Handle}.Execute(tpm))
	ignore(tpm2.Hash{Data: tpm2.TPM2BMaxBuffer{Buffer: span(0, 9)}, HashAlg: tpm2.TPMAlgSHA256, Hierarchy: tpm2.TPMRHOwner}.Execute(tpm))
	ignore(tpm2.MakeCredential{Handle: root.Handle, Credential: tpm2.TPM2BDigest{Buffer: span(0, 32)}, ObjectName: sk.Name}.Execute(tpm))
	ignore(tpm2.ActivateCredential{ActivateHandle: sk.auth(), KeyHandle: root.auth(), Secret: tpm2.TPM2BEncryptedSecret{Buffer: span(0, 68)}}.Execute(tpm))
	ignore(externalRSA(t).Execute(tpm))
	im := serverWrap(t, root, skTemplate(false), span(0, 32))
	ignore(im.Execute(tpm))
	ignore(duplicateOf(tpm, sk, allowDuplicate(), &root))
	ignore(nil, evict(tpm, tpm2.TPMRHOwner, root, 0x81000001))
	if c, err := (tpm2.ContextSave{SaveHandle: sk.Handle}).Execute(tpm); err == nil {
		ignore(tpm2.ContextLoad{Context: c.Context}.Execute(tpm))
	}
	for _, c := range []tpm2.TPMCap{tpm2.TPMCapAlgs, tpm2.TPMCapCommands, tpm2.TPMCapPCRs, tpm2.TPMCapTPMProperties} {
		ignore(tpm2.GetCapability{Capability: c, PropertyCount: 9}.Execute(tpm))
	}
	ignore(nil, policyAuthValue(tpm, policy))
	ignore(tpm2.PolicyCommandCode{PolicySession: policy, Code: tpm2.TPMCCSign}.Execute(tpm))
	ignore(tpm2.PolicyOr{PolicySession: policy, PHashList: tpm2.TPMLDigest{Digests: make([]tpm2.TPM2BDigest, 2)}}.Execute(tpm))
	ignore(tpm2.PolicyGetDigest{PolicySession: policy}.Execute(tpm))
	ignore(tpm2.PolicySecret{AuthHandle: sk.auth(), PolicySession: policy}.Execute(tpm))
	ignore(tpm2.PCRRead{}.Execute(tpm))
	flush(t, tpm, seal.Handle, sk.Handle)
	signer := made(t, tpm, root, ecTemplate(tpm2.TPMECCNistP256, tpm2.TPMAlgSHA256), "", nil)
	tourPolicies(t, tpm, signer)
	tourNV(t, tpm, signer)
	tourRest(t, tpm, root, signer)
	tourKeys(t, tpm, root, signer)
	tourEnd(t, tpm)
	ignore(nil, lockParameters(tpm, 4, 600, 3600))
	ignore(nil, lockReset(tpm, ""))
	ignore(nil, changeAuth(tpm, tpm2.TPMRHOwner, "", "x"))
	ignore(nil, clearBy(tpm, tpm2.TPMRHPlatform))
}

// externalRSA is an RSA key pair in the clear.
func externalRSA(t testing.TB) tpm2.LoadExternal {
	t.Helper()
	k := must[*rsa.PrivateKey](t)(rsa.GenerateKey(rand.Reader, 2048))
	p := rsaTemplate(tpm2.TPMAObject{UserWithAuth: true, SignEncrypt: true, Decrypt: true}, tpm2.TPMTRSAScheme{})
	p.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgRSA, &tpm2.TPM2BPublicKeyRSA{Buffer: k.N.Bytes()})
	return tpm2.LoadExternal{InPublic: tpm2.New2B(p), Hierarchy: tpm2.TPMRHNull, InPrivate: tpm2.New2B(tpm2.TPMTSensitive{SensitiveType: tpm2.TPMAlgRSA,
		Sensitive: tpm2.NewTPMUSensitiveComposite(tpm2.TPMAlgRSA, &tpm2.TPM2BPrivateKeyRSA{Buffer: k.Primes[0].Bytes()})})}
}

// FuzzSend: no bytes make the TPM panic, hang or answer with a malformed
// response.
func FuzzSend(f *testing.F) {
	rec := &recorder{}
	state := record(f, rec)
	for _, c := range rec.commands {
		f.Add(c)
	}
	f.Fuzz(func(t *testing.T, cmd []byte) {
		tpm := world(t, state, func(t transport.TPM) transport.TPM { return t })
		if len(cmd) >= 7 && cmd[6] == 0 { // else the size is wrong after most mutations
			cmd = bytes.Clone(cmd)
			be.PutUint32(cmd[2:], uint32(len(cmd)))
		}
		for range 2 { // the second time in the state that the first left
			r, err := tpm.Send(cmd)
			ok(t, err)
			if len(r) < 10 || len(r) > 4096 || int(be.Uint32(r[2:])) != len(r) {
				t.Fatalf("malformed response %x", r)
			}
			if rc := be.Uint32(r[6:]); rc != 0 && len(r) != 10 {
				t.Fatalf("refusal %#x with data", rc)
			}
		}
		if _, err := (tpm2.GetRandom{BytesRequested: 1}).Execute(tpm); err != nil {
			t.Fatalf("the TPM is unusable afterwards: %v", err)
		}
	})
}

// FuzzState: no bytes make New panic.
func FuzzState(f *testing.F) {
	tpm := newTPM(f, softtpm.Config{})
	ok(f, evict(tpm, tpm2.TPMRHOwner, srk(f, tpm), 0x81000001))
	f.Add(must[[]byte](f)(tpm.Marshal()))
	f.Add([]byte("softtpm\x00\x00\x01"))
	f.Fuzz(func(t *testing.T, state []byte) {
		if tpm, err := softtpm.New(softtpm.Config{State: state}); err == nil {
			ok(t, tpm.Close())
		}
	})
}
