package softtpm_test

import (
	"crypto/sha256"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/lockstep-sso/lockstep/pkg/softtpm"
)

// Fixed handles as raw commands take them.
const (
	hOwner       = 0x40000001
	hNull        = 0x40000007
	hLockout     = 0x4000000a
	hEndorsement = 0x4000000b
	hPlatform    = 0x4000000c
)

func u16(v ...uint16) (b []byte) {
	for _, x := range v {
		b = be.AppendUint16(b, x)
	}
	return b
}

func u32(v ...uint32) (b []byte) {
	for _, x := range v {
		b = be.AppendUint32(b, x)
	}
	return b
}

func cat(parts ...[]byte) (b []byte) {
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// twice runs a command with two empty passwords.
func twice(tpm transport.TPM, cc uint32, handles []uint32, params ...byte) ([]byte, error) {
	area := cat(u32(18), u32(0x40000009), []byte{0, 0, 1, 0, 0}, u32(0x40000009), []byte{0, 0, 1, 0, 0})
	b := cat(u16(0x8002), u32(0), u32(cc), u32(handles...), area, params)
	be.PutUint32(b[2:], uint32(len(b)))
	r, err := tpm.Send(b)
	if err == nil && be.Uint32(r[6:]) != 0 {
		err = tpm2.TPMRC(be.Uint32(r[6:]))
	}
	return r[10:], err
}

// tourPolicies runs every policy command with success.
func tourPolicies(t testing.TB, tpm transport.TPM, signer key) {
	t.Helper()
	zero := make([]byte, 32)
	s, end, err := tpm2.PolicySession(tpm, tpm2.TPMAlgSHA256, 16)
	ok(t, err)
	defer func() { ok(t, end()) }()
	h := s.Handle().HandleValue()
	restart := func() { _, err := raw(tpm, 0x180, []uint32{h}, nil); ok(t, err) }
	run := func(cc uint32, params ...byte) []byte {
		r, err := raw(tpm, cc, []uint32{h}, nil, params...)
		if err != nil {
			t.Fatalf("policy command %#x: %v", cc, err)
		}
		return r
	}
	run(0x17f, cat(sized(nil), u32(1), u16(0xb), []byte{3, 1, 0, 0})...)                            // PCR
	run(0x16d, cat(sized(zero[:8]), u16(0, 3))...)                                                  // CounterTimer
	run(0x16c, u32(0x14b)...)                                                                       // CommandCode
	run(0x16e, sized(zero)...)                                                                      // CpHash
	run(0x18f, 1)                                                                                   // NvWritten
	run(0x16f, 1)                                                                                   // Locality
	run(0x187)                                                                                      // PhysicalPresence
	restart()                                                                                       //
	run(0x170, sized(zero)...)                                                                      // NameHash
	restart()                                                                                       //
	run(0x190, sized(zero)...)                                                                      // Template
	restart()                                                                                       //
	run(0x188, cat(sized(make([]byte, 34)), sized(make([]byte, 34)), []byte{1})...)                 // DuplicationSelect
	restart()                                                                                       //
	run(0x171, cat(u32(2), sized(zero), sized(make([]byte, 20)))...)                                // OR
	run(0x18c)                                                                                      // Password
	restart()                                                                                       //
	r, err := raw(tpm, 0x151, []uint32{hOwner, h}, []byte{}, cat(u16(0, 0, 0), u32(0xffff0000))...) // Secret with a ticket
	ok(t, err)
	restart()
	r = r[4:] // the size of the parameters
	timeout, ticket := r[:10], r[10:10+2+4+2+32]
	run(0x172, cat(timeout, u16(0, 0), sized(u32(hOwner)), ticket)...) // Ticket
	restart()

	// A signature over "no limits", then over the empty policy.
	digest := sha256.Sum256(u32(0))
	sig, err := signDigest(tpm, signer.auth(), digest[:])
	ok(t, err)
	_, err = raw(tpm, 0x160, []uint32{uint32(signer.Handle), h}, nil, cat(u16(0, 0, 0), u32(0), tpm2.Marshal(sig.Signature))...)
	ok(t, err)
	restart()
	digest = sha256.Sum256(zero)
	sig, err = signDigest(tpm, signer.auth(), digest[:])
	ok(t, err)
	v, err := tpm2.VerifySignature{KeyHandle: signer.Handle, Digest: tpm2.TPM2BDigest{Buffer: digest[:]}, Signature: sig.Signature}.Execute(tpm)
	ok(t, err)
	_, err = tpm2.PolicyAuthorize{PolicySession: s.Handle(), ApprovedPolicy: tpm2.TPM2BDigest{Buffer: zero}, KeySign: signer.Name, CheckTicket: v.Validation}.Execute(tpm)
	ok(t, err)
	restart()
	ok(t, define(tpm, owner, nvPublic(0x01800030, tpm2.TPMNTOrdinary, 34), ""))
	ok(t, nvWrite(t, tpm, owner, 0x01800030, "", append([]byte{0, 0xb}, zero...), 0))
	_, err = raw(tpm, 0x192, []uint32{hOwner, 0x01800030, h}, []byte{})
	ok(t, err)
	_, err = raw(tpm, 0x149, []uint32{hOwner, 0x01800030, h}, []byte{}, cat(sized([]byte{0, 0xb}), u16(0, 0))...)
	ok(t, err)
}

// tourNV runs every NV command with success.
func tourNV(t testing.TB, tpm transport.TPM, signer key) {
	t.Helper()
	run := func(cc, index uint32, params ...byte) {
		t.Helper()
		if _, err := raw(tpm, cc, []uint32{hOwner, index}, []byte{}, params...); err != nil {
			t.Fatalf("NV command %#x: %v", cc, err)
		}
	}
	for i, nt := range []tpm2.TPMNT{tpm2.TPMNTOrdinary, tpm2.TPMNTCounter, tpm2.TPMNTBits, tpm2.TPMNTExtend} {
		p := nvPublic(tpm2.TPMHandle(0x01800040+i), nt, []uint16{8, 8, 8, 32}[i])
		p.Attributes.ReadSTClear, p.Attributes.WriteSTClear = true, true
		ok(t, define(tpm, owner, p, ""))
	}
	run(0x137, 0x01800040, cat(sized(span(0, 8)), u16(0))...)
	run(0x134, 0x01800041)
	run(0x135, 0x01800042, span(0, 8)...)
	run(0x136, 0x01800043, sized(span(0, 8))...)
	run(0x14e, 0x01800040, u16(8, 0)...)
	_, err := twice(tpm, 0x184, []uint32{uint32(signer.Handle), hOwner, 0x01800040}, cat(u16(0), u16(0x18, 0xb), u16(0, 0))...)
	ok(t, err)
	run(0x138, 0x01800040)
	run(0x14f, 0x01800040)
	_, err = raw(tpm, 0x132, []uint32{hPlatform}, []byte{})
	ok(t, err)
	run(0x122, 0x01800043)
	// What needs the policy of the index: one that allows the command.
	for _, cc := range []tpm2.TPMCC{tpm2.TPMCCNVChangeAuth, tpm2.TPMCCNVUndefineSpaceSpecial} {
		p := nvPublic(0x01800050, tpm2.TPMNTOrdinary, 8)
		by, handles, rest := owner, []uint32{0x01800050}, []byte(nil)
		if cc == tpm2.TPMCCNVUndefineSpaceSpecial {
			p.NVIndex, by, handles = 0x01800051, platform, []uint32{0x01800051, hPlatform}
			p.Attributes.PlatformCreate, p.Attributes.PolicyDelete = true, true
			rest = cat(u32(0x40000009), []byte{0, 0, 1, 0, 0})
		}
		name := func(h tpm2.TPMISHPolicy) error {
			_, err := tpm2.PolicyCommandCode{PolicySession: h, Code: cc}.Execute(tpm)
			return err
		}
		p.AuthPolicy = trialDigest(t, tpm, name)
		ok(t, define(tpm, by, p, ""))
		s, end, err := tpm2.PolicySession(tpm, tpm2.TPMAlgSHA256, 16)
		ok(t, err)
		ok(t, name(s.Handle()))
		area := cat(u32(s.Handle().HandleValue()), []byte{0, 0, 1, 0, 0}, rest)
		b := cat(u16(0x8002), u32(0), u32(uint32(cc)), u32(handles...), u32(uint32(len(area))), area)
		if cc == tpm2.TPMCCNVChangeAuth {
			b = append(b, 0, 0)
		}
		be.PutUint32(b[2:], uint32(len(b)))
		r, err := tpm.Send(b)
		ok(t, err)
		if be.Uint32(r[6:]) != 0 {
			t.Fatalf("%v: %x", cc, r)
		}
		ok(t, end())
	}
}

// tourRest runs the commands that the other tours leave out, with success.
func tourRest(t testing.TB, tpm transport.TPM, root, ak key) {
	t.Helper()
	run := func(cc uint32, handles []uint32, auth []byte, params ...byte) []byte {
		t.Helper()
		r, err := raw(tpm, cc, handles, auth, params...)
		if err != nil {
			t.Fatalf("command %#x: %v", cc, err)
		}
		return r
	}
	none := []byte{}
	attest := cat(sized(nil), u16(0x10))
	run(0x143, nil, nil, 1)                                            // SelfTest
	run(0x142, nil, nil, u32(0)...)                                    // IncrementalSelfTest
	run(0x17c, nil, nil)                                               // GetTestResult
	run(0x146, nil, nil, sized([]byte("x"))...)                        // StirRandom
	run(0x17b, nil, nil, 0, 8)                                         // GetRandom
	run(0x18a, nil, nil, u16(0x23, 0x10, 0x10, 3, 0x10)...)            // TestParms
	run(0x181, nil, nil)                                               // ReadClock
	run(0x128, []uint32{hOwner}, none, 0, 0, 0, 1, 0, 0, 0, 0)         // ClockSet
	run(0x130, []uint32{hOwner}, none, 1)                              // ClockRateAdjust
	run(0x178, nil, nil, 0, 3)                                         // ECC_Parameters
	run(0x17e, nil, nil, cat(u32(1), u16(0xb), []byte{3, 1, 0, 0})...) // PCR_Read
	run(0x182, []uint32{16}, none, cat(u32(1), u16(0xb), span(0, 32))...)
	run(0x13c, []uint32{16}, none, sized([]byte("event"))...)
	run(0x13d, []uint32{16}, none)
	event := run(0x186, nil, nil, 0, 0, 0, 0x10) // HashSequenceStart for an event
	_, err := twice(tpm, 0x185, []uint32{16, be.Uint32(event)}, sized([]byte("event"))...)
	ok(t, err)
	run(0x158, []uint32{uint32(ak.Handle)}, none, cat(attest, u32(1), u16(0xb), []byte{3, 1, 0, 0})...) // Quote
	_, err = twice(tpm, 0x14c, []uint32{hEndorsement, uint32(ak.Handle)}, attest...)
	ok(t, err)
	_, err = twice(tpm, 0x133, []uint32{hEndorsement, uint32(ak.Handle)}, attest...)
	ok(t, err)
	run(0x140, []uint32{hOwner}, none, cat(u16(0x10), u32(1, 0x17b), u32(0))...) // SetCommandCodeAuditStatus

	both := ecTemplate(tpm2.TPMECCNistP256, tpm2.TPMAlgSHA256)
	both.ObjectAttributes.Decrypt = true
	both.Parameters = tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{CurveID: tpm2.TPMECCNistP256})
	k := made(t, tpm, root, both, "", nil)
	p := run(0x163, []uint32{uint32(k.Handle)}, nil) // ECDH_KeyGen
	run(0x154, []uint32{uint32(k.Handle)}, none, p[70:]...)
	flush(t, tpm, k.Handle)
	anonymous := ecTemplate(tpm2.TPMECCBNP256, tpm2.TPMAlgSHA256)
	anonymous.Parameters = tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{CurveID: tpm2.TPMECCBNP256,
		Scheme: tpm2.TPMTECCScheme{Scheme: tpm2.TPMAlgECDAA, Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgECDAA, &tpm2.TPMSSchemeECDAA{HashAlg: tpm2.TPMAlgSHA256})}})
	k = made(t, tpm, root, anonymous, "", nil)
	run(0x18b, []uint32{uint32(k.Handle)}, none, cat(sized(cat(sized([]byte{1}), sized([]byte{2}))), u16(0, 0))...) // Commit
	flush(t, tpm, k.Handle)
	k = made(t, tpm, root, tkTemplate(tpm2.TPMAlgSHA256), "", nil)
	c := run(0x174, []uint32{uint32(k.Handle)}, nil, cat(sized([]byte("m")), u16(0x10), u16(0))...) // RSA_Encrypt
	run(0x159, []uint32{uint32(k.Handle)}, none, cat(c, u16(0x10), u16(0))...)
	flush(t, tpm, k.Handle)
	aes := made(t, tpm, root, aesTemplate(), "", nil)
	run(0x164, []uint32{uint32(aes.Handle)}, none, cat([]byte{0}, u16(0x43), sized(make([]byte, 16)), sized([]byte("data")))...)
	run(0x193, []uint32{uint32(aes.Handle)}, none, cat(sized([]byte("data")), []byte{0}, u16(0x43), sized(make([]byte, 16)))...)
	run(0x150, []uint32{uint32(aes.Handle), uint32(root.Handle)}, none, sized([]byte("new"))...) // ObjectChangeAuth
	flush(t, tpm, aes.Handle)
}

// tourKeys runs the commands about how a key was made and moves, with success.
func tourKeys(t testing.TB, tpm transport.TPM, root, ak key) {
	t.Helper()
	tmpl := skTemplate(false)
	tmpl.AuthPolicy = trialDigest(t, tpm, func(h tpm2.TPMISHPolicy) error {
		_, err := tpm2.PolicyCommandCode{PolicySession: h, Code: tpm2.TPMCCDuplicate}.Execute(tpm)
		return err
	})
	free := made(t, tpm, root, tmpl, "", span(0, 32))
	d, err := duplicateOf(tpm, free, allowDuplicate(), &root)
	ok(t, err)
	_, err = raw(tpm, 0x152, []uint32{uint32(root.Handle), uint32(root.Handle)}, []byte{}, cat(sized(d.Duplicate.Buffer), sized(free.Name.Buffer), sized(d.OutSymSeed.Buffer))...)
	ok(t, err)
	c, err := tpm2.CreateLoaded{ParentHandle: root.auth(), InPublic: tpm2.New2BTemplate(&tmpl), InSensitive: tpm2.TPM2BSensitiveCreate{
		Sensitive: &tpm2.TPMSSensitiveCreate{Data: tpm2.NewTPMUSensitiveCreate(&tpm2.TPM2BSensitiveData{Buffer: span(0, 32)})}}}.Execute(tpm)
	ok(t, err)
	flush(t, tpm, free.Handle, c.ObjectHandle)
	p, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute(tpm)
	ok(t, err)
	_, err = tpm2.CertifyCreation{SignHandle: ak.auth(), ObjectHandle: tpm2.NamedHandle{Handle: p.ObjectHandle, Name: p.Name}, CreationHash: p.CreationHash,
		InScheme: tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgNull}, CreationTicket: p.CreationTicket}.Execute(tpm)
	ok(t, err)
	_, err = tpm2.Certify{ObjectHandle: ak.auth(), SignHandle: ak.auth(), InScheme: tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgNull}}.Execute(tpm)
	ok(t, err)
	m, err := tpm2.MakeCredential{Handle: root.Handle, Credential: tpm2.TPM2BDigest{Buffer: span(0, 32)}, ObjectName: ak.Name}.Execute(tpm)
	ok(t, err)
	_, err = tpm2.ActivateCredential{ActivateHandle: ak.auth(), KeyHandle: root.auth(), CredentialBlob: m.CredentialBlob, Secret: m.Secret}.Execute(tpm)
	ok(t, err)
	s, end, err := tpm2.HMACSession(tpm, tpm2.TPMAlgSHA256, 16, tpm2.Audit())
	ok(t, err)
	_, err = tpm2.GetRandom{BytesRequested: 8}.Execute(tpm, s)
	ok(t, err)
	_, err = twice(tpm, 0x14d, []uint32{hEndorsement, uint32(ak.Handle), s.Handle().HandleValue()}, cat(sized(nil), u16(0x10))...)
	ok(t, err)
	ok(t, end())
	flush(t, tpm, p.ObjectHandle)
}

// aesTemplate: a key for EncryptDecrypt.
func aesTemplate() tpm2.TPMTPublic {
	return tpm2.TPMTPublic{Type: tpm2.TPMAlgSymCipher, NameAlg: tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{FixedTPM: true, FixedParent: true, UserWithAuth: true, SensitiveDataOrigin: true, Decrypt: true, SignEncrypt: true},
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgSymCipher, &tpm2.TPMSSymCipherParms{Sym: tpm2.TPMTSymDefObject{Algorithm: tpm2.TPMAlgAES,
			Mode: tpm2.NewTPMUSymMode(tpm2.TPMAlgAES, tpm2.TPMAlgCFB), KeyBits: tpm2.NewTPMUSymKeyBits(tpm2.TPMAlgAES, tpm2.TPMKeyBits(128))}})}
}

// tourEnd runs the commands that end what the others need.
func tourEnd(t testing.TB, tpm transport.TPM) {
	t.Helper()
	for _, c := range []struct {
		cc, handle uint32
		params     []byte
	}{
		{0x12e, hOwner, u16(0, 0x10)}, {0x124, hPlatform, nil}, {0x125, hPlatform, nil},
		{0x121, hPlatform, cat(u32(hEndorsement), []byte{0})}, {0x127, hPlatform, []byte{0}}, {0x139, hLockout, nil},
	} {
		if _, err := raw(tpm, c.cc, []uint32{c.handle}, []byte{}, c.params...); err != nil {
			t.Fatalf("command %#x: %v", c.cc, err)
		}
	}
	_, err := raw(tpm, 0x145, nil, nil, 0, 0)
	ok(t, err)
}

// The corpus of FuzzSend holds a valid command of every code that the TPM has.
func TestCorpusIsComplete(t *testing.T) {
	rec := &recorder{}
	record(t, rec)
	r, err := tpm2.GetCapability{Capability: tpm2.TPMCapCommands, PropertyCount: 1000}.Execute(newTPM(t, softtpm.Config{}))
	ok(t, err)
	for _, cc := range must[*tpm2.TPMLCCA](t)(r.CapabilityData.Data.Command()).CommandAttributes {
		if code := uint32(cc.CommandIndex); !rec.succeeded[code] {
			t.Errorf("no valid command of code %#x in the corpus", code)
		}
	}
}
