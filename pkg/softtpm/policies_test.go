package softtpm_test

import (
	"crypto/sha256"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/lockstep-sso/lockstep/pkg/softtpm"
)

// policyCommand runs a policy command that takes the session alone.
func policyCommand(tpm transport.TPM, h tpm2.TPMISHPolicy, cc uint32, params ...byte) error {
	_, err := raw(tpm, cc, []uint32{h.HandleValue()}, nil, params...)
	return err
}

// policyKey is a signing key under a policy, which trial computes.
func policyKey(t testing.TB, tpm transport.TPM, root key, trial func(tpm2.TPMISHPolicy) error) key {
	t.Helper()
	tmpl := ecTemplate(tpm2.TPMECCNistP256, tpm2.TPMAlgSHA256)
	tmpl.ObjectAttributes.UserWithAuth = false
	tmpl.AuthPolicy = trialDigest(t, tpm, trial)
	return made(t, tpm, root, tmpl, "", nil)
}

// signed is PolicySigned by a key; cut makes the signature bad.
func signed(t testing.TB, tpm transport.TPM, h tpm2.TPMISHPolicy, signer key, expiration int32, bad bool) (*tpm2.PolicySignedResponse, error) {
	t.Helper()
	digest := sha256.Sum256(u32(uint32(expiration)))
	if bad {
		digest[0] ^= 1
	}
	sig, err := signDigest(tpm, signer.auth(), digest[:])
	ok(t, err)
	return tpm2.PolicySigned{AuthObject: signer.Handle, PolicySession: h, Expiration: expiration, Auth: sig.Signature}.Execute(tpm)
}

// A signature authorizes; its ticket does so again until it expires or the TPM
// restarts.
func TestPolicySignedAndTicket(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	tpm := newTPM(t, softtpm.Config{Slots: 5, Now: func() time.Time { return now }})
	root := srk(t, tpm)
	signer := made(t, tpm, root, ecTemplate(tpm2.TPMECCNistP256, tpm2.TPMAlgSHA256), "", nil)
	k := policyKey(t, tpm, root, func(h tpm2.TPMISHPolicy) error { _, err := signed(t, tpm, h, signer, 0, true); return err })
	s, end, err := tpm2.PolicySession(tpm, tpm2.TPMAlgSHA256, 16)
	ok(t, err)
	_, err = signed(t, tpm, s.Handle(), signer, 0, true)
	wantRC(t, "bad signature", err, 0x5db)
	r, err := signed(t, tpm, s.Handle(), signer, -100, false)
	ok(t, err)
	ok(t, try(tpm, k.with(s)))
	redeem := func(timeout, ticket []byte) error {
		return policyCommand(tpm, s.Handle(), 0x172, cat(sized(timeout), u16(0, 0), sized(signer.Name.Buffer), ticket)...)
	}
	timeout, ticket := r.Timeout.Buffer, tpm2.Marshal(r.PolicyTicket)
	ok(t, redeem(timeout, ticket))
	ok(t, try(tpm, k.with(s)))
	later := append([]byte{}, timeout...)
	later[7]++
	wantRC(t, "a later end", redeem(later, ticket), 0x5e0)
	now = now.Add(101 * time.Second)
	wantRC(t, "expired", redeem(timeout, ticket), 0x1e3)
	ok(t, end())
}

// PolicyAuthorize: whoever holds the signing key approves policies later.
func TestPolicyAuthorize(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{Slots: 5})
	root := srk(t, tpm)
	signer := made(t, tpm, root, ecTemplate(tpm2.TPMECCNistP256, tpm2.TPMAlgSHA256), "", nil)
	approve := func(h tpm2.TPMISHPolicy, approved []byte, ticket tpm2.TPMTTKVerified) error {
		_, err := tpm2.PolicyAuthorize{PolicySession: h, ApprovedPolicy: tpm2.TPM2BDigest{Buffer: approved}, KeySign: signer.Name, CheckTicket: ticket}.Execute(tpm)
		return err
	}
	null := tpm2.TPMTTKVerified{Tag: tpm2.TPMSTVerified, Hierarchy: tpm2.TPMRHNull}
	k := policyKey(t, tpm, root, func(h tpm2.TPMISHPolicy) error { return approve(h, nil, null) })
	s, end, err := tpm2.PolicySession(tpm, tpm2.TPMAlgSHA256, 16)
	ok(t, err)
	ok(t, policyAuthValue(tpm, s.Handle()))
	d, err := tpm2.PolicyGetDigest{PolicySession: s.Handle()}.Execute(tpm)
	ok(t, err)
	digest := sha256.Sum256(d.PolicyDigest.Buffer)
	sig, err := signDigest(tpm, signer.auth(), digest[:])
	ok(t, err)
	v, err := tpm2.VerifySignature{KeyHandle: signer.Handle, Digest: tpm2.TPM2BDigest{Buffer: digest[:]}, Signature: sig.Signature}.Execute(tpm)
	ok(t, err)
	wantRC(t, "the empty ticket", approve(s.Handle(), d.PolicyDigest.Buffer, null), 0x4c4)
	wantRC(t, "another policy", approve(s.Handle(), span(0, 32), v.Validation), 0x1c4)
	ok(t, approve(s.Handle(), d.PolicyDigest.Buffer, v.Validation))
	ok(t, try(tpm, k.with(s)))
	ok(t, end())
}

// PolicyPCR holds while the PCRs are what they were.
func TestPolicyPCRChanges(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	sel := cat(sized(nil), u32(1), u16(0xb), []byte{3, 1, 0, 0})
	pcr := func(h tpm2.TPMISHPolicy) error { return policyCommand(tpm, h, 0x17f, sel...) }
	k := policyKey(t, tpm, srk(t, tpm), pcr)
	extend := func(n uint32) {
		_, err := raw(tpm, 0x182, []uint32{n}, []byte{}, cat(u32(1), u16(0xb), span(0, 32))...)
		ok(t, err)
	}
	s, end, err := tpm2.PolicySession(tpm, tpm2.TPMAlgSHA256, 16)
	ok(t, err)
	ok(t, pcr(s.Handle()))
	extend(16) // not counted
	ok(t, try(tpm, k.with(s)))
	ok(t, pcr(s.Handle()))
	extend(5)
	wantRC(t, "a PCR changed since", try(tpm, k.with(s)), 0x128)
	ok(t, policyCommand(tpm, s.Handle(), 0x180))
	extend(0)
	ok(t, pcr(s.Handle()))
	wantRC(t, "other values", try(tpm, k.with(s)), 0x99d)
	ok(t, end())
}

// What binds a session to parameters, Names, templates or a command.
func TestPolicyBindings(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{Slots: 8})
	root := srk(t, tpm)
	names := sha256.Sum256(root.Name.Buffer)
	k := policyKey(t, tpm, root, func(h tpm2.TPMISHPolicy) error { return policyCommand(tpm, h, 0x170, sized(names[:])...) })
	s, end, err := tpm2.PolicySession(tpm, tpm2.TPMAlgSHA256, 16)
	ok(t, err)
	run := func(cc uint32, params ...byte) error { return policyCommand(tpm, s.Handle(), cc, params...) }
	ok(t, run(0x170, sized(names[:])...))
	wantRC(t, "a second binding", run(0x16e, sized(names[:])...), 0x151)
	wantRC(t, "another object than named", try(tpm, k.with(s)), 0x99d)
	ok(t, run(0x180))
	wantRC(t, "hash of a wrong size", run(0x16e, sized(names[:20])...), 0x1d5)
	ok(t, run(0x16f, 2)) // locality one alone
	wantRC(t, "no locality left", run(0x16f, 4), 0x1cd)
	ok(t, run(0x180))
	ok(t, run(0x187))
	k2 := policyKey(t, tpm, root, func(h tpm2.TPMISHPolicy) error { return policyCommand(tpm, h, 0x187) })
	wantRC(t, "nobody is present", try(tpm, k2.with(s)), 0x990)
	k3 := policyKey(t, tpm, root, func(h tpm2.TPMISHPolicy) error { return policyCommand(tpm, h, 0x16f, 2) })
	ok(t, run(0x180))
	ok(t, run(0x16f, 2))
	wantRC(t, "another locality", try(tpm, k3.with(s)), 0x907)
	ok(t, end())

	// A parent that makes keys of one template only.
	tmpl := tpm2.Marshal(skTemplate(false))
	hash := sha256.Sum256(tmpl)
	parent := storageECC()
	parent.ObjectAttributes.UserWithAuth = false
	parent.AuthPolicy = trialDigest(t, tpm, func(h tpm2.TPMISHPolicy) error { return policyCommand(tpm, h, 0x190, sized(hash[:])...) })
	p := made(t, tpm, root, parent, "", nil)
	create := func(tmpl tpm2.TPMTPublic) error {
		_, err := tpm2.Create{ParentHandle: p.with(tpm2.Policy(tpm2.TPMAlgSHA256, 16, func(tp transport.TPM, h tpm2.TPMISHPolicy, _ tpm2.TPM2BNonce) error {
			return policyCommand(tp, h, 0x190, sized(hash[:])...)
		})), InPublic: tpm2.New2B(tmpl), InSensitive: tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{
			Data: tpm2.NewTPMUSensitiveCreate(&tpm2.TPM2BSensitiveData{Buffer: span(0, 32)})}}}.Execute(tpm)
		return err
	}
	ok(t, create(skTemplate(false)))
	wantRC(t, "another template", create(sealTemplate()), 0x99d)
}

// A PIN is changed under the admin role by policy, as adminWithPolicy demands.
func TestAdminWithPolicy(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	root := srk(t, tpm)
	admin := func(tp transport.TPM, h tpm2.TPMISHPolicy) error {
		if err := policyAuthValue(tp, h); err != nil {
			return err
		}
		_, err := tpm2.PolicyCommandCode{PolicySession: h, Code: tpm2.TPMCCObjectChangeAuth}.Execute(tp)
		return err
	}
	tmpl := ecTemplate(tpm2.TPMECCNistP256, tpm2.TPMAlgSHA256)
	tmpl.ObjectAttributes.AdminWithPolicy = true
	tmpl.AuthPolicy = trialDigest(t, tpm, func(h tpm2.TPMISHPolicy) error { return admin(tpm, h) })
	b := must[blob](t)(create(tpm, root, tmpl, "1234", nil))
	k := must[key](t)(load(tpm, root, b))
	change := func(s tpm2.Session) (*tpm2.ObjectChangeAuthResponse, error) {
		return tpm2.ObjectChangeAuth{ObjectHandle: k.with(s), ParentHandle: tpm2.NamedHandle{Handle: root.Handle, Name: root.Name},
			NewAuth: tpm2.TPM2BAuth{Buffer: []byte("9876")}}.Execute(tpm)
	}
	ok(t, try(tpm, k.pw("1234")))
	_, err := change(tpm2.PasswordAuth([]byte("1234")))
	wantRC(t, "by password", err, 0x124)
	by := func(pin string) tpm2.Session {
		return tpm2.Policy(tpm2.TPMAlgSHA256, 16, func(tp transport.TPM, h tpm2.TPMISHPolicy, _ tpm2.TPM2BNonce) error { return admin(tp, h) }, tpm2.Auth([]byte(pin)))
	}
	_, err = change(by("0000"))
	wantRC(t, "wrong PIN", err, 0x9a2)
	r, err := change(by("1234"))
	ok(t, err)
	flush(t, tpm, k.Handle)
	k = must[key](t)(load(tpm, root, blob{b.Pub, r.OutPrivate}))
	ok(t, try(tpm, k.pw("9876")))
}

// A hierarchy under a policy, until the policy is taken away.
func TestHierarchyPolicy(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	set := func(digest []byte, alg uint16, auth string) error {
		_, err := raw(tpm, 0x12e, []uint32{hOwner}, []byte(auth), cat(sized(digest), u16(alg))...)
		return err
	}
	command := func(h tpm2.TPMISHPolicy) error { return policyCommand(tpm, h, 0x16c, u32(0x12a)...) }
	digest := trialDigest(t, tpm, command).Buffer
	wantRC(t, "digest of another size", set(digest[:20], 0xb, ""), 0x1d5)
	ok(t, set(digest, 0xb, ""))
	tpm = newTPM(t, softtpm.Config{State: must[[]byte](t)(tpm.Marshal())})
	s, end, err := tpm2.PolicySession(tpm, tpm2.TPMAlgSHA256, 16)
	ok(t, err)
	ok(t, command(s.Handle()))
	p := nvPublic(0x01800001, tpm2.TPMNTOrdinary, 4)
	_, err = rawBy(tpm, 0x12a, []uint32{hOwner}, s.Handle().HandleValue(), []byte{}, cat(sized(nil), sized(tpm2.Marshal(p)))...)
	ok(t, err)
	index(t, tpm, p.NVIndex)
	ok(t, set(nil, 0x10, ""))
	ok(t, command(s.Handle()))
	_, err = rawBy(tpm, 0x12a, []uint32{hOwner}, s.Handle().HandleValue(), []byte{}, cat(sized(nil), sized(tpm2.Marshal(p)))...)
	wantRC(t, "no policy any more", err, 0x12f)
	ok(t, end())
}
